package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket/buckettest"
	"snapswarm/common/daemon"
	"snapswarm/common/daemon/daemontest"
)

var update = flag.Bool("update", false, "write the generated parts of README.md")

func TestReadmeHasTheSettings(t *testing.T) {
	t.Parallel()
	daemontest.Help(t, newCommand)
	daemontest.Settings(t, "README.md", "gateway", &Config{}, *update)
	daemontest.ExitCodes(t, "README.md", *update)
}

const (
	salt = "demo"
	file = "chain.zst"
)

// freeAddr is an address that is free now.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	return ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// gateway is a whole process on loopback that no other process knows of.
type gateway struct {
	url, ops string
	stop     func()
}

func start(t *testing.T, dataDir string, args ...string) gateway {
	t.Helper()
	httpAddr, opsAddr := freeAddr(t), freeAddr(t)
	cmd := newCommand()
	cmd.SetArgs(append([]string{
		"--channel", buckettest.Channel(t, salt).String(), "--data-dir", dataDir, "--http-addr", httpAddr, "--metrics-addr", opsAddr,
		"--listen-addr", "127.0.0.1:0", "--dht-bootstrap", "none", "--allow-private", "--poll-interval", "1s", "--log-level", "debug",
	}, args...))
	ctx, cancel := context.WithCancelCause(context.Background()) //nolint:usetesting // outlives the test's context, to stop in order
	done := make(chan daemon.Exit)
	go func() { done <- daemon.Run(ctx, cmd, t.Output()) }()
	g := gateway{url: "http://" + httpAddr, ops: "http://" + opsAddr}
	stopped := false
	g.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel(daemon.Interrupt{Signal: "SIGTERM"})
		if code := <-done; code != daemon.ExitOK {
			t.Errorf("exit code %d after SIGTERM, want 0", code)
		}
	}
	t.Cleanup(g.stop)
	return g
}

// try is a GET that may fail while a process starts.
func try(t *testing.T, url string, header ...string) (status int, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, body
}

// wait repeats a GET until it succeeds.
func wait(t *testing.T, url string) []byte {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		status, body := try(t, url)
		if status == http.StatusOK {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s = %d %q for 30 s", url, status, body)
		}
	}
}

// Not parallel: metrics are global, and the last gateway that is started in this process gets them.
func TestFromBucketToCurl(t *testing.T) {
	folder, dataDir := t.TempDir(), t.TempDir()
	pub := buckettest.Publish(t, salt, file, "")
	pub.Write(t, folder)
	data := pub.Data
	origin := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer origin.Close()

	g := start(t, dataDir, "--bucket-url", origin.URL)
	if got := wait(t, g.url+"/demo/latest/"+file); !bytes.Equal(got, data) {
		t.Error("the bytes at latest are not those of the bucket")
	}
	status, part := try(t, g.url+"/demo/"+string(pub.Version)+"/"+file, "Range", "bytes=1000000-2000000")
	if status != http.StatusPartialContent || !bytes.Equal(part, data[1000000:2000001]) {
		t.Errorf("a range = %d with %d bytes, want 206 and those of the bucket", status, len(part))
	}
	if body := wait(t, g.ops+"/readyz?verbose"); !bytes.Contains(body, []byte("version "+pub.Version)) {
		t.Errorf("readyz = %q, want the version", body)
	}
	if body := wait(t, g.ops+"/metrics"); !bytes.Contains(body, []byte("snapswarm_gateway_requests_total")) {
		t.Error("metrics lack the requests")
	}

	t.Run("a gateway stands where a bucket can", func(t *testing.T) {
		second := start(t, t.TempDir(), "--bucket-url", g.url)
		if got := wait(t, second.url+"/demo/latest/"+file); !bytes.Equal(got, data) {
			t.Error("the bytes are not those of the first gateway")
		}
		second.stop()
	})

	t.Run("after a restart without any source", func(t *testing.T) {
		for { // until everything is on disk
			if body := wait(t, g.ops+"/readyz?verbose"); bytes.Contains(body, []byte("100 % here")) {
				break
			}
		}
		g.stop()
		origin.Close()
		again := start(t, dataDir)
		if got := wait(t, again.url+"/demo/latest/"+file); !bytes.Equal(got, data) {
			t.Error("the bytes are not those that were on disk")
		}
		again.stop()
	})
}

func TestWithoutAPointerNothingIsReady(t *testing.T) {
	t.Parallel()
	g := start(t, t.TempDir())
	wait(t, g.ops+"/livez")
	if status, body := try(t, g.ops+"/readyz"); status != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("no signed pointer")) {
		t.Errorf("readyz = %d %q, want 503 and the reason", status, body)
	}
	if status, _ := try(t, g.url+"/demo/latest/"+file); status != http.StatusServiceUnavailable {
		t.Errorf("latest = %d, want 503", status)
	}
	g.stop()
}

func TestMistakesAreOneLine(t *testing.T) {
	t.Parallel()
	taken := listen(t)
	t.Cleanup(func() { _ = taken.Close() })
	for name, tt := range map[string]struct {
		args []string
		code daemon.Exit
		line string
	}{
		"a taken HTTP port": {
			[]string{"--http-addr", taken.Addr().String()},
			daemon.ExitOther,
			"gateway: HTTP_ADDR: " + taken.Addr().String() + " is taken by another program: stop that one or choose another address\n",
		},
		"a taken swarm port": {
			[]string{"--listen-addr", taken.Addr().String()}, daemon.ExitOther, "gateway: LISTEN_ADDR: ",
		},
		"a channel that is none": {[]string{"--channel", "daily"}, daemon.ExitUsage, "gateway: "},
		"a public URL that is none": {
			[]string{"--public-url", "gw.test"}, daemon.ExitUsage, "gateway: PUBLIC_URL: want http://host or https://host/path, ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			cmd := newCommand()
			cmd.SetErr(io.Discard)
			cmd.SetArgs(append([]string{
				"--channel", buckettest.Channel(t, salt).String(), "--data-dir", t.TempDir(), "--http-addr", "127.0.0.1:0", "--listen-addr", "127.0.0.1:0",
				"--dht-bootstrap", "none", "--allow-private",
			}, tt.args...))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			code := daemon.Run(ctx, cmd, &stderr)
			if got := stderr.String(); code != tt.code || !strings.HasPrefix(got, tt.line) || strings.Count(got, "\n") != 1 {
				t.Errorf("exit %d and %q, want %d and one line %q", code, got, tt.code, tt.line)
			}
		})
	}
}
