package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket/s3test"
	"snapswarm/common/daemon"
	"snapswarm/common/daemon/daemontest"
	"snapswarm/common/snapshot"
)

var update = flag.Bool("update", false, "write the generated parts of README.md") //nolint:gochecknoglobals // as package flag wants it

// The tests are in package main, because there is no other way to its commands; they use nothing but newCommand.

func TestTheReadmeIsUpToDate(t *testing.T) {
	daemontest.Help(t, newCommand)
	daemontest.Settings(t, "README.md", "producer serve", &ServeConfig{}, *update)
	daemontest.ExitCodes(t, "README.md", *update)
}

func TestFromKeyToStatus(t *testing.T) {
	w := newWorld(t)
	key := filepath.Join(w.dir, "key")
	out := w.mustRun("keygen", "--out", key, "--dht-salt", "chain")
	link := strings.TrimSuffix(out, "\n")
	if _, err := snapshot.ParseChannel(link); err != nil {
		t.Errorf("keygen prints %q, want the channel's link and nothing else: %v", out, err)
	}
	if fi, err := os.Stat(key); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v; want mode 0600", fi, err)
	}
	w.set("AUTHORITY_KEY", "")
	w.set("AUTHORITY_KEY_FILE", key)
	out = w.mustRun("publish", w.source, "--height", "123")
	for _, want := range []string{"ledger.tar.zst", "-h123", link, "url        http://127.0.0.1:", "MB/s", "dht        not used"} {
		if !strings.Contains(out, want) {
			t.Errorf("publish does not tell %q:\n%s", want, out)
		}
	}
	st := w.status()
	if st.Channel != link || st.Newest == nil || st.Newest.Height != 123 || st.Newest.File != "ledger.tar.zst" || st.Holder != nil {
		t.Errorf("status = %+v, newest %+v", st, st.Newest)
	}
	if len(st.Newest.Objects) != 3 || len(st.Sources) != 2 {
		t.Errorf("%d objects, %d sources; want 3 and 2", len(st.Newest.Objects), len(st.Sources))
	}
	for _, o := range st.Newest.Objects {
		if !o.OK {
			t.Errorf("object %s: %s", o.Key, o.Error)
		}
	}
	text := w.mustRun("status")
	for _, want := range []string{link, "expires in 14 days", st.Newest.SHA256, "chain/" + st.Newest.Version + "/ledger.tar.zst"} {
		if !strings.Contains(text, want) {
			t.Errorf("status does not tell %q:\n%s", want, text)
		}
	}
	if out = w.mustRun("publish", w.source, "--name", "other.tar.zst"); !strings.Contains(out, "--name ledger.tar.zst keeps them") {
		t.Errorf("publish does not tell that the name has changed:\n%s", out)
	}
	st = w.status()
	w.set("AUTHORITY_KEY_FILE", "")
	w.set("CHANNEL", link)
	if got := w.status(); got.Newest == nil || got.Newest.Version != st.Newest.Version {
		t.Errorf("status by link alone: %+v", got)
	}
}

func TestAKeyIsNeverOverwritten(t *testing.T) {
	w := newWorld(t)
	key := filepath.Join(w.dir, "key")
	w.mustRun("keygen", "--out", key)
	before, _ := os.ReadFile(key)
	code, _, errs := w.run(t.Context(), "keygen", "--out", key)
	if after, _ := os.ReadFile(key); code != daemon.ExitUsage || !bytes.Equal(before, after) {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestBadInput has a row for each thing that an operator can get wrong: one line, the right code, nothing secret.
func TestBadInput(t *testing.T) {
	other := "magnet:?xs=urn:btpk:" + strings.Repeat("ab", 32) + "&s=" + hex.EncodeToString([]byte("chain"))
	for _, row := range []struct {
		name string
		env  string // KEY=value
		args []string
		code daemon.Exit
		say  string
	}{
		{"no key", "AUTHORITY_KEY=", nil, daemon.ExitUsage, "producer keygen"},
		{"a short key", "AUTHORITY_KEY=abcd", nil, daemon.ExitUsage, "32 or 64 bytes"},
		{"a key of another kind", "AUTHORITY_KEY=" + strings.Repeat("17", 64), nil, daemon.ExitUsage, "libtorrent"},
		{"a missing key file", "AUTHORITY_KEY_FILE=/nonexistent", nil, daemon.ExitUsage, "AUTHORITY_KEY"},
		{"another channel's link", "CHANNEL=" + other, nil, daemon.ExitUsage, "CHANNEL belongs to"},
		{"a reserved name", "DHT_SALT=latest", nil, daemon.ExitUsage, "DHT_SALT"},
		{"a data folder that is a file", "DATA_DIR=/etc/passwd", nil, daemon.ExitDisk, "DATA_DIR"},
		{"no bucket", "BUCKET=", nil, daemon.ExitUsage, "BUCKET is not set"},
		{"a bucket of no kind", "BUCKET=ftp://x", nil, daemon.ExitUsage, "s3://name/prefix"},
		{"a missing directory", "BUCKET=file:///nonexistent/dir", nil, daemon.ExitBucket, "create the directory"},
		{"an unusable public address", "PUBLIC_URL=ftp://x", nil, daemon.ExitUsage, "PUBLIC_URL"},
		{"a public address where nobody is", "PUBLIC_URL=http://127.0.0.1:1/", nil, daemon.ExitBucket, "not publicly readable"},
		{"torrents of v2 alone", "TORRENT_FORMAT=v2", nil, daemon.ExitUsage, "want v1 or hybrid"},
		{"an unknown level", "COMPRESSION=extreme", nil, daemon.ExitUsage, "fastest"},
		{"a directory without compression", "COMPRESSION=none", nil, daemon.ExitUsage, "directory"},
		{"an odd piece length", "PIECE_LENGTH=3MiB", nil, daemon.ExitUsage, "power of two"},
		{"a name with a path", "NAME=../x", nil, daemon.ExitUsage, "download name"},
		{"no versions kept", "SNAPSHOT_RETENTION_COUNT=0", nil, daemon.ExitUsage, "SNAPSHOT_RETENTION_COUNT"},
		{"no path", "", []string{"publish"}, daemon.ExitUsage, "publish PATH"},
		{"a missing source", "", []string{"publish", "/nonexistent"}, daemon.ExitSource, "nonexistent"},
		{"a source that is a device", "", []string{"publish", "/dev/null"}, daemon.ExitSource, "device"},
		{"a stream without a name", "", []string{"publish", "-"}, daemon.ExitUsage, "set NAME"},
		{"a command without a source", "SNAPSHOT_COMMAND=true", []string{"serve"}, daemon.ExitUsage, "SNAPSHOT_SOURCE"},
		{"nothing published", "", []string{"status"}, daemon.ExitNoPointer, "producer publish PATH makes the first"},
		{"nothing published where somebody is away", "PUBLIC_URL=http://127.0.0.1:1/", []string{"status"}, daemon.ExitNoPointer, "1 of 2 sources could not be asked"},
		{"nowhere to look", "", []string{"status", "--bucket=", "--public-url="}, daemon.ExitNoPointer, "set BUCKET, PUBLIC_URL or DHT_BOOTSTRAP"},
		{"a secret on the command line", "", []string{"publish", "x", "--authority-key", "0123456789abcdef"}, daemon.ExitUsage, "command lines are public"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			if key, value, ok := strings.Cut(row.env, "="); ok {
				w.set(key, value)
				if key == "AUTHORITY_KEY_FILE" {
					w.set("AUTHORITY_KEY", "")
				}
			}
			args := row.args
			if args == nil {
				args = []string{"publish", w.source}
			}
			if strings.HasPrefix(row.name, "a public address where") {
				w.set("PROBE_TIMEOUT", "100ms")
			}
			code, _, errs := w.run(t.Context(), args...)
			if code != row.code || !strings.Contains(errs, row.say) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit %d, want %d; stderr wants one line with %q:\n%s", code, row.code, row.say, errs)
			}
			if strings.Contains(errs, "1717") || strings.Contains(errs, "0123456789abcdef") {
				t.Errorf("a secret is shown: %s", errs)
			}
		})
	}
}

func TestTheDirectoriesMustLieApart(t *testing.T) {
	w := newWorld(t)
	for _, dir := range []string{w.bucket, filepath.Join(w.bucket, "data"), w.dir} {
		w.set("DATA_DIR", dir)
		if code, _, errs := w.run(t.Context(), "publish", w.source); code != daemon.ExitUsage || !strings.Contains(errs, "apart") {
			t.Errorf("DATA_DIR %s: exit %d: %s", dir, code, errs)
		}
	}
}

func TestThePointerIsFoundInTheDHT(t *testing.T) {
	w := newWorld(t)
	nodes, addrs := dhtNodes(t, 6)
	w.set("DHT_BOOTSTRAP", strings.Join(addrs, ","))
	out := w.mustRun("publish", w.source)
	if !strings.Contains(out, "stored on ") || strings.Contains(out, "stored on 0") || strings.Contains(out, "back from 0") {
		t.Errorf("publish says nothing good about the DHT:\n%s", out)
	}
	st := w.status()
	ch, err := snapshot.ParseChannel(st.Channel)
	if err != nil {
		t.Fatal(err)
	}
	records, err := nodes[0].Lookup(t.Context(), ch)
	if err != nil || len(records) == 0 || records[0].Verify(ch) != nil {
		t.Fatalf("found %d records: %v", len(records), err)
	}
	if p, err := records[0].Pointer(); err != nil || p.InfoHash.String() != st.Newest.InfoHash {
		t.Errorf("the DHT names %v, %v; want %s", p.InfoHash, err, st.Newest.InfoHash)
	}
	seqs := make(map[string]int64)
	for _, src := range st.Sources {
		seqs[src.Name] = src.Seq
	}
	for name, seq := range seqs {
		if len(seqs) < 2 || seq == 0 || seq != seqs["dht"] {
			t.Errorf("%s has seq %d; sources: %v, want the same from bucket and DHT", name, seq, seqs)
		}
	}
}

func TestServePublishesWhatChanges(t *testing.T) {
	w := newWorld(t)
	ops := freePort(t)
	b := w.serve("SNAPSHOT_SOURCE="+w.source, "POLL_INTERVAL=100ms", "METRICS_ADDR="+ops)
	w.eventually("ready", func() bool { return w.ready("http://" + ops + "/readyz") })
	w.eventually("a pointer in the bucket", func() bool { // which is signed a moment before
		code, _, _ := w.run(t.Context(), "status")
		return code == daemon.ExitOK
	})
	first := w.status()
	if first.Holder == nil || first.Holder.PID != os.Getpid() {
		t.Errorf("status names %+v as the publisher, want this process", first.Holder)
	}
	w.write("more", []byte("something new"))
	w.eventually("a second version", func() bool { return w.status().Newest.Version != first.Newest.Version })
	if got := w.status().Newest.Previous; got != first.Newest.InfoHash {
		t.Errorf("previous = %s, want %s", got, first.Newest.InfoHash)
	}
	b.stop()
	if b.code != daemon.ExitOK {
		t.Errorf("serve ended with %d: %s", b.code, b.errs)
	}
}

func TestATakenPortIsTold(t *testing.T) {
	w := newWorld(t)
	l := listen(t)
	defer l.Close()
	w.set("LISTEN_ADDR", l.Addr().String())
	code, _, errs := w.run(t.Context(), "serve")
	if code == daemon.ExitOK || !strings.Contains(errs, "LISTEN_ADDR") || !strings.Contains(errs, l.Addr().String()) {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestWrongBytesBehindThePublicAddress(t *testing.T) {
	w := newWorld(t)
	files := http.FileServer(http.Dir(w.bucket))
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".torrent") {
			files.ServeHTTP(out, r)
			return
		}
		http.ServeContent(out, r, "x", time.Time{}, strings.NewReader("another file"))
	}))
	t.Cleanup(server.Close)
	w.set("PUBLIC_URL", server.URL)
	w.set("PROBE_TIMEOUT", "100ms")
	if code, _, errs := w.run(t.Context(), "publish", w.source); code != daemon.ExitVerification || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit %d, want %d: %s", code, daemon.ExitVerification, errs)
	}
}

func TestPublishIntoS3(t *testing.T) {
	w := newWorld(t)
	server := s3test.New(t)
	w.set("BUCKET", "s3://"+server.Bucket+"/some/prefix")
	w.set("S3_ENDPOINT", server.Endpoint)
	w.set("S3_REGION", server.Region)
	w.set("AWS_ACCESS_KEY_ID", server.AccessKey)
	w.set("AWS_SECRET_ACCESS_KEY", server.SecretKey)
	w.set("PUBLIC_URL", "")
	for range 2 {
		out := w.mustRun("publish", w.source)
		if want := server.Endpoint + "/" + server.Bucket + "/some/prefix/chain/"; !strings.Contains(out, want) {
			t.Errorf("the URL does not begin with %s:\n%s", want, out)
		}
		w.write("more", []byte("something new"))
	}
	st := w.status()
	for _, o := range st.Newest.Objects {
		if !o.OK {
			t.Errorf("object %s: %s", o.Key, o.Error)
		}
	}
	w.set("AWS_SECRET_ACCESS_KEY", "wrong-wrong-wrong-wrong")
	code, _, errs := w.run(t.Context(), "publish", w.source)
	if code != daemon.ExitBucket || strings.Contains(errs, "wrong-wrong") || strings.Count(errs, "\n") != 1 {
		t.Errorf("with a wrong secret: exit %d: %s", code, errs)
	}
	w.set("AWS_SECRET_ACCESS_KEY", server.SecretKey)
	w.set("BUCKET", "s3://no-such-bucket")
	if code, _, errs := w.run(t.Context(), "publish", w.source); code != daemon.ExitBucket {
		t.Errorf("a missing bucket: exit %d: %s", code, errs)
	}
}

func TestAnInterruptedPublishExits130(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(daemon.Interrupt{Signal: "SIGINT"})
	if code, _, errs := w.run(ctx, "publish", w.source); code != daemon.ExitInterrupted {
		t.Errorf("exit %d: %s", code, errs)
	}
}
