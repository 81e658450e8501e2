//go:build e2e

package e2e_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestMistakesOfOperators has a row for each thing that an operator gets wrong or that fails around the commands: one line, the
// right code, and afterwards everything is as before.
func TestMistakesOfOperators(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(1 << 20)
	if e := w.run("publisher", "producer", []string{"publish", source}, nil); e.code != 0 {
		t.Fatal(e)
	}
	before := w.object(bucket.PointerKey(w.Channel.Salt))
	if e := w.once("holder", alone(nil)); e.code != 0 {
		t.Fatal(e)
	}
	taken, err := (&net.ListenConfig{}).Listen(w.ctx, "tcp", "127.0.0.1:0")
	w.ok(err)
	defer taken.Close()
	port := taken.Addr().String()
	linked := w.ledger(1000)
	w.ok(os.Symlink("/etc/passwd", filepath.Join(linked, "a-link")))
	notFolder := filepath.Join(t.TempDir(), "file")
	w.write(notFolder, nil, 0o644)

	publish := []string{"publish", source}
	for _, row := range []struct {
		name    string
		command string
		args    []string
		env     stack.Env
		code    int
		words   []string
	}{
		{"S3 refuses the secret", "producer", publish, stack.Env{"S3_SECRET_ACCESS_KEY": "wrong"}, 4, []string{"refused", "S3_SECRET_ACCESS_KEY"}},
		{"S3 does not know the account", "producer", publish, stack.Env{"S3_ACCESS_KEY_ID": "nobody"}, 4, []string{"refused", "S3_ACCESS_KEY_ID"}},
		{"no such bucket", "producer", publish, stack.Env{"BUCKET": "s3://not-there"}, 4, []string{"refused", "not-there"}},
		{"no storage", "producer", publish, stack.Env{"S3_ENDPOINT": "http://127.0.0.1:1"}, 4, []string{"unreachable", "127.0.0.1:1"}},
		{"an empty source", "producer", []string{"publish", notFolder, "--name", "ledger.tar.zst"}, nil, 3, []string{"empty", notFolder}},
		{"not public", "producer", publish, stack.Env{"PUBLIC_URL": "http://127.0.0.1:1/x", "PROBE_TIMEOUT": "200ms"}, 4, []string{"not publicly readable", "127.0.0.1:1"}},
		{"no source", "producer", []string{"publish", "/nonexistent/ledger"}, nil, 3, []string{"/nonexistent/ledger"}},
		{"a link in the source", "producer", []string{"publish", linked}, nil, 3, []string{"a-link", "symbolic link"}},
		{"no key", "producer", publish, stack.Env{"AUTHORITY_KEY_FILE": ""}, 2, []string{"AUTHORITY_KEY_FILE", "keygen"}},
		{"no bucket", "producer", publish, stack.Env{"BUCKET": ""}, 2, []string{"BUCKET"}},
		{"unknown flag", "producer", []string{"publish", "--bukcet", "x", source}, nil, 2, []string{"--bukcet", "--help"}},
		{"unknown command", "producer", []string{"pubilsh"}, nil, 2, []string{"pubilsh"}},
		{"LISTEN_ADDR taken", "producer", []string{"serve"}, stack.Env{"LISTEN_ADDR": port}, 1, []string{"LISTEN_ADDR", port, "taken"}},
		{"METRICS_ADDR taken", "producer", []string{"serve"}, stack.Env{"METRICS_ADDR": port}, 1, []string{"METRICS_ADDR", port, "taken"}},
		{"DATA_DIR is a file", "producer", publish, stack.Env{"DATA_DIR": notFolder}, 30, []string{"DATA_DIR", notFolder}},

		{"no channel", "mirror", nil, stack.Env{"CHANNEL": ""}, 2, []string{"CHANNEL", "AUTHORITY_PUBKEY"}},
		{"not a channel", "mirror", nil, stack.Env{"CHANNEL": "magnet:?xt=urn:btih:abc"}, 2, []string{"CHANNEL", "magnet"}},
		{"unknown flag", "mirror", []string{"--onec"}, nil, 2, []string{"--onec", "--help"}},
		{"bad value", "mirror", []string{"--poll-interval", "soon"}, nil, 2, []string{"--poll-interval"}},
		{"LISTEN_ADDR taken", "mirror", nil, stack.Env{"LISTEN_ADDR": port}, 1, []string{"LISTEN_ADDR", port, "taken"}},
		{"METRICS_ADDR taken", "mirror", nil, stack.Env{"METRICS_ADDR": port}, 1, []string{"METRICS_ADDR", port, "taken"}},
		{"DATA_DIR is a file", "mirror", nil, stack.Env{"DATA_DIR": notFolder}, 30, []string{"DATA_DIR", notFolder}},
		{"no storage, nobody else", "mirror", []string{"--once"}, alone(stack.Env{"BUCKET_URL": "http://127.0.0.1:1", "POINTER_TIMEOUT": "1s"}), 10, []string{"no pointer found", "127.0.0.1:1", "CHANNEL"}},

		{"no channel", "gateway", nil, stack.Env{"CHANNEL": ""}, 2, []string{"CHANNEL"}},
		{"unknown flag", "gateway", []string{"--http-adr", ":1"}, nil, 2, []string{"--http-adr", "--help"}},
		{"HTTP_ADDR taken", "gateway", nil, stack.Env{"HTTP_ADDR": port}, 1, []string{"HTTP_ADDR", port, "taken"}},
		{"LISTEN_ADDR taken", "gateway", nil, stack.Env{"LISTEN_ADDR": port, "HTTP_ADDR": "127.0.0.1:0"}, 1, []string{"LISTEN_ADDR", port, "taken"}},
		{"METRICS_ADDR taken", "gateway", nil, stack.Env{"METRICS_ADDR": port, "HTTP_ADDR": "127.0.0.1:0"}, 1, []string{"METRICS_ADDR", port, "taken"}},
	} {
		t.Run(row.command+": "+row.name, func(t *testing.T) {
			env := stack.Env{"LOG_LEVEL": "error", "METRICS_ADDR": "none"}
			for k, v := range row.env {
				env[k] = v
			}
			// Publishers share a folder, so that each finds what the one before left; the others have a fresh one.
			name := map[string]string{"producer": "publisher"}[row.command]
			if name == "" {
				name = strings.ReplaceAll(row.command+" "+row.name, " ", "-")
			}
			w := w.in(t)
			w.run(name, row.command, row.args, env).says(t, row.command, row.code, row.words...)
		})
	}
	if after := w.object(bucket.PointerKey(w.Channel.Salt)); !bytes.Equal(before, after) {
		t.Errorf("the pointer is %q now, was %q", after, before)
	}
	if e := w.once("newcomer", alone(nil), "--extract"); e.code != 0 {
		t.Errorf("a newcomer afterwards: %s", e)
	} else {
		w.sameTree(strings.TrimSuffix(e.stdout, "\n"), source)
	}
	if e := w.run("publisher", "producer", publish, nil); e.code != 0 {
		t.Errorf("the next publication: %s", e)
	}
}

// TestAnUnreadableSource publishes what the producer's user may not read.
func TestAnUnreadableSource(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.write(filepath.Join(dir, "ledger", "locked"), []byte("secret"), 0)
	env := w.publisherEnv()
	env["LOG_LEVEL"], env["DATA_DIR"] = "error", filepath.Join(dir, "data")
	script := "producer publish ledger"
	if os.Getuid() == 0 { // who may read everything
		need(t, "setpriv")
		env["AUTHORITY_KEY_FILE"], env["DHT_PRIVATE_KEY"] = "", w.text(filepath.Split(w.KeyFile))
		w.ok(os.Chmod(bin, 0o755))
		w.ok(os.Chmod(filepath.Dir(dir), 0o755))
		w.ok(os.Chmod(dir, 0o777)) // for the other user
		script = "setpriv --reuid 65534 --regid 65534 --clear-groups " + script
	}
	w.shell(dir, script, env).says(t, "producer", 3, "locked", "permission denied")
}

// TestASecondProcess runs what may run only once.
func TestASecondProcess(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(1000), nil)
	w.run("producer", "producer", []string{"serve"}, stack.Env{"LOG_LEVEL": "error"}).says(t, "producer", 5, "held by process")
	mirror := w.mirror("mirror", nil)
	w.once("mirror", stack.Env{"LOG_LEVEL": "error"}).says(t, "mirror", 1, mirror.DataDir)
	w.same(w.held(mirror, pub), pub.archive)
}
