//go:build e2e

package e2e_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/docker/stack"
)

func sha1Of(info string) snapshot.InfoHash { return sha1.Sum([]byte(info)) }

// says fails unless a command ended with a code and one line on stderr that has all the words.
func (e ended) says(t *testing.T, command string, code int, words ...string) {
	t.Helper()
	if e.code != code || strings.Count(e.stderr, "\n") != 1 || !strings.HasPrefix(e.stderr, command+": ") {
		t.Errorf("%s; want exit code %d and one line on stderr that begins with %q", e, code, command+": ")
	}
	for _, word := range words {
		if !strings.Contains(e.stderr, word) {
			t.Errorf("%q does not say %q", e.stderr, word)
		}
	}
	if e.stdout != "" {
		t.Errorf("stdout has %q, want nothing", e.stdout)
	}
}

// TestBadPointersAndTorrents offers a mirror that holds a right version every sort of wrong pointer and torrent. It refuses
// each with a line and a code, and keeps what it has.
func TestBadPointersAndTorrents(t *testing.T) {
	w := newWorld(t)
	f := w.forge()
	old := f.pack(1, random(1, 600<<10), nil)
	good := f.pack(2, random(2, 600<<10), nil)
	oldRecord := f.publish(1, old)
	if e := f.fetch("holder"); e.code != 0 {
		t.Fatal(e)
	}
	goodRecord := f.publish(2, good)
	e := f.fetch("holder")
	if e.code != 0 {
		t.Fatal(e)
	}
	path := strings.TrimSuffix(e.stdout, "\n")
	w.same(path, good.archive)
	pointerKey := bucket.PointerKey(w.Channel.Salt)

	info := func(name, pieces string) string {
		return fmt.Sprintf("d6:lengthi262144e4:name%d:%s12:piece lengthi262144e6:pieces%d:%se", len(name), name, len(pieces), pieces)
	}
	for _, row := range []struct {
		name  string
		forge func()
		code  int
		words []string
	}{
		{"an older one", func() { f.put(pointerKey, oldRecord.Encode()) }, 11, []string{"older than the pointer already accepted", f.url}},
		{"another key's", func() {
			rec, err := pointer.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), w.Channel.Salt, f.seq(3), pointer.Pointer{InfoHash: good.torrent.InfoHash})
			w.ok(err)
			f.put(pointerKey, rec.Encode())
		}, 11, []string{"pointer of another channel"}},
		{"one with a wrong signature", func() {
			rec := goodRecord
			rec.Seq = f.seq(3)
			f.put(pointerKey, rec.Encode())
		}, 11, []string{"wrong signature"}},
		{"a value of 1001 bytes", func() { f.put(pointerKey, f.sign(f.seq(3), []byte("997:"+strings.Repeat("x", 997))).Encode()) }, 11, []string{"too large", "1001"}},
		{"a file without end", func() { f.put(pointerKey, bytes.Repeat([]byte("x"), 1<<20)) }, 11, []string{"too large"}},
		{"no record at all", func() { f.put(pointerKey, []byte("<html>not found</html>")) }, 11, []string{"malformed"}},
		{"one from the future", func() {
			rec, err := pointer.Sign(f.key, w.Channel.Salt, f.seq(100+3600), pointer.Pointer{InfoHash: good.torrent.InfoHash})
			w.ok(err)
			f.put(pointerKey, rec.Encode())
		}, 11, []string{"from the future", "clock"}},
		{"none", func() { w.ok(os.Remove(filepath.Join(f.dir, pointerKey))) }, 10, []string{"no pointer found", "--allow-stale"}},
	} {
		t.Run("pointer: "+row.name, func(t *testing.T) {
			row.forge()
			f.in(t).fetchHolder(f).says(t, "mirror", row.code, row.words...)
			f.put(pointerKey, goodRecord.Encode())
			f.in(t).keeps(f, path, good.archive)
		})
	}
	for i, row := range []struct {
		name  string
		forge func(n int)
		code  int
		words []string
	}{
		// Nobody can have a better one than the one that was signed.
		{"a name with a path", func(n int) { f.named(n, info("../x", strings.Repeat("p", 20))) }, 31, []string{"unsafe file name", `"../x"`, "signed"}},
		{"no pieces", func(n int) { f.named(n, info("x", "")) }, 31, []string{"0 bytes of piece hashes", "signed"}},
		{"too many pieces", func(n int) { f.named(n, info("x", strings.Repeat("p", 40))) }, 31, []string{"40 bytes of piece hashes"}},
		{"another info-hash", func(n int) {
			p := f.pack(n, random(byte(n), 300<<10), nil)
			f.publish(n, p)
			f.put(bucket.InfoHashKey(p.torrent.InfoHash), good.torrent.Encode())
		}, 20, []string{"not the one asked for"}},
		{"no torrent", func(n int) {
			p := f.pack(n, random(byte(n), 300<<10), nil)
			f.announce(n, p.torrent)
		}, 20, []string{"404"}},
	} {
		t.Run("torrent: "+row.name, func(t *testing.T) {
			row.forge(10 + i)
			f.in(t).fetchHolder(f).says(t, "mirror", row.code, row.words...)
			f.in(t).untouched(path, good.archive)
		})
	}
	t.Run("a right one at last", func(t *testing.T) {
		last := f.pack(50, random(50, 600<<10), nil)
		f.publish(50, last)
		e := f.fetch("holder")
		if e.code != 0 {
			t.Fatal(e)
		}
		w.in(t).same(strings.TrimSuffix(e.stdout, "\n"), last.archive)
	})
	outside, err := filepath.Glob(filepath.Join(w.Dir(), "x*"))
	if err != nil || len(outside) != 0 {
		t.Errorf("files of the torrents are outside: %q, %v", outside, err)
	}
}

func (w *world) fetchHolder(f *forge) ended {
	g := *f
	g.world = w
	return g.fetch("holder")
}

// keeps fails unless the holder still gives what it had, without any download.
func (w *world) keeps(f *forge, path string, want []byte) {
	w.t.Helper()
	if e := w.fetchHolder(f); e.code != 0 || e.stdout != path+"\n" {
		w.t.Errorf("with the right pointer again: %s; want %s", e, path)
	}
	w.untouched(path, want)
}

func (w *world) untouched(path string, want []byte) {
	w.t.Helper()
	w.same(path, want)
}

// TestTwoPointersOfOneNumber shows the alarm of a stolen key to a running mirror and to a one-shot one.
func TestTwoPointersOfOneNumber(t *testing.T) {
	w := newWorld(t)
	f := w.forge()
	first := f.pack(1, random(1, 600<<10), nil)
	record := f.publish(1, first)
	if e := f.fetch("holder"); e.code != 0 {
		t.Fatal(e)
	}
	mirror := w.mirror("mirror", alone(stack.Env{"BUCKET_URL": f.url}))
	second := f.pack(1, random(2, 600<<10), nil)
	f.put(bucket.InfoHashKey(second.torrent.InfoHash), second.torrent.Encode())
	other := f.announce(1, second.torrent)

	e := f.fetch("holder")
	if e.code != 11 || !strings.Contains(e.stderr, "\nmirror: ") || strings.Count(e.stderr, "two pointers with the same sequence number") != 2 {
		t.Errorf("%s; want 11, the alarm in the log, and the line", e)
	}
	for _, r := range []pointer.Record{record, other} {
		if sum := sha256.Sum256(r.Value); !strings.Contains(e.stderr, fmt.Sprintf("value %x", sum[:4])) {
			t.Errorf("%s does not name the value of SHA-256 %x", e, sum)
		}
	}
	w.eventually("the mirror raises the alarm", func() bool {
		return strings.Contains(w.text(w.Dir(), "mirror.log"), "two pointers with the same sequence number")
	})
	if status := w.status(mirror); !strings.Contains(status, "seeding "+string(first.version)) {
		t.Errorf("the mirror is %s, want the first version seeded", status)
	}
	f.put(bucket.PointerKey(w.Channel.Salt), record.Encode())
	if e := f.fetch("holder"); e.code != 0 {
		t.Errorf("with the first again: %s", e)
	}
	third := f.pack(3, random(3, 600<<10), nil)
	f.publish(3, third)
	w.eventually("a higher number is followed", func() bool { return strings.Contains(w.status(mirror), "seeding "+string(third.version)) })
}

// TestContentThatIsNotWhatWasSigned unpacks archives whose pieces are right and whose content is not.
func TestContentThatIsNotWhatWasSigned(t *testing.T) {
	w := newWorld(t)
	f := w.forge()
	raw := bytes.Repeat([]byte("all work and no play\n"), 300<<10)
	trap := tarWith(t, "../../escaped")
	link := tarWithLink(t)
	repack := func(p *forged, d *snapshot.Description, raw []byte) {
		var packed bytes.Buffer
		r, err := archive.Write(w.ctx, &packed, archive.ReaderSource("chain.tar", bytes.NewReader(raw)), archive.Options{})
		w.ok(err)
		p.archive, d.SHA256, d.RawSize, d.RawSHA256, d.RawName, d.Kind = packed.Bytes(), r.SHA256, r.RawSize, r.RawSHA256, "chain.tar", snapshot.KindTar
	}
	for i, row := range []struct {
		name   string
		change func(*forged, *snapshot.Description)
		words  []string
	}{
		{"longer than signed", func(_ *forged, d *snapshot.Description) { d.RawSize = 1 << 20 }, []string{"longer", "1048576"}},
		{"shorter than signed", func(_ *forged, d *snapshot.Description) { d.RawSize *= 2 }, nil},
		{"other raw data", func(_ *forged, d *snapshot.Description) { d.RawSHA256[0] ^= 1 }, []string{"SHA-256"}},
		{"another archive", func(_ *forged, d *snapshot.Description) { d.SHA256[0] ^= 1 }, []string{"SHA-256"}},
		{"no archive", func(p *forged, d *snapshot.Description) {
			p.archive = random(9, 600<<10)
			d.SHA256 = sha256.Sum256(p.archive)
		}, nil},
		{"a path out of the folder", func(p *forged, d *snapshot.Description) { repack(p, d, trap) }, []string{"escaped"}},
		{"a link", func(p *forged, d *snapshot.Description) { repack(p, d, link) }, []string{"link"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := *f
			f.world = w.in(t)
			f.publish(i+1, f.pack(i+1, raw, row.change))
			f.fetch("holder", "--extract").says(t, "mirror", 31, row.words...)
			unpacked, err := filepath.Glob(filepath.Join(w.Dir(), "holder", w.Channel.Salt, "extracted", "*"))
			if err != nil || len(unpacked) != 0 {
				t.Errorf("there is %q, %v; want nothing unpacked", unpacked, err)
			}
		})
	}
	if err := filepath.WalkDir(w.Dir(), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "escaped" {
			t.Errorf("%s was written", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	// What was passed through has no content to compare with; the archive itself is what was signed.
	f.publish(40, f.pack(40, raw, func(p *forged, d *snapshot.Description) {
		p.archive = random(9, 600<<10)
		d.SHA256, d.RawSHA256 = sha256.Sum256(p.archive), sha256.Sum256(p.archive)
		d.Codec, d.RawSize = snapshot.Codec{Format: snapshot.FormatNone}, 1000
	}))
	f.fetch("holder", "--extract").says(t, "mirror", 1, "not packed", "as it is")
	last := f.pack(50, raw, nil)
	f.publish(50, last)
	e := f.fetch("holder", "--extract")
	if e.code != 0 {
		t.Fatalf("a right one at last: %s", e)
	}
	w.same(strings.TrimSuffix(e.stdout, "\n"), raw)
}

func tarWith(t *testing.T, name string) []byte {
	t.Helper()
	return tarOf(t, &tar.Header{Name: name, Mode: 0o644, Size: 5, Format: tar.FormatPAX}, "hello")
}

func tarWithLink(t *testing.T) []byte {
	t.Helper()
	return tarOf(t, &tar.Header{Name: "chain/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Format: tar.FormatPAX}, "")
}

func tarOf(t *testing.T, h *tar.Header, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	if err := out.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
