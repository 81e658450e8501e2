package swarm

import "time"

// Stats is how a snapshot stands. Rates are the caller's: it compares two of them.
type Stats struct {
	// Pieces that are present, and bytes of present pieces by where they came from. FromDisk lay there before: a restart or
	// the producer's own file. The three add up to the bytes that are present.
	Pieces                          int
	FromPeers, FromOrigin, FromDisk int64
	// ReceivedPeers and ReceivedOrigin are payload bytes as they arrive, wasted ones included.
	ReceivedPeers, ReceivedOrigin int64
	// Uploaded is payload sent to peers.
	Uploaded int64
	// Peers that are connected, and how many of them have everything.
	Peers, Seeds int
	// Stalled is how long nothing has arrived of what is being fetched; 0 when nothing is.
	Stalled time.Duration
	// Damaged is how many pieces were lost on this disk, by rot or by somebody else's writing, and have to come again. Unhashed is how
	// many hold bytes that have to be hashed before it is known what they are.
	Damaged, Unhashed int
	// Ailing means that pieces are missing, and no others than those.
	Ailing bool
	// Scrubbed is when the last full round of the scrubber ended, zero if none has; Scrubbing is the part of the pieces that it has
	// passed since.
	Scrubbed  time.Time
	Scrubbing float64
	// Origins in the order they were given.
	Origins []OriginStats
	// Err is [Snapshot.Err].
	Err error
}

// OriginStats is how one origin has behaved.
type OriginStats struct {
	URL string
	// Bytes of good pieces it sent.
	Bytes int64
	// Failures in a row; 0 if it is well. LastError is what it failed with last, even if it is well again; may be nil.
	Failures  int
	LastError error
	// RetryAt is when it is asked again if it failed.
	RetryAt time.Time
}

// Stats returns the current figures.
func (s *Snapshot) Stats() Stats {
	lib := s.handle.Stats()
	pieces, bytes := s.file.completed()
	stalled, origins := s.loop.report()
	damaged, unhashed := s.file.doubts()
	scrub := s.scrub.now()
	return Stats{
		Damaged:        damaged,
		Unhashed:       unhashed,
		Ailing:         pieces < len(s.file.state) && pieces+damaged+unhashed >= len(s.file.state),
		Scrubbed:       scrub.finished,
		Scrubbing:      float64(scrub.next) / float64(len(s.file.state)),
		Pieces:         pieces,
		FromPeers:      bytes[fromPeers],
		FromOrigin:     bytes[fromOrigin],
		FromDisk:       bytes[fromDisk],
		ReceivedPeers:  lib.PeerConns.BytesReadData.Int64(),
		ReceivedOrigin: s.fromOrigin.Load(),
		Uploaded:       lib.BytesWrittenData.Int64(),
		Peers:          lib.ActivePeers,
		Seeds:          lib.ConnectedSeeders,
		Stalled:        stalled,
		Origins:        origins,
		Err:            s.disk.failed(),
	}
}

// report is what the loop knows. It may be called by any goroutine but the loop's.
func (l *loop) report() (time.Duration, []OriginStats) {
	type answer struct {
		stalled time.Duration
		origins []OriginStats
	}
	answers := make(chan answer, 1)
	l.post(func() {
		var a answer
		if !l.s.isComplete() && (l.base > 0 || len(l.asked) > 0) {
			a.stalled = time.Since(l.lastProgress)
		}
		for _, o := range l.origins.list {
			a.origins = append(a.origins, OriginStats{
				URL: o.url, Bytes: o.bytes, Failures: o.failures, LastError: o.lastError, RetryAt: o.retryAt,
			})
		}
		answers <- a
	})
	select {
	case a := <-answers:
		return a.stalled, a.origins
	case <-l.s.ctx.Done():
		return 0, nil
	}
}

func (s *Snapshot) isComplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.complete
}

// health is how many pieces of all snapshots are damaged, and since when some snapshot was not read through; zero where nothing is
// read again.
func (c *Client) health() (damaged int, oldest time.Time) {
	for _, s := range c.Snapshots() {
		n, _ := s.file.doubts()
		damaged += n
		if since := s.scrub.now().since; oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	return damaged, oldest
}
