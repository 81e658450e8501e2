//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapswarm/common/bucket/buckettest"
	"snapswarm/common/daemon"
	"snapswarm/common/faultfs"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// diskBed is a bucket with two versions and a gateway whose data directory lies on a disk that fails. When a trial begins, it has
// the first version, complete, and the second has just been announced.
type diskBed struct {
	mount    *faultfs.Mounted
	data     string
	origin   string
	one, two buckettest.Published
	disk     *faultfs.Disk // what a trial begins with
}

func newDiskBed(t *testing.T) *diskBed {
	t.Helper()
	folder := t.TempDir()
	origin := httptest.NewServer(http.FileServer(http.Dir(folder)))
	t.Cleanup(origin.Close)
	d := &diskBed{mount: faultfs.Mount(t), origin: origin.URL, one: version(t, 1), two: version(t, 2)}
	d.data = filepath.Join(d.mount.Dir, "data")
	if err := os.Mkdir(d.data, 0o755); err != nil {
		t.Fatal(err)
	}
	d.one.Write(t, folder)
	if code := d.serve(t, d.one); code != daemon.ExitOK {
		t.Fatalf("exit code %d", code)
	}
	d.two.Write(t, folder)
	d.disk = d.mount.Disk()
	d.disk.Settle()
	return d
}

// version is one of five pieces, the later the higher n is.
func version(t *testing.T, n byte) buckettest.Published {
	t.Helper()
	p := buckettest.Publish(t, salt, file, "")
	p.Version = snapshot.NewVersion(p.Version.Time().Add(time.Duration(n)*time.Hour), 0)
	p.Data = make([]byte, 1<<20+321)
	_, _ = rand.NewChaCha8([32]byte{n}).Read(p.Data)
	size := int64(len(p.Data))
	pieces, err := snapshot.HashPieces(t.Context(), bytes.NewReader(p.Data), size, snapshot.MinPieceLength)
	if err != nil {
		t.Fatal(err)
	}
	d := *p.Torrent.Description
	d.Version, d.Created, d.SHA256, d.RawSize = p.Version, p.Version.Time(), sha256.Sum256(p.Data), size
	p.Torrent, err = snapshot.NewTorrent(snapshot.Content{Name: file, Length: size, PieceLength: snapshot.MinPieceLength, Pieces: pieces, Description: &d})
	if err != nil {
		t.Fatal(err)
	}
	p.Record, err = pointer.Sign(p.Key, salt, time.Now().UnixMilli()+int64(n), pointer.Pointer{
		InfoHash: p.Torrent.InfoHash, InfoSHA256: &p.Torrent.InfoSHA256, Created: p.Version.Time(), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serve runs a gateway until it has all of want and serves it, or ends, or the power goes. Meanwhile it reads, and nothing that is
// sent may be wrong.
func (d *diskBed) serve(t *testing.T, want buckettest.Published) daemon.Exit {
	t.Helper()
	httpAddr, opsAddr := freeAddr(t), freeAddr(t)
	cmd := newCommand()
	cmd.SetArgs([]string{
		"--channel", buckettest.Channel(t, salt).String(), "--data-dir", d.data, "--http-addr", httpAddr, "--metrics-addr", opsAddr,
		"--listen-addr", "127.0.0.1:0", "--dht-bootstrap", "none", "--allow-private", "--poll-interval", "1s", "--bucket-url", d.origin,
	})
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	defer cancel(nil)
	ended := make(chan daemon.Exit, 1)
	go func() { ended <- daemon.Run(ctx, cmd, t.Output()) }()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all := d.read(t, "http://"+httpAddr, want)
		_, state := try(t, "http://"+opsAddr+"/readyz?verbose")
		if all && bytes.Contains(state, []byte("version "+string(want.Version)+", 100 % here")) || d.mount.Disk().Dead() {
			cancel(daemon.Interrupt{Signal: "SIGTERM"})
			return <-ended
		}
		if time.Now().After(deadline) {
			cancel(daemon.Interrupt{Signal: "SIGTERM"})
			t.Fatalf("it does not complete: %s, exit code %d", state, <-ended)
		}
		select {
		case code := <-ended:
			return code
		default:
		}
	}
}

// read gets what is there, and reports whether latest is all of want.
func (d *diskBed) read(t *testing.T, url string, want buckettest.Published) bool {
	t.Helper()
	for _, p := range []buckettest.Published{d.one, d.two} {
		if status, body := try(t, url+"/demo/"+string(p.Version)+"/"+file); status == http.StatusOK && !bytes.Equal(body, p.Data) {
			t.Errorf("version %s was served with wrong bytes", p.Version)
		}
	}
	status, body := try(t, url+"/demo/latest/"+file)
	if status == http.StatusOK && !bytes.Equal(body, d.one.Data) && !bytes.Equal(body, d.two.Data) {
		t.Error("latest was served with bytes of no version")
	}
	return status == http.StatusOK && bytes.Equal(body, want.Data)
}

func (d *diskBed) begin(plan faultfs.Plan) *faultfs.Disk {
	disk := d.disk.Clone()
	d.mount.Insert(disk)
	disk.Plan(plan)
	return disk
}

// workers is how many trials run at once: most of their time is waiting.
const workers = 4

// every is how many trials lie between two that are made; with FAULTS=all, all are.
func every(n int) int {
	if os.Getenv("FAULTS") == "all" {
		return 1
	}
	return n
}

// TestAnyOperationOfTheDisk lets operations that change the disk fail once, or the power go before them, while a gateway gets a second
// version. It serves nothing wrong, and completes by itself or after the next start.
func TestAnyOperationOfTheDisk(t *testing.T) {
	for w := range workers {
		t.Run(fmt.Sprintf("worker %d", w), func(t *testing.T) {
			t.Parallel()
			d := newDiskBed(t)
			disk := d.begin(nil)
			if code := d.serve(t, d.two); code != daemon.ExitOK {
				t.Fatalf("exit code %d", code)
			}
			for i, op := range disk.Ops() {
				if i%workers != w || (i/workers)%every(6) != w%every(6) {
					continue
				}
				fault := []faultfs.Fault{faultfs.IO, faultfs.Full, faultfs.Unheard}[i%3]
				t.Run(fmt.Sprintf("%s at %s", fault, op), func(t *testing.T) { d.fail(t, op.N, fault) })
				t.Run(fmt.Sprintf("a power cut before %s", op), func(t *testing.T) { d.cut(t, op.N) })
			}
		})
	}
}

func (d *diskBed) fail(t *testing.T, n int, fault faultfs.Fault) {
	disk := d.begin(faultfs.Nth(n, fault))
	if code := d.serve(t, d.two); code != daemon.ExitOK {
		t.Logf("exit code %d", code)
	}
	disk.Plan(nil)
	if code := d.serve(t, d.two); code != daemon.ExitOK {
		t.Errorf("the next start: exit code %d", code)
	}
}

func (d *diskBed) cut(t *testing.T, n int) {
	disk := d.begin(faultfs.Nth(n, faultfs.Cut))
	d.serve(t, d.two)
	for i, o := range []faultfs.Outcome{
		{Names: faultfs.Kept, Data: faultfs.Lost}, {Names: faultfs.Mixed, Data: faultfs.Mixed, Seed: 1}, {Names: faultfs.Lost, Data: faultfs.Lost},
	} {
		if (n+i)%every(3) != 0 {
			continue
		}
		d.mount.Insert(disk.PowerCut(o))
		if code := d.serve(t, d.two); code != daemon.ExitOK {
			t.Errorf("names %s, data %s: the next start: exit code %d", o.Names, o.Data, code)
		}
	}
}
