package swarm_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/common/swarm"
)

func TestOriginAlone(t *testing.T) {
	b, tor := content(t, "data.zst", 100*testPiece+5, testPiece)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	st := s.Stats()
	if st.FromOrigin != int64(len(b)) || st.ReceivedOrigin != int64(len(b)) || o.sent.Load() != int64(len(b)) {
		t.Errorf("origin sent %d, stats %+v: want each byte once, %d", o.sent.Load(), st, len(b))
	}
	if got := o.requests.Load(); got > 40 {
		t.Errorf("%d requests for 101 small pieces: want runs of adjacent ones", got)
	}
}

// Every fault happens a few times before the origin behaves; no piece may be lost for good.
func TestOriginFaults(t *testing.T) {
	b, tor := content(t, "data.zst", 24*testPiece, testPiece)
	faults := map[string]http.HandlerFunc{
		"404":                 status(http.StatusNotFound),
		"403":                 status(http.StatusForbidden),
		"410":                 status(http.StatusGone),
		"500":                 status(http.StatusInternalServerError),
		"503":                 status(http.StatusServiceUnavailable),
		"429":                 status(http.StatusTooManyRequests, "Retry-After", "0"),
		"ignores Range":       ignoresRange(b),
		"wrong bytes":         serves(flipped(b)),
		"another file's size": serves(b[:20*testPiece]),
		"wrong Content-Range": wrongContentRange(b),
		"stalls":              stalls(b),
		"hangs":               hangs,
		"cuts the body short": cuts(b),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t, b).fail(fault, 3)
			c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
			waitDone(t, s)
			wantFile(t, s.Path(), b)
			if err := s.Stats().Origins[0].LastError; err == nil || !strings.Contains(err.Error(), o.URL) {
				t.Errorf("last error = %v, want one that names %s", err, o.URL)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	o := newOrigin(t, b, always(status(http.StatusTooManyRequests, "Retry-After", "3600")))
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	eventually(t, "origin failed", func() bool { return s.Stats().Origins[0].Failures > 0 })
	st := s.Stats().Origins[0]
	if wait := time.Until(st.RetryAt); wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("asked again in %v, want an hour", wait)
	}
}

func TestAnotherOriginStepsIn(t *testing.T) {
	b, tor := content(t, "data.zst", 24*testPiece, testPiece)
	bad := map[string]http.HandlerFunc{
		"wrong bytes for ever": serves(flipped(b)),
		"404 for ever":         status(http.StatusNotFound),
	}
	for name, handler := range bad {
		t.Run(name, func(t *testing.T) {
			good, liar := newOrigin(t, b), newOrigin(t, b, always(handler))
			c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{liar.URL, good.URL}, Background: true})
			waitDone(t, s)
			wantFile(t, s.Path(), b)
			if n := liar.requests.Load(); n > 6 {
				t.Errorf("the bad origin was asked %d times while a good one was there", n)
			}
		})
	}
}

// The seed has everything, so the origin is not needed.
func TestPeersComeFirst(t *testing.T) {
	b, tor := content(t, "data.zst", 64*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), SeedPeers: []string{seed.Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	waitDone(t, s)
	if st := s.Stats(); st.FromPeers < int64(len(b))*9/10 {
		t.Errorf("only %d of %d bytes came from the seed", st.FromPeers, len(b))
	}
}

func TestPolicyNever(t *testing.T) {
	b, tor := content(t, "data.zst", 8*testPiece, testPiece)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), Origins: swarm.OriginNever, OriginPatience: time.Millisecond}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	eventually(t, "stalled", func() bool { return s.Stats().Stalled > 300*time.Millisecond })
	if n := o.requests.Load(); n != 0 {
		t.Errorf("%d requests to the origin with policy never", n)
	}
	// A seed that comes late still helps.
	seed := newSeed(t, b, tor)
	s.AddPeers(seed.Addr().String())
	waitDone(t, s)
}

// An origin that sends wrong bytes must not make the honest seed look guilty.
func TestLyingOriginDoesNotGetPeersBanned(t *testing.T) {
	b, tor := content(t, "data.zst", 48*testPiece, testPiece)
	dir := t.TempDir()
	download(t, dir, b, tor)
	seed := newClient(t, swarm.Fast(swarm.Config{UploadLimit: 4 << 20})) // slow enough for the origin to be asked
	add(t, seed, swarm.AddOptions{Torrent: tor, Dir: dir})
	o := newOrigin(t, flipped(b))
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), Origins: swarm.OriginAlways, SeedPeers: []string{seed.Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if st := s.Stats(); st.FromOrigin != 0 || st.FromPeers != int64(len(b)) {
		t.Errorf("stats = %+v, want everything from the seed", st)
	}
	if o.requests.Load() == 0 {
		t.Error("the origin was never asked: nothing was tested")
	}
	if bad := c.BadPeers(); len(bad) != 0 {
		t.Errorf("banned peers: %v", bad)
	}
}

// A peer that sends wrong bytes costs time, not correctness.
func TestLyingPeer(t *testing.T) {
	b, tor := content(t, "data.zst", 48*testPiece, testPiece)
	liar := newSeed(t, flipped(b), tor)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), SeedPeers: []string{liar.Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if st := s.Stats(); st.FromPeers != 0 {
		t.Errorf("%d bytes verified from a peer that has none", st.FromPeers)
	}
	if len(c.BadPeers()) == 0 {
		t.Error("the liar is not banned")
	}
}

// Four mirrors start at once with an origin that is the bottleneck.
func TestMirrorsShareTheOrigin(t *testing.T) {
	const mirrors = 4
	b, tor := content(t, "data.zst", 32<<20, 256<<10)
	o := newOrigin(t, b, limited(32<<20, 256<<10))
	var all []*swarm.Snapshot
	var addrs []string
	start := time.Now()
	for range mirrors {
		c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
		all = append(all, add(t, c, swarm.AddOptions{
			Torrent: tor, Origins: []string{o.URL}, Peers: addrs, Background: true,
		}))
		addrs = append(addrs, c.Addr().String())
	}
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() { <-s.Done() })
	}
	wg.Wait()
	for _, s := range all {
		wantFile(t, s.Path(), b)
	}
	egress := float64(o.sent.Load()) / float64(len(b))
	t.Logf("%d mirrors, origin at 32 MiB/s: egress %.2fx in %v", mirrors, egress, time.Since(start).Round(time.Millisecond))
	if egress > 1.5 {
		t.Errorf("egress = %.2fx of the snapshot, want at most 1.5x", egress)
	}
}
