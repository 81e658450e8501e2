//go:build e2e && linux

package publish_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/faultfs"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// diskBench is a bench whose data directory and bucket lie on a disk that fails. The source and the network are elsewhere.
type diskBench struct {
	*bench
	mount *faultfs.Mounted
	// What every trial begins with.
	disk      *faultfs.Disk
	now       time.Time
	announced []pointer.Record
}

// newDiskBench has some snapshots, which have been there for long; it keeps two.
func newDiskBench(t *testing.T, snapshots int) *diskBench {
	t.Helper()
	d := &diskBench{bench: newBench(t), mount: faultfs.Mount(t)}
	d.bucket, d.cfg.DataDir, d.cfg.Keep = filepath.Join(d.mount.Dir, "bucket"), filepath.Join(d.mount.Dir, "data"), 2
	d.public = d.serve(http.FileServer(http.Dir(d.bucket)))
	d.cfg.Public = d.public
	if err := errors.Join(os.Mkdir(d.bucket, 0o755), os.Mkdir(d.cfg.DataDir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for range snapshots {
		if _, err := d.try(); err != nil {
			t.Fatal(err)
		}
	}
	d.mount.Disk().Settle()
	d.disk, d.now, d.announced = d.mount.Disk(), d.clock.Now(), d.net.announced
	return d
}

// begin puts everything back to where a trial begins.
func (d *diskBench) begin(t *testing.T) *faultfs.Disk {
	t.Helper()
	d.t = t
	disk := d.disk.Clone()
	d.mount.Insert(disk)
	d.clock.now = d.now
	d.net = &network{announced: slices.Clone(d.announced)}
	d.cfg.Network = d.net
	return disk
}

// try runs one publication as a new process would, and reports whatever went wrong.
func (d *diskBench) try() (rep publish.Report, err error) {
	defer d.clock.add(10 * time.Second)
	if d.cfg.Store, err = bucket.Open(bucket.Config{URL: "file://" + d.bucket}); err != nil {
		return rep, err
	}
	src, err := publish.OpenSource(d.t.Context(), d.source)
	if err != nil {
		return rep, err
	}
	p, err := publish.New(d.cfg)
	if err != nil {
		return rep, err
	}
	rep, err = p.Publish(d.t.Context(), publish.Request{Source: src})
	return rep, errors.Join(err, p.Close())
}

// operations are those of one publication without faults.
func (d *diskBench) operations(t *testing.T) []faultfs.Op {
	t.Helper()
	disk := d.begin(t)
	disk.Plan(nil)
	if _, err := d.try(); err != nil {
		t.Fatal(err)
	}
	t.Logf("a publication changes the disk %d times", len(disk.Ops()))
	return disk.Ops()
}

// named is the snapshot that the bucket's pointer names and that lies there whole; zero if there is no pointer.
func (d *diskBench) named() snapshot.InfoHash {
	d.t.Helper()
	if tor := d.check(); tor != nil {
		return tor.InfoHash
	}
	return snapshot.InfoHash{}
}

// again publishes once more, which must succeed with a higher number than any, continue the history and leave nothing else behind.
func (d *diskBench) again(t *testing.T, seen int64) {
	t.Helper()
	rep, err := d.try()
	if err != nil {
		t.Fatalf("the next publication: %v", err)
	}
	tor := d.check()
	if tor.InfoHash != rep.InfoHash || rep.Seq <= seen {
		t.Errorf("the next publication: the pointer names %s, seq %d after %d, want %s", tor.InfoHash, rep.Seq, seen, rep.InfoHash)
	}
	d.checkHistory(tor)
	d.checkTemps()
}

// checkHistory makes sure that bucket and disk hold the versions to keep, of which each names the one before.
func (d *diskBench) checkHistory(tor *snapshot.Torrent) {
	d.t.Helper()
	keep := 1
	if previous := tor.Description.Previous; !previous.IsZero() {
		keep = 2
		if _, err := os.Stat(filepath.Join(d.bucket, bucket.InfoHashKey(previous))); err != nil {
			d.t.Errorf("the snapshot before is not in the bucket: %v", err)
		}
	}
	d.checkTidy(keep)
}

// checkTemps makes sure that no temporary files are left, the publisher's own state included.
func (d *diskBench) checkTemps() {
	d.t.Helper()
	err := filepath.WalkDir(d.cfg.DataDir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, ".durable-") || strings.HasSuffix(path, ".part") {
			d.t.Errorf("temporary file on disk: %s", path)
		}
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
}
