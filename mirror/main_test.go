package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"snapswarm/common/daemon"
)

// wantOnly fails unless stdout is one path, of a file with the given content.
func wantOnly(t *testing.T, stdout string, content []byte) {
	t.Helper()
	path, ok := strings.CutSuffix(stdout, "\n")
	got, err := os.ReadFile(path)
	if !ok || err != nil || !bytes.Equal(got, content) {
		t.Errorf("stdout %q, a file of %d bytes, %v, want only the path of the %d bytes published", stdout, len(got), err, len(content))
	}
}

func TestOnceFromTheBucketAlone(t *testing.T) {
	b := newBed(t)
	pub := b.publish(1)
	dir := t.TempDir()
	code, stdout, stderr := mirror(t.Context(), b.args(dir, "--once"))
	if code != daemon.ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	wantOnly(t, stdout, pub.archive)
	if want := filepath.Join(dir, salt, string(pub.version), file) + "\n"; stdout != want {
		t.Errorf("stdout %q, want %q", stdout, want)
	}

	before := b.served.Load()
	code, stdout, stderr = mirror(t.Context(), b.args(dir, "--once", "--extract"))
	if code != daemon.ExitOK {
		t.Fatalf("with --extract: exit code %d: %s", code, stderr)
	}
	wantOnly(t, stdout, pub.raw)
	if n := b.served.Load() - before; n != 0 {
		t.Errorf("the second run fetched %d bytes, want none", n)
	}
}

func TestOnceContinues(t *testing.T) {
	b := newBed(t)
	pub := b.publish(1)
	dir := t.TempDir()
	b.limit.Store(int64(len(pub.archive)) / 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for b.served.Load() < b.limit.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		cancel(daemon.Interrupt{Signal: "SIGTERM"})
	}()
	code, stdout, stderr := mirror(ctx, b.args(dir, "--once"))
	if code != daemon.ExitInterrupted || stdout != "" {
		t.Fatalf("interrupted: exit code %d, stdout %q, %s", code, stdout, stderr)
	}

	b.limit.Store(1 << 40)
	code, stdout, stderr = mirror(t.Context(), b.args(dir, "--once"))
	if code != daemon.ExitOK {
		t.Fatalf("second run: exit code %d: %s", code, stderr)
	}
	wantOnly(t, stdout, pub.archive)
	// What was in flight at the interruption is lost, complete pieces are not.
	if got, most := b.served.Load(), int64(len(pub.archive))*13/10; got > most {
		t.Errorf("%d bytes fetched for %d, want at most %d: the first run's pieces were not used", got, len(pub.archive), most)
	}
}

func TestOnceSaysWhatIsWrong(t *testing.T) {
	b := newBed(t)
	b.age = 2 * time.Hour
	b.publish(1)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notDir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	otherKey := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	forged := newBed(t)
	forged.announce(forged.pack(1), otherKey)
	empty := newBed(t)
	dataless := newBed(t)
	dataless.announce(dataless.pack(1), dataless.key)
	stopping := newBed(t)
	stopping.publish(1)
	stopping.limit.Store(1 << 20)
	link := b.channel.String()
	for _, tt := range []struct {
		name  string
		args  []string
		code  daemon.Exit
		words []string
	}{
		{"no channel", []string{"--once", "--data-dir", t.TempDir()}, daemon.ExitUsage, []string{"CHANNEL", "AUTHORITY_PUBKEY"}},
		{"bad link", b.args(t.TempDir(), "--once", "--channel", "magnet:?xt=urn:btih:1"), daemon.ExitUsage, []string{"magnet"}},
		{"one channel twice", b.args(t.TempDir(), "--once", "--channel", link+","+link), daemon.ExitUsage, []string{salt}},
		{
			name: "nobody to ask for the pointer",
			args: []string{"--once", "--channel", link, "--data-dir", t.TempDir(), "--listen-addr", "127.0.0.1:0", "--dht-bootstrap", "none", "--seed-peers", "127.0.0.1:9"},
			code: daemon.ExitUsage, words: []string{"DHT_BOOTSTRAP", "BUCKET_URL"},
		},
		{"unknown flag", []string{"--onec"}, daemon.ExitUsage, []string{"onec"}},
		{"argument", []string{"once"}, daemon.ExitUsage, []string{"once"}},
		{"bad count", b.args(t.TempDir(), "--retain", "-1"), daemon.ExitUsage, []string{"--retain", "auto"}},
		{"no poll interval", b.args(t.TempDir(), "--poll-interval", "0"), daemon.ExitUsage, []string{"POLL_INTERVAL"}},
		{"data folder is a file", b.args(notDir, "--once"), daemon.ExitDisk, []string{"DATA_DIR", notDir}},
		{"metrics port taken", b.args(t.TempDir(), "--metrics-addr", taken.Addr().String()), daemon.ExitOther, []string{"METRICS_ADDR", "taken"}},
		{"peer port taken", b.args(t.TempDir(), "--listen-addr", taken.Addr().String()), daemon.ExitOther, []string{"LISTEN_ADDR"}},
		{"no pointer", empty.args(t.TempDir(), "--once", "--pointer-timeout", "1"), daemon.ExitNoPointer, []string{"no pointer found", empty.url}},
		{"wrong key", forged.args(t.TempDir(), "--once"), daemon.ExitRefused, []string{"pointer of another channel"}},
		{"no data", dataless.args(t.TempDir(), "--once", "--stall-timeout", "3"), daemon.ExitNoData, []string{"404"}},
		{"data stops", stopping.args(t.TempDir(), "--once", "--stall-timeout", "3"), daemon.ExitStalled, []string{"nothing new for"}},
		{"too old", b.args(t.TempDir(), "--once", "--max-age", "1h"), daemon.ExitStale, []string{"MAX_AGE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := mirror(t.Context(), append(tt.args, "--log-level", "error"))
			if code != tt.code || stdout != "" {
				t.Errorf("exit code %d, stdout %q, want %d and nothing: %s", code, stdout, tt.code, stderr)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "mirror: ") {
				t.Errorf("stderr %q, want one line", stderr)
			}
			for _, w := range tt.words {
				if !strings.Contains(stderr, w) {
					t.Errorf("%q does not say %q", stderr, w)
				}
			}
		})
	}
}

// daemonOf runs a mirror until the test ends or stop is called.
func daemonOf(t *testing.T, args []string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan string, 1)
	go func() {
		code, _, stderr := mirror(ctx, args)
		ended <- fmt.Sprintf("%d\n%s", code, stderr)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel(daemon.Interrupt{Signal: "SIGTERM"})
		if text := <-ended; !strings.HasPrefix(text, "0\n") {
			t.Errorf("the daemon ended with %s", text)
		} else {
			t.Log(text)
		}
	}
	t.Cleanup(stop)
	return stop
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func TestDaemonSeedsTheOldVersionUntilTheNewOneIsComplete(t *testing.T) {
	b := newBed(t)
	one, two := b.pack(1), b.pack(2)
	rec := b.announce(one, b.key)
	seeder := b.join()
	b.seed(seeder, one)
	dir, port, ops := t.TempDir(), freePort(t), "http://127.0.0.1:"+strconv.Itoa(freePort(t))
	stop := daemonOf(t, b.args(dir,
		"--listen-addr", "127.0.0.1:"+strconv.Itoa(port), "--seed-peers", net.JoinHostPort("127.0.0.1", strconv.Itoa(seeder.Port())),
		"--metrics-addr", strings.TrimPrefix(ops, "http://"), "--poll-interval", "1", "--retain", "0", "--stall-timeout", "3"))
	ready := func(want int, words ...string) func() error {
		return func() error {
			code, body := get(t, ops+"/readyz?verbose")
			err := fmt.Errorf("%d %s, want %d and %q", code, body, want, words)
			for _, w := range words {
				if !strings.Contains(body, w) {
					return err
				}
			}
			if code != want {
				return err
			}
			return nil
		}
	}
	eventually(t, "version one", ready(http.StatusOK, "seeding "+string(one.version)))

	// Version two is announced, but nobody has its data yet.
	b.announce(two, b.key)
	eventually(t, "version two waits", ready(http.StatusServiceUnavailable, string(two.version), "no source has the data"))
	if code, body := get(t, ops+"/livez"); code != http.StatusOK {
		t.Errorf("livez: %d %s, want 200: a restart would mend nothing", code, body)
	}
	if _, body := get(t, ops+"/metrics"); !strings.Contains(body, `snapswarm_mirror_ready{channel="daily"`) {
		t.Errorf("metrics have no readiness of the channel:\n%s", body)
	}
	// The mirror alone gives version one to somebody new.
	h, err := b.join(port).Open(t.Context(), b.channel, rec)
	if err != nil {
		t.Fatal(err)
	}
	h.Snapshot.Start()
	eventually(t, "version one from the mirror", func() error {
		if s := h.Snapshot.Stats(); s.FromPeers != one.torrent.Length {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})

	b.seed(seeder, two)
	eventually(t, "version two", ready(http.StatusOK, "seeding "+string(two.version)))
	got, err := os.ReadFile(filepath.Join(dir, salt, string(two.version), file))
	if err != nil || !bytes.Equal(got, two.archive) {
		t.Errorf("version two has other bytes, %v", err)
	}
	eventually(t, "one is gone", func() error {
		if _, err := os.Stat(filepath.Join(dir, salt, string(one.version))); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("stat: %w", err)
		}
		return nil
	})
	stop()
}
