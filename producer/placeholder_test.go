package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/archive"
	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// below are the files in a folder and their content.
func (w *world) below(dir string) map[string]string {
	w.t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sum := sha256.Sum256(b)
		found[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// linkIn is the channel of a report.
func linkIn(t *testing.T, report string) snapshot.Channel {
	t.Helper()
	for line := range strings.Lines(report) {
		if name, link, _ := strings.Cut(line, " "); name == "channel" {
			ch, err := snapshot.ParseChannel(strings.TrimSpace(link))
			if err != nil {
				t.Fatal(err)
			}
			return ch
		}
	}
	t.Fatalf("no channel in the report:\n%s", report)
	return snapshot.Channel{}
}

func TestAPlaceholderHasAChannelOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.mustRun("publish", w.source)
	chain, files := w.status(), w.below(filepath.Join(w.bucket, "chain"))
	channel, _ := snapshot.ParseChannel(chain.Channel)

	out := w.mustRun("publish", "--placeholder", "3MiB")
	ch := linkIn(t, out)
	if ch.Salt != "chain-placeholder" || ch.Key != channel.Key {
		t.Errorf("it is on %s, want chain-placeholder of the same key", ch)
	}
	for _, want := range []string{"placeholder.zst", "3.0 MiB (3,145,728 bytes) raw", "/chain-placeholder/"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	if now := w.status(); now.Newest.InfoHash != chain.Newest.InfoHash || now.Sources[0].Seq != chain.Sources[0].Seq {
		t.Errorf("the real channel has moved: %+v", now.Newest)
	}
	after := w.below(filepath.Join(w.bucket, "chain"))
	for path, sum := range files {
		if after[path] != sum {
			t.Errorf("%s has changed", path)
		}
	}
	if len(after) != len(files) {
		t.Errorf("the real channel has %d files, had %d", len(after), len(files))
	}

	w.set("AUTHORITY_KEY", "")
	w.set("CHANNEL", ch.String())
	st := w.status()
	packed, err := os.Open(filepath.Join(w.bucket, "chain-placeholder", st.Newest.Version, st.Newest.File))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	got := w.unpacked(packed)
	want, err := publish.Placeholder(3<<20, 0).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(want); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("the archive holds %d other bytes than were generated, %v", len(got), err)
	}
}

// unpacked is the raw data of an archive.
func (w *world) unpacked(f *os.File) []byte {
	w.t.Helper()
	fi, err := f.Stat()
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := archive.NewReader(f, fi.Size(), archive.Limits{RawSize: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.RawSize()))
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func TestMistakesWithPlaceholders(t *testing.T) {
	for _, row := range []struct {
		name string
		env  string
		args []string
		say  string
	}{
		{"both", "", []string{"--placeholder", "1MiB", "x"}, "leave out PATH"},
		{"neither", "", nil, "publish PATH | --placeholder SIZE"},
		{"nothing", "", []string{"--placeholder", "0"}, "at least 1 byte"},
		{"no size", "", []string{"--placeholder", "much"}, `"512MiB"`},
		{"a negative size", "", []string{"--placeholder=-1MiB"}, `"512MiB"`},
		{"a bad name", "DHT_SALT=Chain", []string{"--placeholder", "1MiB"}, "DHT_SALT"},
		{"a reserved name", "DHT_SALT=latest", []string{"--placeholder", "1MiB"}, "DHT_SALT"},
		{"a bad link", "CHANNEL=magnet:?x", []string{"--placeholder", "1MiB"}, "CHANNEL"},
		{"another's link", "CHANNEL=magnet:?xs=urn:btpk:" + strings.Repeat("ab", 32) + "&s=6162", []string{"--placeholder", "1MiB"}, "CHANNEL belongs to"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			if key, value, ok := strings.Cut(row.env, "="); ok {
				w.set(key, value)
			}
			code, _, errs := w.run(t.Context(), append([]string{"publish"}, row.args...)...)
			if code != daemon.ExitUsage || !strings.Contains(errs, row.say) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit %d; stderr wants one line with %q:\n%s", code, row.say, errs)
			}
			if found := w.below(w.bucket); len(found) > 0 {
				t.Errorf("something was stored: %v", found)
			}
		})
	}
}

func TestAPlaceholderTakesTheNameFromALink(t *testing.T) {
	w := newWorld(t)
	out := w.mustRun("publish", "--placeholder", "1k")
	link := linkIn(t, out)
	link.Salt = "other"
	w.set("CHANNEL", link.String())
	if ch := linkIn(t, w.mustRun("publish", "--placeholder", "1k")); ch.Salt != "other-placeholder" {
		t.Errorf("it is on %s", ch.Salt)
	}
	w.set("AUTHORITY_KEY", "") // a dry run needs none
	if out := w.mustRun("publish", "--placeholder", "1k", "--dry-run"); !strings.Contains(out, "other-placeholder/") || strings.Contains(out, "it would be the first") {
		t.Errorf("the dry run says:\n%s", out)
	}
}

func TestAPlaceholderBesideServe(t *testing.T) {
	w := newWorld(t)
	w.serving()
	code, _, errs := w.run(t.Context(), "publish", "--placeholder", "1MiB")
	if code != daemon.ExitTaken || !strings.Contains(errs, "another DATA_DIR") {
		t.Errorf("in the folder of serve: exit %d: %s", code, errs)
	}
	w.set("DATA_DIR", filepath.Join(w.dir, "elsewhere"))
	w.mustRun("publish", "--placeholder", "1MiB")
}

// TestAPlaceholderIsHandedOver to a serve that keeps the placeholder's channel alive.
func TestAPlaceholderIsHandedOver(t *testing.T) {
	w := newWorld(t)
	w.set("DHT_SALT", "chain-placeholder")
	w.serve()
	w.eventually("a desk", func() bool {
		_, err := os.Stat(filepath.Join(w.dir, "data", ".producer", "chain-placeholder", "desk", "socket"))
		return err == nil
	})
	w.set("DHT_SALT", "chain")
	out := w.mustRun("publish", "--placeholder", "2MiB")
	if ch := linkIn(t, out); ch.Salt != "chain-placeholder" || !strings.Contains(out, "(2,097,152 bytes) raw") {
		t.Errorf("the report says:\n%s", out)
	}
}
