package swarm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// recordMagic begins a record; its last byte is the version of the format. Version 1 had no damaged pieces.
const (
	recordMagic  = "snappcs\x02"
	recordMagic1 = "snappcs\x01"
)

const (
	recordHeader = len(recordMagic) + 20 + 4*8
	// maxRecordPieces is the library's own limit on the pieces of a torrent.
	maxRecordPieces = 1 << 24
	maxRecordSize   = recordHeader + 2*maxRecordPieces/8 + sha256.Size
)

var errBadRecord = errors.New("record of pieces is damaged")

// record says which pieces of a file were verified and are on disk, and which file that was. FORMAT.md describes the bytes.
type record struct {
	infoHash snapshot.InfoHash
	size     int64
	inode    uint64
	// modified is the file's modification time after the last fsync. It may have moved on to at most until: equal times mean
	// that nothing was being written, a later until that writing may have gone on after the record was made.
	modified, until time.Time
	have            bitfield
	damaged         bitfield // as long as have: pieces that were present, were lost, and are to be fetched again
}

// matches reports whether the record speaks of the file that info describes.
func (r *record) matches(infoHash snapshot.InfoHash, pieces int, info os.FileInfo) bool {
	m := info.ModTime()
	return r.infoHash == infoHash && len(r.have) == len(newBitfield(pieces)) &&
		r.size == info.Size() && r.inode == inode(info) &&
		!m.Before(r.modified) && !m.After(r.until)
}

func (r *record) encode() []byte {
	b := make([]byte, 0, recordHeader+len(r.have)+len(r.damaged)+sha256.Size)
	b = append(b, recordMagic...)
	b = append(b, r.infoHash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = binary.BigEndian.AppendUint64(b, r.inode)
	b = binary.BigEndian.AppendUint64(b, uint64(r.modified.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.until.UnixNano()))
	return withSum(append(append(b, r.have...), r.damaged...))
}

func withSum(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseRecord checks and decodes what encode made. Errors wrap errBadRecord.
func parseRecord(b []byte) (*record, error) {
	switch {
	case len(b) < recordHeader+sha256.Size || len(b) > maxRecordSize:
		return nil, fmt.Errorf("%w: %d bytes", errBadRecord, len(b))
	case !bytes.HasPrefix(b, []byte(recordMagic)) && !bytes.HasPrefix(b, []byte(recordMagic1)):
		return nil, fmt.Errorf("%w: unknown format", errBadRecord)
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[:]) {
		return nil, fmt.Errorf("%w: checksum does not match", errBadRecord)
	}
	r := new(record)
	if err := r.parseBits(body); err != nil {
		return nil, err
	}
	body = body[len(recordMagic):]
	copy(r.infoHash[:], body)
	body = body[len(r.infoHash):]
	r.size = int64(binary.BigEndian.Uint64(body))
	r.inode = binary.BigEndian.Uint64(body[8:])
	r.modified = time.Unix(0, int64(binary.BigEndian.Uint64(body[16:])))
	r.until = time.Unix(0, int64(binary.BigEndian.Uint64(body[24:])))
	return r, nil
}

// parseBits decodes what follows the header.
func (r *record) parseBits(body []byte) error {
	bits := bytes.Clone(body[recordHeader:])
	if bytes.HasPrefix(body, []byte(recordMagic1)) {
		r.have, r.damaged = bits, make(bitfield, len(bits))
		return nil
	}
	if len(bits)%2 != 0 {
		return fmt.Errorf("%w: %d bytes of bits", errBadRecord, len(bits))
	}
	r.have, r.damaged = bits[:len(bits)/2], bits[len(bits)/2:]
	return nil
}

// readRecord reads the record at path. A missing one is an error that wraps fs.ErrNotExist.
func readRecord(path string) (*record, error) {
	b, err := durable.ReadFile(path, int64(maxRecordSize))
	if err != nil {
		return nil, fmt.Errorf("read record of pieces: %w", err)
	}
	return parseRecord(b)
}

func (r *record) write(path string) error {
	if err := durable.WriteFile(path, r.encode(), 0o644); err != nil {
		return fmt.Errorf("write record of pieces: %w", err)
	}
	return nil
}

// bitfield is a set of pieces in BEP 3's order: piece 0 is the highest bit of the first byte.
type bitfield []byte

func newBitfield(pieces int) bitfield { return make(bitfield, (pieces+7)/8) }

func (b bitfield) set(i int) { b[i/8] |= 0x80 >> (i % 8) }

func (b bitfield) clear(i int) { b[i/8] &^= 0x80 >> (i % 8) }

// keep clears what is not set in other.
func (b bitfield) keep(other bitfield) {
	for i := range b {
		b[i] &= other[i]
	}
}

func (b bitfield) has(i int) bool { return b[i/8]&(0x80>>(i%8)) != 0 }
