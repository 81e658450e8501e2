package publish_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
)

func TestANewDownloadNameIsWarnedOf(t *testing.T) {
	b := newBench(t)
	var log strings.Builder
	b.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	const warning = "the download name changes"
	for _, step := range []struct {
		about, name, before string
	}{
		{"the first one of a channel", "", ""},
		{"the same name again", "ledger.tar.zst", ""},
		{"another name", "state.tar.zst", "ledger.tar.zst"},
		{"that other name again", "state.tar.zst", ""},
		{"back to the first", "", "state.tar.zst"},
	} {
		log.Reset()
		b.cfg.Name = step.name
		rep := b.mustPublish()
		if rep.FileBefore != step.before {
			t.Errorf("%s: file before = %q, want %q", step.about, rep.FileBefore, step.before)
		}
		if got, want := strings.Contains(log.String(), warning), step.before != ""; got != want {
			t.Errorf("%s: warned %v, want %v:\n%s", step.about, got, want, log.String())
		}
		if step.before != "" && !strings.Contains(log.String(), "old="+step.before+" new="+rep.File) {
			t.Errorf("%s: the warning does not tell both names:\n%s", step.about, log.String())
		}
	}
}

func TestANameIsNotComparedWithoutTheTorrentBefore(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"damaged": func(path string) error { return os.WriteFile(path, []byte("d4:infoi1ee"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			first := b.mustPublish()
			if err := damage(filepath.Join(b.bucket, bucket.InfoHashKey(first.InfoHash))); err != nil {
				t.Fatal(err)
			}
			b.cfg.Name = "state.tar.zst"
			if rep := b.mustPublish(); rep.FileBefore != "" {
				t.Errorf("file before = %q, though its torrent cannot be read", rep.FileBefore)
			}
		})
	}
}
