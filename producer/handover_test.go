package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"snapswarm/common/daemon"
)

// elsewhere makes a source beside the watched one.
func (w *world) elsewhere(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(strings.Repeat(content, 10_000)), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// serving waits until serve has published its source and takes orders.
func (w *world) serving(env ...string) *background {
	w.t.Helper()
	b := w.serve(append([]string{"SNAPSHOT_SOURCE=" + w.source, "POLL_INTERVAL=50ms"}, env...)...)
	w.eventually("a pointer in the bucket, and a desk", func() bool {
		code, _, _ := w.run(w.t.Context(), "status")
		_, err := os.Stat(filepath.Join(w.dir, "data", ".producer", "chain", "desk", "socket"))
		return code == daemon.ExitOK && err == nil
	})
	return b
}

func TestPublishHandsOverToServe(t *testing.T) {
	w := newWorld(t)
	b := w.serving()
	first := w.status()
	other := w.elsewhere("other.ldb", "by hand ")
	t.Chdir(w.dir)
	out := w.mustRun("publish", "other.ldb", "--height", "77")
	second := w.status()
	if second.Newest.Previous != first.Newest.InfoHash || second.Newest.File != "other.ldb.zst" || second.Newest.Height != 77 {
		t.Errorf("the newest is %+v, want %s of height 77 after %s", second.Newest, other, first.Newest.InfoHash)
	}
	for _, part := range []string{"published", second.Newest.InfoHash, second.Newest.SHA256, "other.ldb.zst", "dht", "expires"} {
		if !strings.Contains(out, part) {
			t.Errorf("the report does not say %q:\n%s", part, out)
		}
	}
	if second.Holder == nil || second.Holder.PID != os.Getpid() {
		t.Errorf("the channel is held by %v", second.Holder)
	}

	for _, row := range []struct {
		name  string
		args  []string
		code  daemon.Exit
		words []string
	}{
		{"a setting of its own", []string{"publish", other, "--compression", "best", "--piece-length", "1MiB"}, daemon.ExitUsage, []string{`COMPRESSION ("best", there "fastest")`, "PIECE_LENGTH"}},
		{"the key", []string{"publish", filepath.Dir(w.bucket)}, daemon.ExitUsage, []string{"DATA_DIR", "would become part"}},
		{"a lower height", []string{"publish", other, "--height", "76"}, daemon.ExitUsage, []string{"77", "--force"}},
		{"standard input", []string{"publish", "-", "--name", "other.ldb.zst"}, daemon.ExitTaken, []string{"held by process", "standard input"}},
		{"an empty file", []string{"publish", w.elsewhere("empty", "")}, daemon.ExitSource, []string{"empty"}},
	} {
		code, out, errs := w.run(t.Context(), row.args...)
		if code != row.code || out != "" {
			t.Errorf("%s: exit %d, want %d: %s%s", row.name, code, row.code, out, errs)
		}
		for _, word := range row.words {
			if !strings.Contains(errs, word) {
				t.Errorf("%s: %q does not say %q", row.name, errs, word)
			}
		}
	}
	w.run(t.Context(), "publish", other, "--height", "78", "--dry-run")
	if now := w.status(); now.Newest.InfoHash != second.Newest.InfoHash {
		t.Errorf("something else was published: %+v", now.Newest)
	}
	if out := w.mustRun("publish", other, "--height", "76", "--force"); !strings.Contains(out, "published") {
		t.Errorf("with --force: %s", out)
	}
	b.stop()
	if b.code != daemon.ExitOK {
		t.Errorf("serve ended with %d: %s", b.code, b.errs)
	}
	w.mustRun("publish", other, "--height", "80") // by itself
}

func TestServeRefusesItsOwnSecrets(t *testing.T) {
	w := newWorld(t)
	secret := w.elsewhere("chain.key", "")
	if err := os.WriteFile(secret, []byte(strings.Repeat("17", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.set("AUTHORITY_KEY", "")
	w.serving("AUTHORITY_KEY_FILE=" + secret)
	w.set("AUTHORITY_KEY_FILE", "")
	w.set("AUTHORITY_KEY", strings.Repeat("17", 32)) // so that only serve knows the file
	code, _, errs := w.run(t.Context(), "publish", secret)
	if code != daemon.ExitUsage || !strings.Contains(errs, "AUTHORITY_KEY_FILE") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestInterruptingTheCallerCancels: while the publication waits for a public address that does not answer.
func TestInterruptingTheCallerCancels(t *testing.T) {
	w := newWorld(t)
	var silent atomic.Bool
	asked := make(chan struct{}, 100)
	files := http.FileServer(http.Dir(w.bucket))
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		files.ServeHTTP(out, r)
	}))
	t.Cleanup(server.Close)
	w.serving("PUBLIC_URL=" + server.URL)
	first := w.status()
	other := w.elsewhere("other.ldb", "by hand ")

	silent.Store(true)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(daemon.Interrupt{Signal: "SIGINT"})
	}()
	if code, _, errs := w.run(ctx, "publish", other); code != daemon.ExitInterrupted {
		t.Errorf("exit %d: %s", code, errs)
	}
	silent.Store(false)
	if now := w.status(); now.Newest.InfoHash != first.Newest.InfoHash {
		t.Errorf("it was published nevertheless: %+v", now.Newest)
	}
	w.mustRun("publish", other)
	if now := w.status(); now.Newest.Previous != first.Newest.InfoHash {
		t.Errorf("the next one follows %s, want %s", now.Newest.Previous, first.Newest.InfoHash)
	}
}

func TestAnotherMachineIsRefused(t *testing.T) {
	w := newWorld(t)
	w.serving()
	first := w.status()
	w.set("DATA_DIR", filepath.Join(w.dir, "another machine"))
	for _, args := range [][]string{{"publish", w.source}, {"serve"}} {
		code, _, errs := w.run(t.Context(), args...)
		if code != daemon.ExitTaken || !strings.Contains(errs, "held by process") || !strings.Contains(errs, "lease") {
			t.Errorf("%s: exit %d: %s", args[0], code, errs)
		}
	}
	if now := w.status(); now.Newest.InfoHash != first.Newest.InfoHash {
		t.Errorf("something was published: %+v", now.Newest)
	}
}
