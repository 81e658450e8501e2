package pointer_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

func openRatchet(t *testing.T, dir string) *pointer.Ratchet {
	t.Helper()
	r, err := pointer.OpenRatchet(dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// last fails the test unless the ratchet's newest record has this seq; 0 means none.
func wantLast(t *testing.T, r *pointer.Ratchet, ch snapshot.Channel, seq int64) {
	t.Helper()
	rec, ok, err := r.Last(ch)
	if err != nil || ok != (seq > 0) || rec.Seq != seq {
		t.Errorf("Last = seq %d, %v, %v, want seq %d", rec.Seq, ok, err, seq)
	}
}

func TestRatchetOnlyMovesForward(t *testing.T) {
	dir, ch := filepath.Join(t.TempDir(), "made", "by", "open"), testChannel()
	for range 2 { // the second time with what the first left on disk
		r := openRatchet(t, dir)
		for _, step := range []struct {
			rec  pointer.Record
			want error
		}{
			{sign(t, 5, 1), nil},
			{sign(t, 5, 1), nil},
			{sign(t, 4, 1), pointer.ErrOlder},
			{sign(t, 5, 2), pointer.ErrConflict},
			{sign(t, 5, 3), pointer.ErrConflict},
			{sign(t, 5, 1), nil},
			{signRaw(6, "3:abc"), pointer.ErrMalformed},
			{sign(t, testTime.Add(11*time.Minute).UnixMilli(), 1), pointer.ErrFuture},
		} {
			if err := r.Accept(ch, step.rec, testTime); !errors.Is(err, step.want) {
				t.Errorf("Accept(seq %d) = %v, want %v", step.rec.Seq, err, step.want)
			}
		}
		wantLast(t, r, ch, 5)
	}
	r := openRatchet(t, dir)
	if err := r.Accept(ch, sign(t, 6, 9), testTime); err != nil {
		t.Errorf("a higher seq after a conflict = %v", err)
	}
	wantLast(t, openRatchet(t, dir), ch, 6)
	first, second, ok, err := openRatchet(t, dir).Conflict(ch)
	if err != nil || !ok || !first.Equal(sign(t, 5, 1)) || !second.Equal(sign(t, 5, 2)) {
		t.Errorf("Conflict = %v, %v, %v, %v, want the two records of seq 5", first, second, ok, err)
	}
}

func TestRatchetKeepsChannelsApart(t *testing.T) {
	r, daily := openRatchet(t, t.TempDir()), testChannel()
	otherKey, otherSalt := daily, daily
	otherKey.Key[5] ^= 1
	otherSalt.Salt = "daily2"
	if err := r.Accept(daily, sign(t, 5, 1), testTime); err != nil {
		t.Fatal(err)
	}
	wantLast(t, r, otherKey, 0)
	wantLast(t, r, otherSalt, 0)
	if err := r.Accept(otherKey, sign(t, 6, 1), testTime); !errors.Is(err, pointer.ErrWrongChannel) {
		t.Errorf("Accept of another key's record = %v, want %v", err, pointer.ErrWrongChannel)
	}
	if _, _, err := r.Last(snapshot.Channel{Salt: "../../etc/passwd"}); err == nil {
		t.Error("a salt with slashes became a file name")
	}
}

func TestDamagedRatchetIsSetAside(t *testing.T) {
	ch := testChannel()
	for name, damage := range map[string]func([]byte) []byte{
		"emptied":      func([]byte) []byte { return nil },
		"cut":          func(b []byte) []byte { return b[:len(b)/2] },
		"one bit":      func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"zeros":        func(b []byte) []byte { return make([]byte, len(b)) },
		"much too big": func(b []byte) []byte { return bytes.Repeat(b, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := openRatchet(t, dir).Accept(ch, sign(t, 5, 1), testTime); err != nil {
				t.Fatal(err)
			}
			path := onlyFile(t, dir)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o644); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			r, err := pointer.OpenRatchet(dir, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			wantLast(t, r, ch, 0)
			if !strings.Contains(log.String(), "set aside") {
				t.Errorf("log says %q, want a line about the damage", log.String())
			}
			if _, err := os.Stat(path + ".corrupt"); err != nil {
				t.Errorf("the damaged file is gone: %v", err)
			}
			if err := r.Accept(ch, sign(t, 6, 1), testTime); err != nil {
				t.Errorf("Accept afterwards = %v", err)
			}
			wantLast(t, openRatchet(t, dir), ch, 6)
		})
	}
}

func TestRatchetOfAnotherVersionIsLeftAlone(t *testing.T) {
	dir, ch := t.TempDir(), testChannel()
	if err := openRatchet(t, dir).Accept(ch, sign(t, 5, 1), testTime); err != nil {
		t.Fatal(err)
	}
	path := onlyFile(t, dir)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(b, []byte("7:versioni1e"), []byte("7:versioni2e"), 1)
	if err := os.WriteFile(path, newer, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := openRatchet(t, dir).Accept(ch, sign(t, 6, 1), testTime); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("Accept = %v, want a refusal that names the version", err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, newer) {
		t.Errorf("the file was touched: %v", err)
	}
}

func TestRatchetAcceptsNothingThatIsNotOnDisk(t *testing.T) {
	dir, ch := t.TempDir(), testChannel()
	r := openRatchet(t, dir)
	if err := r.Accept(ch, sign(t, 5, 1), testTime); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := r.Accept(ch, sign(t, 6, 1), testTime); err == nil {
		t.Error("Accept succeeded without a directory to write to")
	}
	wantLast(t, r, ch, 5)
}

func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("directory holds %v, %v, want one file", files, err)
	}
	name := files[0].Name()
	if !strings.Contains(name, "daily") || !strings.Contains(name, "03a107bff3ce10be") {
		t.Errorf("file is named %q, want salt and key in it", name)
	}
	return filepath.Join(dir, name)
}
