package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// get returns the status and the body of an answer, 0 when there is none.
func (w *world) get(url string) (status int, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestServeTellsThatItCannotPublish(t *testing.T) {
	w := newWorld(t)
	w.mustRun("publish", w.source) // the pointer is valid all the time
	if err := os.RemoveAll(w.source); err != nil {
		t.Fatal(err)
	}
	ops := freePort(t)
	w.serve("SNAPSHOT_SOURCE="+w.source, "SNAPSHOT_COMMAND=", "PUBLISH_EVERY=1h", "METRICS_ADDR="+ops)
	var ready string
	w.eventually("a failure", func() bool {
		var status int
		status, ready = w.get("http://" + ops + "/readyz?verbose")
		return status == http.StatusServiceUnavailable && strings.Contains(ready, "[-] publication: failing since 2") &&
			strings.Contains(ready, "[+] pointer")
	})
	if !strings.Contains(ready, "[+] lease: until 2") || !strings.Contains(ready, filepath.Base(w.source)) {
		t.Errorf("readyz says:\n%s", ready)
	}
	_, metrics := w.get("http://" + ops + "/metrics")
	found := false
	for line := range strings.Lines(metrics) {
		found = found || strings.HasPrefix(line, "snapswarm_publish_publications_total{") && strings.Contains(line, `result="error"`)
	}
	if !found {
		t.Error("no metric counts the failure")
	}
}
