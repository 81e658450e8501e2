//go:build e2e && linux

package crash_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/anacrolix/torrent/bencode"

	packed "snapswarm/common/archive"
	"snapswarm/common/snapshot"
)

// book is a snapshot as the storage has it, checked.
type book struct {
	archive
	file   string
	length int64 // of a piece
	pieces int
	tag    string
}

// key is the name of its archive in the storage.
func (b *book) key(salt string) string { return salt + "/" + string(b.version) + "/" + b.file }

// library knows what each snapshot really is. It reads the storage by itself and checks every hash.
type library struct {
	base, salt string
	client     *http.Client

	mu    sync.Mutex // guards the rest
	books map[snapshot.InfoHash]*book
	order []*book // the newest last
}

// shelf is of how many snapshots the content is kept in memory: more than anybody may still be serving.
const shelf = 40

func newLibrary(base, salt string) *library {
	return &library{base: base, salt: salt, client: &http.Client{Timeout: time.Minute}, books: make(map[snapshot.InfoHash]*book)}
}

// get is the snapshot of an info-hash, read if it is not known.
func (l *library) get(ctx context.Context, ih snapshot.InfoHash) (*book, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[ih]; b != nil {
		return b, nil
	}
	b, err := l.read(ctx, ih)
	if err != nil {
		return nil, err
	}
	l.books[ih] = b
	l.order = append(l.order, b)
	if len(l.order) > shelf {
		old := *l.order[0]
		old.content = nil
		l.books[old.infoHash] = &old
		l.order = l.order[1:]
	}
	return b, nil
}

// find is a known snapshot that is as asked.
func (l *library) find(is func(*book) bool) *book {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.order) - 1; i >= 0; i-- {
		if is(l.order[i]) {
			return l.order[i]
		}
	}
	return nil
}

// lookup is the snapshot whose archive has this name in the storage.
func (l *library) lookup(ctx context.Context, key string) (*book, error) {
	if b := l.find(func(b *book) bool { return b.key(l.salt) == key }); b != nil {
		return b, nil
	}
	torrent, err := l.object(ctx, key+".torrent")
	if err != nil {
		return nil, err
	}
	var m metainfo
	if err := bencode.Unmarshal(torrent, &m); err != nil {
		return nil, fmt.Errorf("torrent of %s: %w", key, err)
	}
	return l.get(ctx, sha1.Sum(m.Info))
}

// metainfo is what is read of a torrent (BEP 3), and of the dictionary that a snapshot has in it.
type metainfo struct {
	Info bencode.Bytes `bencode:"info"`
}

type info struct {
	Name        string `bencode:"name"`
	Length      int64  `bencode:"length"`
	PieceLength int64  `bencode:"piece length"`
	Pieces      string `bencode:"pieces"`
	Snapshot    struct {
		Version   string `bencode:"version"`
		SHA256    string `bencode:"sha256"`
		RawSize   int64  `bencode:"raw-size"`
		RawSHA256 string `bencode:"raw-sha256"`
	} `bencode:"snapshot"`
}

// read gets torrent and archive and checks every hash. An error says what is missing or wrong.
func (l *library) read(ctx context.Context, ih snapshot.InfoHash) (*book, error) {
	torrent, err := l.object(ctx, "torrents/"+ih.String()+".torrent")
	if err != nil {
		return nil, err
	}
	var m metainfo
	var i info
	if err := errors.Join(bencode.Unmarshal(torrent, &m), bencode.Unmarshal(m.Info, &i)); err != nil {
		return nil, fmt.Errorf("torrent %s: %w", ih, err)
	}
	if sha1.Sum(m.Info) != ih || i.PieceLength <= 0 {
		return nil, fmt.Errorf("torrent %s is another one", ih)
	}
	b := &book{archive: archive{version: snapshot.Version(i.Snapshot.Version), infoHash: ih}, file: i.Name, length: i.PieceLength, pieces: len(i.Pieces) / sha1.Size}
	b.tag = fmt.Sprintf("\"%x\"", i.Snapshot.SHA256)
	copy(b.raw[:], i.Snapshot.RawSHA256)
	beside, err := l.object(ctx, b.key(l.salt)+".torrent")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(beside, torrent) {
		return nil, fmt.Errorf("the two copies of torrent %s differ", ih)
	}
	if b.content, err = l.object(ctx, b.key(l.salt)); err != nil {
		return nil, err
	}
	if err := b.check(ctx, i); err != nil {
		return nil, err
	}
	return b, nil
}

// check compares the content with all that the torrent says of it.
func (b *book) check(ctx context.Context, i info) error {
	if int64(len(b.content)) != i.Length {
		return fmt.Errorf("archive %s has %d bytes, its torrent says %d", b.version, len(b.content), i.Length)
	}
	for n := int64(0); n*b.length < i.Length; n++ {
		sum := sha1.Sum(b.content[n*b.length : min((n+1)*b.length, i.Length)])
		if string(sum[:]) != i.Pieces[n*sha1.Size:][:sha1.Size] {
			return fmt.Errorf("archive %s: piece %d is wrong", b.version, n)
		}
	}
	if sum := sha256.Sum256(b.content); string(sum[:]) != i.Snapshot.SHA256 {
		return fmt.Errorf("archive %s: the whole is wrong", b.version)
	}
	r, err := packed.NewReader(bytes.NewReader(b.content), i.Length, packed.Limits{RawSize: i.Snapshot.RawSize})
	if err != nil {
		return fmt.Errorf("archive %s: %w", b.version, err)
	}
	raw := sha256.New()
	if err := r.Decode(ctx, raw, 1); err != nil {
		return fmt.Errorf("archive %s: %w", b.version, err)
	}
	if !bytes.Equal(raw.Sum(nil), b.raw[:]) {
		return fmt.Errorf("archive %s unpacks to %x, its torrent says %x", b.version, raw.Sum(nil), b.raw)
	}
	return nil
}

// object reads an object of the storage, as a stranger.
func (l *library) object(ctx context.Context, key string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base+"/"+key, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", key, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
