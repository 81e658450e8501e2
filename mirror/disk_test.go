//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/faultfs"
	"snapswarm/common/peer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// diskBed is a bed with two versions and a mirror whose data directory lies on a disk that fails. The first version is there,
// complete, when a trial begins, and the second has just been announced.
type diskBed struct {
	*bed
	mount    *faultfs.Mounted
	data     string
	one, two published
	disk     *faultfs.Disk // what a trial begins with
}

func newDiskBed(t *testing.T) *diskBed {
	t.Helper()
	d := &diskBed{bed: newBed(t), mount: faultfs.Mount(t)}
	d.size = 1<<20 + 321 // five pieces
	d.data = filepath.Join(d.mount.Dir, "data")
	if err := os.Mkdir(d.data, 0o755); err != nil {
		t.Fatal(err)
	}
	d.one = d.publish(1)
	if code, _, stderr := d.once(t); code != daemon.ExitOK {
		t.Fatalf("version one: exit code %d: %s", code, stderr)
	}
	d.two = d.publish(2)
	d.settle()
	return d
}

// settle lets trials begin with the disk as it is, which nothing has written to for long.
func (d *diskBed) settle() {
	d.disk = d.mount.Disk()
	d.disk.Settle()
}

// begin puts the disk back to where a trial begins.
func (d *diskBed) begin(t *testing.T) *faultfs.Disk {
	t.Helper()
	d.t = t
	disk := d.disk.Clone()
	d.mount.Insert(disk)
	return disk
}

// once gets the newest version and removes the others.
func (d *diskBed) once(t *testing.T) (code daemon.Exit, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	code, stdout, stderr = mirror(ctx, d.args(d.data, "--once", "--retain", "0", "--stall-timeout", "20s"))
	if ctx.Err() != nil {
		t.Errorf("it hangs: %s", stderr)
	}
	return code, stdout, stderr
}

// operations are those of getting the second version without faults.
func (d *diskBed) operations(t *testing.T) []faultfs.Op {
	t.Helper()
	disk := d.begin(t)
	disk.Plan(nil)
	if code, _, stderr := d.once(t); code != daemon.ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	t.Logf("an update changes the disk %d times", len(disk.Ops()))
	return disk.Ops()
}

// check makes sure of what has to hold at any time after a restart: a whole version is here, the pointer did not go back, and no
// piece is offered whose bytes are not right.
func (d *diskBed) check(t *testing.T) {
	t.Helper()
	if !d.whole(d.one) && !d.whole(d.two) {
		t.Error("no version is whole on the disk")
	}
	_, err := os.Stat(d.path(d.two, ""))
	began := err == nil
	s := peer.Settings{OriginPolicy: swarm.OriginNever}
	s.DataDir, s.ListenAddr, s.AllowPrivate, s.DHTBootstrap = d.data, "127.0.0.1:0", true, daemon.HostPorts{}
	p, err := peer.Join(t.Context(), s, []snapshot.Channel{d.channel}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatalf("the next start: %v", err)
	}
	defer p.Close()
	if rec, _ := p.Newest(d.channel); began && rec.Seq != d.seq {
		t.Errorf("version two was begun, and the newest pointer known is %d, want %d", rec.Seq, d.seq)
	}
	for _, h := range p.Holdings(salt) {
		d.checkPieces(t, h)
	}
}

// checkPieces reads all pieces that h has.
func (d *diskBed) checkPieces(t *testing.T, h *peer.Holding) {
	t.Helper()
	want := d.one
	if h.Version == d.two.version {
		want = d.two
	}
	f, err := h.Snapshot.File()
	if err != nil {
		t.Errorf("open %s: %v", h.Version, err)
		return
	}
	defer f.Close()
	for i := range h.Torrent.NumPieces() {
		if !h.Snapshot.Have(i) {
			continue
		}
		at := int64(i) * h.Torrent.PieceLength
		got := make([]byte, h.Torrent.PieceSize(i))
		if _, err := f.ReadAt(got, at); err != nil || !bytes.Equal(got, want.archive[at:at+int64(len(got))]) {
			t.Errorf("piece %d of %s is offered, and its bytes are wrong (%v)", i, h.Version, err)
		}
	}
}

// path is a file of a version.
func (d *diskBed) path(p published, suffix string) string {
	dir := filepath.Join(d.data, salt, string(p.version))
	if suffix == "" {
		return dir
	}
	return filepath.Join(dir, file+strings.TrimPrefix(suffix, "="))
}

// whole reports whether the archive and the torrent of p are on the disk.
func (d *diskBed) whole(p published) bool {
	archive, err := os.ReadFile(d.path(p, "="))
	torrent, e := os.ReadFile(d.path(p, ".torrent"))
	return err == nil && e == nil && bytes.Equal(archive, p.archive) && len(torrent) > 0
}

// again gets the newest version, which must succeed and leave nothing else behind.
func (d *diskBed) again(t *testing.T) {
	t.Helper()
	code, stdout, stderr := d.once(t)
	if code != daemon.ExitOK {
		t.Fatalf("the next run: exit code %d: %s", code, stderr)
	}
	wantOnly(t, stdout, d.two.archive)
	d.checkTidy(t)
}

// checkTidy makes sure that nothing is left on the disk but the second version and what belongs to it.
func (d *diskBed) checkTidy(t *testing.T) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(d.data, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(d.data, path)
			got = append(got, rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	ih := d.two.torrent.InfoHash.String()
	version := filepath.Join(salt, string(d.two.version))
	want := []string{
		filepath.Join(version, "."+ih+".pieces"), filepath.Join(version, file), filepath.Join(version, file+".torrent"),
		filepath.Join(salt, ".verified", ih), filepath.Join(salt, "channel"), "lock",
	}
	for _, name := range got {
		if !slices.Contains(want, name) && !strings.HasSuffix(name, ".ratchet") && !strings.HasPrefix(name, "dht/table") {
			t.Errorf("left on the disk: %s", name)
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("not on the disk: %s", name)
		}
	}
}

// workers is how many trials run at once: most of their time is waiting.
const workers = 4

// parallel runs a test for each of the operations of an update, each worker with a bed of its own.
func parallel(t *testing.T, prepare func(*testing.T, *diskBed), do func(*testing.T, *diskBed, faultfs.Op)) {
	t.Helper()
	for w := range workers {
		t.Run(fmt.Sprintf("worker %d", w), func(t *testing.T) {
			t.Parallel()
			d := newDiskBed(t)
			prepare(t, d)
			for _, op := range d.operations(t) {
				if op.N%workers == w {
					do(t, d, op)
				}
			}
		})
	}
}
