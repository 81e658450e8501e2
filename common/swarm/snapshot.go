package swarm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/anacrolix/torrent"

	"snapswarm/common/snapshot"
)

// Snapshot is one file that is being fetched, kept and seeded.
type Snapshot struct {
	client  *Client
	torrent *snapshot.Torrent
	handle  *torrent.Torrent
	file    *pieceFile
	disk    diskState
	find    *discovery
	loop    *loop
	scrub   *scrub // nil: it is not read again

	fromOrigin atomic.Int64 // payload bytes received, good or not
	displaced  sync.Once    // says that another file took the place of ours

	ctx       context.Context
	cancel    context.CancelCauseFunc
	wg        sync.WaitGroup // everything but the flusher
	flushed   chan error     // the flusher's last words
	stopFlush context.CancelFunc
	closeOnce sync.Once
	closeErr  error

	mu       sync.Mutex    // guards what follows
	done     chan struct{} // closed while every piece is present
	complete bool
}

func newSnapshot(c *Client, t *snapshot.Torrent, handle *torrent.Torrent, file *pieceFile, find *discovery) *Snapshot {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &Snapshot{
		client: c, torrent: t, handle: handle, file: file, find: find,
		ctx: ctx, cancel: cancel,
		flushed: make(chan error, 1), done: make(chan struct{}),
	}
	s.loop = newLoop(s)
	if c.scrubber != nil {
		s.scrub = newScrub(s)
	}
	if file.badRecord != nil {
		c.log.Warn("the record of pieces was damaged: the file is hashed before it is used", "file", file.path, "error", file.badRecord)
	}
	file.metrics = c.metrics
	file.onError = s.diskFailed
	file.onForeign = s.changedByOthers
	file.onForged = s.contradiction
	// The library's default is to stop downloading for good; diskFailed does better.
	handle.SetOnWriteChunkError(func(error) {})
	return s
}

// start begins the snapshot's life.
func (s *Snapshot) start(o AddOptions) {
	flushCtx, stopFlush := context.WithCancel(context.Background())
	s.stopFlush = stopFlush
	s.loop.begin(o)
	go func() { s.flushed <- s.file.runFlush(flushCtx, s.client.config.tuning.flush) }()
	s.wg.Go(func() { s.file.runVerify(s.ctx) })
	s.wg.Go(s.loop.run)
	if s.scrub != nil {
		s.wg.Go(func() { s.scrub.run(s.ctx) })
	}
}

// close ends everything and brings the data to disk.
func (s *Snapshot) close() error {
	s.closeOnce.Do(func() {
		s.client.forget(s)
		s.cancel(ErrClosed)
		s.find.stop()
		s.handle.Drop()
		s.wg.Wait()
		s.stopFlush()
		s.closeErr = errors.Join(<-s.flushed, s.file.data.Close())
	})
	return s.closeErr
}

// Remove takes the snapshot out of the client. With deleteFile, its file and the record beside it are deleted, and the folder if that
// leaves it empty; without, they stay as after [Client.Close].
func (s *Snapshot) Remove(deleteFile bool) error {
	err := s.close()
	if deleteFile {
		return s.file.remove()
	}
	return err
}

// Torrent is what the snapshot was added as or peers' metadata said. It must not be modified.
func (s *Snapshot) Torrent() *snapshot.Torrent { return s.torrent }

// Path is where the file lies. Before it is complete, it has holes; see [Snapshot.Have].
func (s *Snapshot) Path() string { return s.file.path }

// Have reports whether piece i is present: verified and readable. It is false for an index out of range.
func (s *Snapshot) Have(i int) bool {
	return i >= 0 && i < len(s.file.state) && s.file.has(i)
}

// Completed is how much is present.
func (s *Snapshot) Completed() (pieces int, bytes int64) {
	pieces, bySource := s.file.completed()
	for _, n := range bySource {
		bytes += n
	}
	return pieces, bytes
}

// missing is how many bytes are not present.
func (s *Snapshot) missing() int64 {
	_, n := s.Completed()
	return s.torrent.Length - n
}

// Done is closed once every piece is present. If a piece is later found to be bad, Done returns a new, open channel.
// Present means verified, not yet durable: see [Snapshot.Sync].
func (s *Snapshot) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Sync makes what is present durable: a restart after a power loss will have it.
func (s *Snapshot) Sync() error { return s.file.save() }

// Err is the state that keeps pieces from being written, [ErrDiskFull] or another [ErrDisk], or nil. It goes away by itself.
func (s *Snapshot) Err() error { return s.disk.failed() }

// Start fetches everything in the background from now on.
func (s *Snapshot) Start() { s.loop.post(func() { s.loop.startAll() }) }

// Stop ends what Start began: from now on only what readers wait for or want is fetched. What is present is seeded on.
func (s *Snapshot) Stop() { s.loop.post(func() { s.loop.stopAll() }) }

// SetOrigins replaces the complete URLs of the file that pieces may be taken from. What is known of an origin that stays is kept.
func (s *Snapshot) SetOrigins(urls []string) {
	urls = append([]string(nil), urls...)
	s.loop.post(func() { s.loop.setOrigins(urls) })
}

// AddPeers connects to peers, host:port each, once.
func (s *Snapshot) AddPeers(peers ...string) {
	d := discovery{client: s.client, handle: s.handle, peers: peers, ctx: s.ctx}
	d.offer()
}

// VerifyAll hashes every piece that is present, or was until the file changed, on all cores, and returns how many were wrong or unreadable. Those are fetched
// again. If ctx ends, bad counts what was looked at.
func (s *Snapshot) VerifyAll(ctx context.Context) (bad int, err error) {
	defer s.noteCompletion()
	s.file.notice()
	return s.file.verify(ctx, func(int) bool { return true })
}

// VerifyRestored is [Snapshot.VerifyAll] for the pieces that a restart took over on the word of the record beside the file alone;
// each of them is hashed once per process. A program that reports a snapshot as verified and exits should call it first.
func (s *Snapshot) VerifyRestored(ctx context.Context) (bad int, err error) {
	defer s.noteCompletion()
	s.file.notice()
	return s.file.verify(ctx, s.file.vouched)
}

// noteCompletion keeps Done in step with the pieces.
func (s *Snapshot) noteCompletion() {
	s.mu.Lock()
	defer s.mu.Unlock()
	pieces, _ := s.file.completed()
	all := pieces == len(s.file.state)
	switch {
	case all && !s.complete:
		close(s.done)
	case !all && s.complete:
		s.done = make(chan struct{})
	}
	s.complete = all
}

// changedByOthers is called when every piece of the file is being hashed again for that.
func (s *Snapshot) changedByOthers() {
	s.client.log.Warn("the file was changed by somebody else: all of it is hashed again, what is damaged is fetched again", "file", s.file.path)
}

// contradiction is called, with locks held, when piece i of a hybrid has the right SHA-1 and the wrong SHA-256: whoever made the
// torrent made its halves differ. Peers could send the piece for ever, so nothing is taken from them any more.
func (s *Snapshot) contradiction(i int) {
	s.client.log.Error("a piece has the SHA-1 that the torrent tells, but not the SHA-256: the publisher signed two different files; "+
		"it is not taken, and the download ends here", "file", s.file.path, "piece", i)
	go s.handle.DisallowDataDownload() // needs the library's lock, which may be held
}

// diskFailed is called by writers, with the file's locks held.
func (s *Snapshot) diskFailed(err error) {
	if s.ctx.Err() == nil && s.disk.fail(err) {
		signal(s.loop.diskFailed)
	}
}
