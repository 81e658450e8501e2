package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

func TestADirectoryIsPublishedWhole(t *testing.T) {
	b := newBench(t)
	rep := b.mustPublish()
	tor := b.check()
	if tor == nil || tor.InfoHash != rep.InfoHash {
		t.Fatalf("the pointer names %v, want %v", tor, rep.InfoHash)
	}
	if want := "ledger.tar.zst"; rep.File != want || tor.Name != want {
		t.Errorf("file = %q, torrent names %q, want %q", rep.File, tor.Name, want)
	}
	rec, p, _ := b.pointer()
	if rec.Seq != rep.Seq || p.BaseURL != b.public.String() || !p.Created.Equal(rep.Version.Time()) {
		t.Errorf("pointer = %+v, seq %d; want base %s, created %v, seq %d", p, rec.Seq, b.public, rep.Version.Time(), rep.Seq)
	}
	if got, want := p.Expires.Sub(rec.Time()), publish.DefaultTTL; got > want || got < want-time.Second {
		t.Errorf("the pointer expires %v after it was signed, want %v", got, want)
	}
	if want := []string{rep.URL}; !slices.Equal(tor.Origins, want) || !strings.HasPrefix(rep.URL, b.public.String()+"/chain/") {
		t.Errorf("origins = %q, url = %q", tor.Origins, rep.URL)
	}
	want := []string{"chain/" + string(rep.Version) + "/" + rep.File, "chain/" + string(rep.Version) + "/" + rep.File + ".torrent"}
	if diff := cmp.Diff(want, files(t, b.cfg.DataDir)); diff != "" {
		t.Errorf("files in the data directory (-want +got):\n%s", diff)
	}
	if len(b.net.announced) != 1 || !b.net.announced[0].Equal(rec) || *rep.DHT != (publish.Announced{Stored: 8, ReadBack: 5}) {
		t.Errorf("announced %v, report %v; want the bucket's record once", b.net.announced, rep.DHT)
	}
	if !slices.Equal(b.net.seeded, []snapshot.InfoHash{rep.InfoHash}) {
		t.Errorf("seeded %v", b.net.seeded)
	}
}

func TestTheArchiveUnpacksToTheSource(t *testing.T) {
	b := newBench(t)
	rep := b.mustPublish()
	tor := b.check()
	f, err := os.Open(rep.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dst := filepath.Join(t.TempDir(), "out")
	d := tor.Description
	err = archive.Extract(t.Context(), f, rep.Size, dst, archive.ExtractOptions{
		RawSize: d.RawSize, RawSHA256: d.RawSHA256, RawName: d.RawName, Tar: d.Kind == snapshot.KindTar,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files(t, b.source), files(t, dst)); diff != "" {
		t.Errorf("files (-source +unpacked):\n%s", diff)
	}
	for _, name := range files(t, b.source) {
		want, _ := os.ReadFile(filepath.Join(b.source, name))
		if got, err := os.ReadFile(filepath.Join(dst, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
}

func TestTheHistoryIsAChain(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	b.write("data.ldb", sample(3, 800_000))
	second := b.mustPublish()
	if tor := b.check(); tor.InfoHash != second.InfoHash || tor.Description.Previous != first.InfoHash {
		t.Errorf("newest is %s after %s, want %s after %s", tor.InfoHash, tor.Description.Previous, second.InfoHash, first.InfoHash)
	}
	if second.Version <= first.Version || second.Seq <= first.Seq {
		t.Errorf("version %s, seq %d follow %s, %d", second.Version, second.Seq, first.Version, first.Seq)
	}
}

func TestTheHistoryGoesOnFromTheBucketAlone(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	b.cfg.DataDir, b.cfg.Network = t.TempDir(), nil // a new machine
	b.mustPublish()
	if tor := b.check(); tor.Description.Previous != first.InfoHash {
		t.Errorf("previous = %s, want %s", tor.Description.Previous, first.InfoHash)
	}
}

func TestAStreamIsPublished(t *testing.T) {
	b := newBench(t)
	b.cfg.Name = "dump.zst"
	data := sample(4, 3_000_000)
	src, err := publish.StreamSource(bytes.NewReader(data), b.cfg.Name, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.publishSource(src); err != nil {
		t.Fatal(err)
	}
	d := b.check().Description
	if d.RawSize != int64(len(data)) || d.RawName != "dump" || d.Kind != snapshot.KindFile {
		t.Errorf("description = %+v", d)
	}
	if _, err := publish.StreamSource(bytes.NewReader(data), "", false); !errors.Is(err, publish.ErrName) {
		t.Errorf("a stream without a name: %v, want %v", err, publish.ErrName)
	}
}

func TestHybridTorrents(t *testing.T) {
	stream, err := publish.StreamSource(bytes.NewReader(sample(4, 3_000_000)), "dump.zst", false)
	if err != nil {
		t.Fatal(err)
	}
	for name, publishOne := range map[string]func(*bench) (publish.Report, error){
		"of a directory": (*bench).publish,
		"of a stream":    func(b *bench) (publish.Report, error) { return b.publishSource(stream) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Hybrid, b.cfg.Name = true, "dump.zst"
			rep, err := publishOne(b)
			if err != nil {
				t.Fatal(err)
			}
			tor := b.check()
			if !tor.HasV1() || !tor.HasV2() || tor.NewTreeCheck(0) == nil || rep.InfoHashV2 != fmt.Sprintf("%x", tor.InfoSHA256) {
				t.Errorf("v1 %v, v2 %v, hashes of v2 %v; report %+v", tor.HasV1(), tor.HasV2(), tor.NewTreeCheck(0) != nil, rep)
			}
			if _, p, _ := b.pointer(); p.InfoHashV2 == nil || *p.InfoHashV2 != tor.InfoSHA256 {
				t.Errorf("the pointer's v2 info-hash is %v", p.InfoHashV2)
			}
			p := b.open()
			defer p.Close()
			if _, err := p.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, p, _ := b.pointer(); p.InfoHashV2 == nil || *p.InfoHashV2 != tor.InfoSHA256 {
				t.Errorf("after a renewal the pointer's v2 info-hash is %v", p.InfoHashV2)
			}
		})
	}
}

func TestACompressedFilePassesThrough(t *testing.T) {
	b := newBench(t)
	b.cfg.PassThrough = true
	src, err := publish.OpenSource(t.Context(), filepath.Join(b.source, "data.ldb"))
	if err != nil {
		t.Fatal(err)
	}
	rep, err := b.publishSource(src)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(filepath.Join(b.source, "data.ldb"))
	got, err := os.ReadFile(rep.Path)
	if err != nil || !bytes.Equal(got, want) || rep.File != "data.ldb" {
		t.Errorf("file %q differs from the source, or: %v", rep.File, err)
	}
	if d := b.check().Description; d.Codec != (snapshot.Codec{Format: snapshot.FormatNone}) || d.SHA256 != d.RawSHA256 {
		t.Errorf("description = %+v", d)
	}
	if _, err := b.publish(); !errors.Is(err, publish.ErrName) {
		t.Errorf("a directory passed through: %v, want %v", err, publish.ErrName)
	}
}

func TestWithoutAPublicAddressThereIsNoOrigin(t *testing.T) {
	b := newBench(t)
	b.cfg.Public = nil
	rep := b.mustPublish()
	_, p, _ := b.pointer()
	if tor := b.check(); len(tor.Origins) != 0 || p.BaseURL != "" || rep.URL != "" {
		t.Errorf("origins %q, base %q, url %q; want none", tor.Origins, p.BaseURL, rep.URL)
	}
}

func TestATakenSecondWaitsForTheNext(t *testing.T) {
	for _, where := range []string{"bucket", "disk"} {
		t.Run(where, func(t *testing.T) {
			b := newBench(t)
			b.clock.now = b.clock.now.Truncate(time.Second)
			taken := snapshot.NewVersion(b.clock.now, 7)
			dir := map[string]string{"bucket": b.bucket, "disk": b.cfg.DataDir}[where]
			path := filepath.Join(dir, bucket.ArchiveKey(salt, taken, "other"))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
				t.Fatal(err)
			}
			rep := b.mustPublish()
			if want := taken.Time().Add(time.Second); !rep.Version.Time().Equal(want) {
				t.Errorf("version of %v, want %v", rep.Version.Time(), want)
			}
		})
	}
}

func TestNothingGoesBackWithTheClock(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	b.clock.add(-3 * time.Hour)
	second := b.mustPublish()
	if second.Seq <= first.Seq || second.Version <= first.Version {
		t.Errorf("version %s, seq %d follow %s, %d", second.Version, second.Seq, first.Version, first.Seq)
	}
	p := b.open()
	defer p.Close()
	rec, err := p.Renew(t.Context())
	if err != nil || rec.Seq <= second.Seq {
		t.Errorf("renewed with seq %d after %d: %v", rec.Seq, second.Seq, err)
	}
}

func TestASourceThatChangesIsNotPublished(t *testing.T) {
	b := newBench(t)
	before := b.mustPublish()
	b.cfg.Progress = func(_ context.Context, label string, _ int64) publish.Task {
		if label == "pack" {
			b.write("data.ldb", []byte("shorter"))
		}
		return noTask{}
	}
	if _, err := b.publish(); !errors.Is(err, archive.ErrSourceChanged) {
		t.Errorf("publish = %v, want %v", err, archive.ErrSourceChanged)
	}
	if tor := b.check(); tor.InfoHash != before.InfoHash {
		t.Errorf("the pointer names %s, want %s as before", tor.InfoHash, before.InfoHash)
	}
	if got := files(t, b.cfg.DataDir); len(got) != 2 {
		t.Errorf("files left: %q, want those of the first snapshot", got)
	}
}

func TestUnusableSourcesAreToldAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.OpenSource(t.Context(), dir); !errors.Is(err, archive.ErrUnsupportedEntry) || !strings.Contains(err.Error(), "link") {
		t.Errorf("a directory with a link: %v", err)
	}
	if _, err := publish.OpenSource(t.Context(), filepath.Join(dir, "missing")); !errors.Is(err, archive.ErrUnreadable) {
		t.Errorf("a missing source: %v", err)
	}
}

func TestAnEmptySourceReplacesNothing(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	before, _, _ := b.pointer()
	dir := t.TempDir()
	empty, tree := filepath.Join(dir, "empty"), filepath.Join(dir, "tree")
	if err := errors.Join(os.WriteFile(empty, nil, 0o644), os.MkdirAll(filepath.Join(tree, "a", "b"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, tree} {
		if _, err := publish.OpenSource(t.Context(), path); !errors.Is(err, publish.ErrEmpty) {
			t.Errorf("OpenSource(%s) = %v, want %v", path, err, publish.ErrEmpty)
		}
	}
	for _, passThrough := range []bool{false, true} {
		b.cfg.Name, b.cfg.PassThrough = "empty.zst", passThrough
		src, err := publish.StreamSource(strings.NewReader(""), b.cfg.Name, passThrough)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.publishSource(src); !errors.Is(err, publish.ErrEmpty) {
			t.Errorf("publish = %v, want %v", err, publish.ErrEmpty)
		}
	}
	if after, _, _ := b.pointer(); after.Seq != before.Seq {
		t.Error("the pointer has moved")
	}
	if got := files(t, b.cfg.DataDir); len(got) != 2 {
		t.Errorf("files left: %q, want those of the first snapshot", got)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	for _, name := range []string{"../x", ".hidden", "a/b", "x.torrent", "x.zst.from-20261120T060000Z.patch", strings.Repeat("n", 300)} {
		if err := publish.CheckName(name); !errors.Is(err, publish.ErrName) {
			t.Errorf("CheckName(%.20q) = %v, want %v", name, err, publish.ErrName)
		}
	}
	if err := publish.CheckName("ledger.tar.zst"); err != nil {
		t.Error(err)
	}
}

func TestAHiddenFolderNeedsOnlyAName(t *testing.T) {
	b := newBench(t)
	b.source = filepath.Join(t.TempDir(), ".node")
	b.write("db", sample(1, 1000))
	if _, err := b.publish(); !errors.Is(err, publish.ErrName) {
		t.Fatalf("publish = %v, want %v", err, publish.ErrName)
	}
	b.cfg.Name = "node.tar.zst"
	b.mustPublish()
	if got, want := b.check().Description.RawName, "node.tar"; got != want {
		t.Errorf("raw name %q, want %q", got, want)
	}
}

func TestTooLittleSpaceIsSaidWithNumbers(t *testing.T) {
	b := newBench(t)
	_, err := b.publishSource(publish.Source{Source: huge{}, Kind: snapshot.KindFile, Base: "huge"})
	var space *publish.SpaceError
	if !errors.As(err, &space) || !errors.Is(err, publish.ErrNoSpace) || space.Need != 1<<60 || space.Have <= 0 {
		t.Fatalf("publish = %v, want a SpaceError that needs 1 EiB", err)
	}
	if !strings.Contains(err.Error(), "1.0 EiB") {
		t.Errorf("the message has no numbers: %v", err)
	}
}

func TestADiskThatFillsUpLeavesNothing(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	b := newBench(t)
	before := b.mustPublish()
	b.cfg.Progress = func(_ context.Context, label string, _ int64) publish.Task {
		if label == "pack" { // the folder of the new version is there, its file not yet
			dirs, _ := filepath.Glob(filepath.Join(b.cfg.DataDir, salt, "*"))
			if err := os.Symlink("/dev/full", filepath.Join(slices.Max(dirs), ".ledger.tar.zst.part")); err != nil {
				t.Error(err)
			}
		}
		return noTask{}
	}
	if _, err := b.publish(); !errors.Is(err, publish.ErrNoSpace) {
		t.Errorf("publish = %v, want %v", err, publish.ErrNoSpace)
	}
	if got := files(t, b.cfg.DataDir); len(got) != 2 {
		t.Errorf("files left: %q, want those of the first snapshot", got)
	}
	if tor := b.check(); tor.InfoHash != before.InfoHash {
		t.Errorf("the pointer moved")
	}
}

func TestAnInterruptedRunLeavesNothing(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	b.cfg.Progress = func(context.Context, string, int64) publish.Task { cancel(stop); return noTask{} }
	src, err := publish.OpenSource(t.Context(), b.source)
	if err != nil {
		t.Fatal(err)
	}
	p := b.open()
	defer p.Close()
	if _, err := p.Publish(ctx, publish.Request{Source: src}); !errors.Is(err, stop) {
		t.Errorf("publish = %v, want %v", err, stop)
	}
	if got := files(t, b.cfg.DataDir); len(got) != 0 {
		t.Errorf("files left: %q", got)
	}
}

func TestADHTThatFailsDoesNotFailThePublication(t *testing.T) {
	b := newBench(t)
	b.net.err = errors.New("no nodes")
	rep := b.mustPublish()
	if b.check() == nil || rep.DHTError != "no nodes" {
		t.Errorf("report %+v", rep)
	}
}

type noTask struct{}

func (noTask) Set(int64) {}
func (noTask) Done()     {}
func (noTask) Cancel()   {}

// huge is a source larger than any disk.
type huge struct{}

func (huge) Name() string                                { return "huge" }
func (huge) Size() int64                                 { return 1 << 60 }
func (huge) Open(context.Context) (io.ReadCloser, error) { return nil, errors.New("not to be opened") }
