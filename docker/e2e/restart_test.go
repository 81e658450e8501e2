//go:build e2e

package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
	"snapswarm/docker/stack"
)

// TestAKilledMirrorGoesOn kills a mirror in the middle of a download, as a power cut would, and starts it again.
func TestAKilledMirrorGoesOn(t *testing.T) {
	w := newWorld(t)
	f := w.front()
	_, pub := w.produce(w.ledger(10<<20), f.env(w, "PUBLIC_URL"))
	probed := f.sent.Load() // the producer looks at what it has published

	env := alone(f.env(w, "BUCKET_URL"))
	env["DOWNLOAD_LIMIT"] = "4MiB"
	mirror, err := w.Mirror(w.ctx, "mirror", env)
	w.ok(err)
	w.eventually("half of it is there", func() bool {
		return w.metric(mirror, "snapswarm_mirror_snapshot_completed_bytes") >= float64(pub.size())*0.4
	})
	peers, origin := w.received(mirror)
	w.ok(mirror.Kill())
	if peers+origin >= pub.size()*9/10 {
		t.Fatalf("%d of %d bytes were there when it was killed", peers+origin, pub.size())
	}

	env["DOWNLOAD_LIMIT"] = ""
	again := w.mirror("mirror", env)
	w.same(w.held(again, pub), pub.archive)
	morePeers, moreOrigin := w.received(again)
	if sum, most := peers+origin+morePeers+moreOrigin, pub.size()*12/10; sum > most || moreOrigin == 0 {
		t.Errorf("%d + %d bytes received for %d, want at most %d", peers+origin, morePeers+moreOrigin, pub.size(), most)
	}
	if sent, most := f.sent.Load()-probed, pub.size()*12/10; sent > most {
		t.Errorf("the bucket sent %d bytes for %d, want at most %d", sent, pub.size(), most)
	}
	w.ok(again.Stop())

	t.Run("complete, it starts again without any source", func(t *testing.T) {
		w := w.in(t)
		before := f.sent.Load()
		third := w.mirror("mirror", alone(stack.Env{"BUCKET_URL": ""}))
		w.same(w.held(third, pub), pub.archive)
		if sent := f.sent.Load() - before; sent != 0 {
			t.Errorf("%d bytes were fetched again", sent)
		}
	})
}

// TestAKilledProducerGoesOn kills a producer while it publishes: what was published before stays, and the next run publishes.
func TestAKilledProducerGoesOn(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(2 << 20)
	producer, one := w.produce(source, nil)
	w.write(filepath.Join(source, "data.ldb"), random(2, 64<<20), 0o644)
	w.eventually("the second version is being packed", func() bool {
		return sizeOf(w.packing(producer, one.version())) > 1<<20
	})
	w.ok(producer.Kill())
	now, err := w.Newest(w.ctx)
	w.ok(err)
	if now.Record.Seq != one.Record.Seq {
		t.Fatal("the second version was out before the producer was killed, so this shows nothing")
	}
	if e := w.once("reader", alone(nil)); e.code != 0 {
		t.Errorf("a mirror while the producer is dead: %s", e)
	}

	_, err = w.Producer(w.ctx, "producer", source, nil)
	w.ok(err)
	processes := w.Processes()
	two := w.published(processes[len(processes)-1], one.Record.Seq)
	if two.Torrent.Description.Previous != one.Torrent.InfoHash {
		t.Errorf("the second version follows %s, want %s", two.Torrent.Description.Previous, one.Torrent.InfoHash)
	}
	e := w.once("reader", nil, "--extract")
	if e.code != 0 {
		t.Fatal(e)
	}
	w.sameTree(e.stdout[:len(e.stdout)-1], source)
	if left := w.packing(processes[len(processes)-1], one.version(), two.version()); left != "" {
		t.Errorf("the killed run's %s is still there", left)
	}
}

// TestAProducerKilledWhileItUploadsGoesOn kills a producer when half of an archive of eight parts is in the bucket. The next run
// publishes the same version and sends the other half.
func TestAProducerKilledWhileItUploadsGoesOn(t *testing.T) {
	s3 := s3test.NewProcess(t)
	relay := s3test.NewRelay(t, s3)
	w := newWorld(t)
	source := w.ledger(120 << 20)
	env := alone(stack.Env{
		"BUCKET": "s3://" + s3.Bucket + "/chains/test", "PUBLIC_URL": s3.PublicURL() + "/chains/test", "S3_ENDPOINT": relay.Endpoint,
		"S3_REGION": s3.Region, "S3_ACCESS_KEY_ID": s3.AccessKey, "S3_SECRET_ACCESS_KEY": s3.SecretKey, "COMPRESSION": "fastest",
	})
	var held atomic.Int64
	killed := make(chan struct{})
	relay.Break(func(r *http.Request) bool {
		if n, err := strconv.Atoi(r.URL.Query().Get("partNumber")); err != nil || n <= 4 {
			return false
		}
		held.Add(1)
		<-killed
		return true
	})
	producer, err := w.Producer(w.ctx, "producer", source, env)
	w.ok(err)
	// Four go up at once: when four others wait, the server has answered to the first four.
	w.eventually("half of it is there", func() bool { return held.Load() == 4 })
	version := filepath.Base(filepath.Dir(w.packing(producer)))
	w.ok(producer.Kill())
	close(killed)
	relay.Mend()

	e := w.run("producer", "producer", []string{"publish", source}, env)
	if e.code != 0 || !strings.Contains(e.stdout, version) {
		t.Fatalf("the next run does not publish %s: %s", version, e)
	}
	const part = 16 << 20
	size := sizeOf(filepath.Join(producer.DataDir, w.Channel.Salt, version, "ledger.tar.zst"))
	if sent, most := relay.Sent(), size-4*part+1<<20; size < 7*part || sent > most {
		t.Errorf("%d of %d bytes were sent again, want at most %d", sent, size, most)
	}
	e = w.once("mirror", alone(stack.Env{"BUCKET_URL": s3.PublicURL() + "/chains/test"}), "--extract")
	if e.code != 0 {
		t.Fatal(e)
	}
	w.sameTree(strings.TrimSuffix(e.stdout, "\n"), source)
}

// packing is an archive that the producer writes or has left, besides those of some versions; "" if there is none.
func (w *world) packing(p *stack.Process, besides ...string) string {
	var found string
	_ = filepath.WalkDir(p.DataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it is being written to
		}
		info, err := d.Info()
		if err == nil && d.Type().IsRegular() && info.Size() > 1<<20 && !slices.Contains(besides, filepath.Base(filepath.Dir(path))) {
			found = path
		}
		return nil
	})
	return found
}

// TestSIGTERMWhileBusy stops each process in the middle of its work. Who is being served gets some time, but not for ever:
// after 10 s an orchestrator would kill.
func TestSIGTERMWhileBusy(t *testing.T) {
	w := newWorld(t)
	curl := need(t, "curl")
	producer, pub := w.produce(w.ledger(32<<20), nil) // far more than the kernel buffers and than is read until the end
	gateway, base := w.gateway("gateway", nil)
	dir := t.TempDir()
	slow := exec.CommandContext(w.ctx, curl, "-sSfO", "--limit-rate", "1M", base+"/"+bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file()))
	slow.Dir = dir
	w.ok(slow.Start())
	w.eventually("curl has begun", func() bool { return sizeOf(filepath.Join(dir, pub.file())) > 0 })
	mirror, err := w.Mirror(w.ctx, "mirror", stack.Env{"DOWNLOAD_LIMIT": "300KiB"})
	w.ok(err)
	w.eventually("the mirror has begun", func() bool { return w.metric(mirror, "snapswarm_mirror_snapshot_completed_bytes") > 0 })
	for _, p := range []*stack.Process{mirror, producer, gateway} {
		began := time.Now()
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		t.Logf("%s ended with %d after %s", p.Name, p.ExitCode(), time.Since(began).Round(time.Millisecond))
	}
	if err := slow.Wait(); err == nil {
		t.Error("curl thinks that it has everything, although the gateway was stopped before")
	}
}

// TestSIGTERMWithoutTheStorage stops a producer that cannot give back the channel's lease: it ends in time all the same.
func TestSIGTERMWithoutTheStorage(t *testing.T) {
	w := newWorld(t)
	producer, _ := w.produce(w.ledger(1<<20), nil)
	w.ok(w.S3.Close())
	w.ok(producer.Stop())
}
