package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/daemon"
)

// TestNothingPrivateIsPublished has a row for each way in which a secret, or the publisher's own folders, could get into
// a snapshot.
func TestNothingPrivateIsPublished(t *testing.T) {
	for _, row := range []struct {
		name   string
		set    string // setting, which gets the path of a file in the source
		file   string // its name there
		source string // relative to the world's folder
		say    string
	}{
		{"the signing key", "AUTHORITY_KEY_FILE", "ledger/keys/chain.key", "ledger", "AUTHORITY_KEY_FILE"},
		{"the signing key alone", "AUTHORITY_KEY_FILE", "chain.key", "chain.key", "AUTHORITY_KEY_FILE"},
		{"the signing key under another name", "AUTHORITY_KEY_FILE", "hard.link", "ledger", "AUTHORITY_KEY_FILE"},
		{"the signing key behind a link", "AUTHORITY_KEY_FILE", "ledger/chain.key", "soft.link", "AUTHORITY_KEY_FILE"},
		{"the bucket's secret", "S3_SECRET_ACCESS_KEY_FILE", "ledger/secret", "ledger", "S3_SECRET_ACCESS_KEY_FILE"},
		{"the bucket's token", "S3_SESSION_TOKEN_FILE", "ledger/token", "ledger", "S3_SESSION_TOKEN_FILE"},
		{"the data folder", "DATA_DIR", "ledger/data", "ledger", "DATA_DIR"},
		{"the bucket", "", "", ".", "BUCKET"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			path := filepath.Join(w.dir, row.file)
			if strings.HasSuffix(row.set, "_FILE") {
				w.set(strings.TrimSuffix(row.set, "_FILE"), "")
				w.secret(path)
			}
			if row.set != "" {
				w.set(row.set, path)
			}
			if row.file == "hard.link" {
				if err := os.Link(path, filepath.Join(w.source, "renamed")); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(w.source, filepath.Join(w.dir, "soft.link")); err != nil {
				t.Fatal(err)
			}
			if row.say == "BUCKET" {
				w.set("DATA_DIR", t.TempDir())
			}
			source := filepath.Join(w.dir, row.source)
			w.set("SNAPSHOT_SOURCE", source)
			for _, args := range [][]string{{"publish", source}, {"serve"}} {
				code, _, errs := w.run(t.Context(), args...)
				if code != daemon.ExitUsage || !strings.Contains(errs, row.say+" (") || strings.Count(errs, "\n") != 1 {
					t.Errorf("%s: exit %d, want %d and one line that names %s: %s", args[0], code, daemon.ExitUsage, row.say, errs)
				}
			}
			if entries, err := os.ReadDir(w.bucket); err != nil || len(entries) != 0 {
				t.Errorf("the bucket holds %v, %v", entries, err)
			}
		})
	}
}

// secret writes something that is a signing key, and good enough as any other secret.
func (w *world) secret(path string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("17", 32)+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestStandardInputMayNotBeTheKey(t *testing.T) {
	w := newWorld(t)
	key := filepath.Join(w.dir, "chain.key")
	w.secret(key)
	w.set("AUTHORITY_KEY", "")
	w.set("AUTHORITY_KEY_FILE", key)
	w.set("NAME", "data.zst")
	f, err := os.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w.in = f
	if code, _, errs := w.run(t.Context(), "publish", "-"); code != daemon.ExitUsage || !strings.Contains(errs, "AUTHORITY_KEY_FILE") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
