package publish_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/producer/publish"
)

// slowStore lets somebody else act between the upload of an archive and the rest of a publication.
type slowStore struct {
	bucket.Store
	meanwhile func()
}

func (s *slowStore) PutFile(ctx context.Context, key, path string, o bucket.PutOptions) error {
	err := s.Store.PutFile(ctx, key, path, o)
	s.meanwhile()
	return err
}

// rival is another producer with the same key and bucket.
func (b *bench) rival() *bench {
	r := *b
	r.source, r.net = filepath.Join(b.t.TempDir(), "ledger"), &network{}
	r.cfg.DataDir, r.cfg.Network, r.cfg.Store = b.t.TempDir(), r.net, b.store
	r.write("data.ldb", sample(7, 300_000))
	return &r
}

// expire makes the lease in the bucket as old as if its owner had not been heard of for a day.
func (b *bench) expire() {
	b.t.Helper()
	old := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(filepath.Join(b.bucket, bucket.LeaseKey(salt)), old, old); err != nil {
		b.t.Fatal(err)
	}
}

func TestAProducerThatWasOvertakenSignsNothing(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	rival := b.rival()
	var theirs publish.Report
	b.cfg.Store = &slowStore{Store: b.store, meanwhile: func() {
		b.clock.add(time.Second)
		b.expire()
		theirs = rival.mustPublish()
	}}
	announced := len(b.net.announced)
	if _, err := b.publish(); !errors.Is(err, publish.ErrOvertaken) {
		t.Fatalf("publish = %v, want %v", err, publish.ErrOvertaken)
	}
	if tor := b.check(); tor.InfoHash != theirs.InfoHash {
		t.Errorf("the pointer names %s, want the rival's %s", tor.InfoHash, theirs.InfoHash)
	}
	if len(b.net.announced) != announced {
		t.Error("something was signed and announced")
	}
	if got := b.versions(); got != 2 {
		t.Errorf("the bucket has %d versions, want the first and the rival's: %q", got, files(t, b.bucket))
	}
	b.cfg.Store = b.store
	mine := b.mustPublish()
	if tor := b.check(); tor.InfoHash != mine.InfoHash || tor.Description.Previous != theirs.InfoHash {
		t.Errorf("the next publication is %s after %s", tor.InfoHash, tor.Description.Previous)
	}
}

func TestARenewalByTheSameProcessOvertakesNobody(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	slow := &slowStore{Store: b.store}
	b.cfg.Store = slow
	p := b.open()
	defer p.Close()
	slow.meanwhile = func() {
		if _, err := p.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
	src, err := publish.OpenSource(t.Context(), b.source)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := p.Publish(t.Context(), publish.Request{Source: src})
	if tor := b.check(); err != nil || tor.InfoHash != rep.InfoHash {
		t.Errorf("publish = %v, the pointer names %s", err, tor.InfoHash)
	}
}

// TestTheObjectsOfARivalStay: the journal has attempts at a version that the other producer took.
func TestTheObjectsOfARivalStay(t *testing.T) {
	b := newBench(t)
	theirs := b.rival().mustPublish()
	b.rival().mustPublish() // so that the pointer, which is never touched, names another one
	for _, ih := range []string{"", strings.Repeat("ab", 20)} {
		dir := filepath.Join(b.cfg.DataDir, ".producer", salt)
		journal := fmt.Sprintf(`{"format":1,"begun":[{"version":%q,"file":%q,"info_hash":%q,"size":1}]}`, theirs.Version, theirs.File, ih)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "journal.json"), []byte(journal), 0o644)); err != nil {
			t.Fatal(err)
		}
		b.mustPublish()
		got := files(t, b.bucket)
		for _, key := range []string{
			bucket.ArchiveKey(salt, theirs.Version, theirs.File), bucket.TorrentKey(salt, theirs.Version, theirs.File),
			bucket.InfoHashKey(theirs.InfoHash),
		} {
			if !slices.Contains(got, key) {
				t.Errorf("attempt %q: %s is gone", ih, key)
			}
		}
	}
}
