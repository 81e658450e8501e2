package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/dht"
	"snapswarm/producer/publish"
)

// world is a directory as the bucket, a web server in front of it, a key and a source, all told by the environment.
type world struct {
	t      *testing.T
	dir    string
	bucket string
	source string
	in     io.Reader // standard input
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), in: strings.NewReader("a stream of bytes")}
	w.bucket, w.source = filepath.Join(w.dir, "www"), filepath.Join(w.dir, "ledger")
	if err := errors.Join(os.Mkdir(w.bucket, 0o755), os.Mkdir(w.source, 0o755)); err != nil {
		t.Fatal(err)
	}
	w.write("data.ldb", bytes.Repeat([]byte("all the balances "), 50_000))
	server := httptest.NewServer(http.FileServer(http.Dir(w.bucket)))
	t.Cleanup(server.Close)
	w.set("AUTHORITY_KEY", strings.Repeat("17", 32))
	w.set("DHT_SALT", "chain")
	w.set("BUCKET", "file://"+w.bucket)
	w.set("PUBLIC_URL", server.URL)
	w.set("DATA_DIR", filepath.Join(w.dir, "data"))
	w.set("DHT_BOOTSTRAP", "none")
	w.set("LISTEN_ADDR", "127.0.0.1:0")
	w.set("ALLOW_PRIVATE", "true")
	w.set("COMPRESSION", "fastest")
	return w
}

func (w *world) set(key, value string) { w.t.Helper(); w.t.Setenv(key, value) }

func (w *world) write(name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.source, name), content, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// run executes the command as main does.
func (w *world) run(ctx context.Context, args ...string) (code daemon.Exit, stdout, stderr string) {
	var out, errs bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetIn(w.in)
	code = daemon.Run(ctx, cmd, &errs)
	return code, out.String(), errs.String()
}

func (w *world) mustRun(args ...string) string {
	w.t.Helper()
	code, out, errs := w.run(w.t.Context(), args...)
	if code != daemon.ExitOK {
		w.t.Fatalf("producer %s: exit %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

func (w *world) status() publish.Status {
	w.t.Helper()
	var st publish.Status
	if err := json.Unmarshal([]byte(w.mustRun("status", "--json")), &st); err != nil {
		w.t.Fatal(err)
	}
	return st
}

// background is a running producer serve.
type background struct {
	cancel context.CancelCauseFunc
	code   daemon.Exit
	errs   string
	done   sync.WaitGroup
}

func (w *world) serve(env ...string) *background {
	w.t.Helper()
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		w.set(key, value)
	}
	b := &background{}
	ctx, cancel := context.WithCancelCause(w.t.Context())
	b.cancel = cancel
	b.done.Go(func() { b.code, _, b.errs = w.run(ctx, "serve") })
	w.t.Cleanup(func() { b.stop() })
	return b
}

// stop does what SIGTERM does.
func (b *background) stop() {
	b.cancel(daemon.Interrupt{Signal: "SIGTERM"})
	b.done.Wait()
}

// eventually polls until ok is true.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func freePort(t *testing.T) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

func (w *world) ready(url string) bool {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// dhtNodes starts a private DHT and returns its nodes and their addresses.
func dhtNodes(t *testing.T, n int) (nodes []*dht.Node, addrs []string) {
	t.Helper()
	for range n {
		conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		node, err := dht.New(dht.Config{Conn: conn, Bootstrap: append([]string{}, addrs...), Private: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var life sync.WaitGroup
		life.Go(func() { _ = node.Run(ctx) })
		t.Cleanup(func() {
			cancel()
			life.Wait()
			_ = node.Close()
		})
		nodes, addrs = append(nodes, node), append(addrs, conn.LocalAddr().String())
	}
	return nodes, addrs
}
