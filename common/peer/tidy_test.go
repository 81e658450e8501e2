package peer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAStartRemovesWhatAnInterruptedRunLeft: temporary files of every folder, versions of which the torrent was not written yet, and
// those that were being deleted. Archives without a torrent are not touched: a publisher may be packing them.
func TestAStartRemovesWhatAnInterruptedRunLeft(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"daily/.durable-1", "daily/.verified/.durable-2", "daily/20261120T060000Z/.durable-3", "daily/20261120T060000Z/chain.zst",
		"daily/20261121T060000Z/.durable-4", "daily/.discarded-20261119T060000Z/chain.zst", "dht/.durable-5", "daily/.durable-dir/x",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := join(t, settings(dir)).Close(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, pattern := range []string{"daily/*", "daily/*/*", "dht/*"} {
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, name := range names {
			left = append(left, strings.TrimPrefix(name, dir+"/"))
		}
	}
	const want = "daily/.durable-dir daily/.verified daily/20261120T060000Z daily/channel daily/.durable-dir/x daily/20261120T060000Z/chain.zst"
	if got := strings.Join(left, " "); got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}

// TestADiscardThatIsInterruptedIsFinished: a version that is being deleted is none any more.
func TestADiscardThatIsInterruptedIsFinished(t *testing.T) {
	base, fill := bucketOf(t)
	fill(publish(t, ""))
	s := settings(t.TempDir())
	s.BucketURL = []string{base}
	p := join(t, s)
	h := fetch(t, p)
	// What a crash after the first step of Discard leaves.
	folder := func(name string) string { return filepath.Join(s.DataDir, salt, name) }
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder(string(h.Version)), folder(".discarded-"+string(h.Version))); err != nil {
		t.Fatal(err)
	}
	again := join(t, settings(s.DataDir))
	if held := again.Holdings(salt); len(held) != 0 {
		t.Errorf("%d holdings, want none", len(held))
	}
	for _, name := range []string{string(h.Version), ".discarded-" + string(h.Version)} {
		if _, err := os.Stat(folder(name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}
