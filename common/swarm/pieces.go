package swarm

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"

	"snapswarm/common/snapshot"
)

// errNotPresent is what peers' requests for bytes get that were not verified.
var errNotPresent = errors.New("piece is not present")

// hashBuffer is how much of a piece is read at once to hash it.
const hashBuffer = 256 << 10

// noStorage is the library's default storage; every torrent brings its own.
type noStorage struct{}

func (noStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{}, errors.New("torrent has no storage")
}

// pieceStorage is a pieceFile as the library wants to see it.
type pieceStorage struct {
	file    *pieceFile
	buffers sync.Pool // of *[]byte, hashBuffer long
}

func newPieceStorage(p *pieceFile) *pieceStorage {
	return &pieceStorage{file: p, buffers: sync.Pool{New: func() any {
		b := make([]byte, hashBuffer)
		return &b
	}}}
}

// OpenTorrent implements storage.ClientImpl. Close does nothing: the library calls it with its global lock held, and an fsync would
// stall every torrent. The snapshot closes its file itself.
func (s *pieceStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece:     func(m metainfo.Piece) storage.PieceImpl { return storedPiece{s, m.Index()} },
		NewReader: func() storage.TorrentReader { return peerReader{s.file} },
		Close:     func() error { return nil },
	}, nil
}

// storedPiece implements storage.PieceImpl and io.WriterTo.
type storedPiece struct {
	storage *pieceStorage
	i       int
}

func (p storedPiece) ReadAt(b []byte, off int64) (int, error) {
	f := p.storage.file
	return f.data.ReadAt(b, f.offset(p.i)+off)
}

func (p storedPiece) WriteAt(b []byte, off int64) (int, error) {
	return p.storage.file.writeChunk(p.i, b, off)
}

// WriteTo is how the library hashes a piece. Of a hybrid torrent it looks at the SHA-1 alone, so the SHA-256 tree is hashed here, too.
func (p storedPiece) WriteTo(w io.Writer) (int64, error) {
	f := p.storage.file
	f.hashed[p.i].Store(f.writes[p.i].Load())
	buf, _ := p.storage.buffers.Get().(*[]byte)
	defer p.storage.buffers.Put(buf)
	size := f.torrent.PieceSize(p.i)
	var tree *snapshot.PieceCheck
	if f.torrent.HasV1() {
		tree = f.torrent.NewTreeCheck(p.i)
	}
	var done int64
	for done < size {
		b := (*buf)[:min(hashBuffer, size-done)]
		n, err := f.data.ReadAt(b, f.offset(p.i)+done)
		if n < len(b) {
			return done, errors.Join(err, io.ErrUnexpectedEOF)
		}
		if _, err := w.Write(b); err != nil {
			return done, err
		}
		if tree != nil {
			_, _ = tree.Write(b)
		}
		done += int64(n)
	}
	f.forged[p.i].Store(tree != nil && !tree.Right())
	return done, nil
}

func (p storedPiece) MarkComplete() error {
	p.storage.file.markPresent(p.i)
	return nil
}

func (p storedPiece) MarkNotComplete() error {
	p.storage.file.doubt(p.i)
	return nil
}

// Completion is called with the library's lock held: it must not wait for anything.
func (p storedPiece) Completion() storage.Completion {
	s := p.storage.file.state[p.i].Load()
	return storage.Completion{
		Ok:       s == pieceMissing || s == piecePresent,
		Complete: s == piecePresent,
	}
}

// peerReader reads what peers asked for. A request never spans pieces.
type peerReader struct{ file *pieceFile }

func (r peerReader) ReadAt(b []byte, off int64) (int, error) {
	if !r.file.has(int(off / r.file.torrent.PieceLength)) {
		return 0, errNotPresent
	}
	return r.file.data.ReadAt(b, off)
}

func (r peerReader) Close() error { return nil }
