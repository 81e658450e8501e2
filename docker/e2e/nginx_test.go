//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestADirectoryBehindNginx has no S3 at all: the bucket is a folder, and nginx is its public address.
func TestADirectoryBehindNginx(t *testing.T) {
	w := newWorld(t)
	www := filepath.Join(t.TempDir(), "www")
	w.ok(os.Mkdir(www, 0o755))
	url := w.nginx(www)
	source := w.ledger(6 << 20)
	e := w.run("publisher", "producer", []string{"publish", source}, alone(stack.Env{"BUCKET": "file://" + www, "PUBLIC_URL": url}))
	if e.code != 0 {
		t.Fatal(e)
	}
	e = w.once("mirror", alone(stack.Env{"BUCKET_URL": url}), "--extract")
	if e.code != 0 {
		t.Fatal(e)
	}
	path := strings.TrimSuffix(e.stdout, "\n")
	w.sameTree(path, source)

	// The same folder is what curl's users take directly.
	dir, key := t.TempDir(), w.Channel.Salt+"/"+filepath.Base(path)+"/ledger.tar.zst"
	must(t, w.ctx, dir, need(t, "curl"), "-sSfO", url+"/"+key)
	archive, err := os.ReadFile(filepath.Join(www, key))
	w.ok(err)
	w.same(filepath.Join(dir, "ledger.tar.zst"), archive)
	if status, _, _ := w.get(url + "/" + bucket.PointerKey(w.Channel.Salt)); status != http.StatusOK {
		t.Errorf("the pointer: %d, want 200", status)
	}
}

// nginx serves a folder until the end of the test.
func (w *world) nginx(www string) (url string) {
	w.t.Helper()
	path, dir := need(w.t, "nginx"), w.t.TempDir()
	addr, err := stack.FreeAddr(w.ctx)
	w.ok(err)
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // our temporary folders are ours alone
	}
	config := filepath.Join(dir, "nginx.conf")
	w.write(config, fmt.Appendf(nil, `%s
daemon off;
pid %[2]s/pid;
error_log %[2]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
	server { listen %[3]s; root %[4]s; }
}
`, user, dir, addr, www), 0o600)
	cmd := exec.Command(path, "-c", config, "-e", filepath.Join(dir, "error.log")) //nolint:noctx // ended below
	w.ok(cmd.Start())
	w.t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			w.t.Error(err)
		}
		_ = cmd.Wait() // ended by our signal
	})
	w.eventually("nginx answers", func() bool {
		req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, "http://"+addr+"/", nil)
		w.ok(err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
	return "http://" + addr
}
