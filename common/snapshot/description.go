package snapshot

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// Kinds of archives.
const (
	KindFile = "file" // the raw data is one file
	KindTar  = "tar"  // the raw data is a deterministic tar of a directory
)

// Formats of archives.
const (
	FormatZstd = "zstd" // independent zstd frames and a seek table
	FormatNone = "none" // the source's own bytes, passed through
)

// Codec tells how the raw data became the archive, so that others can make the same bytes again.
type Codec struct {
	// Format is [FormatZstd] or [FormatNone].
	Format string
	// Chunk is the raw size of every frame but the last, in bytes; 0 for FormatNone.
	Chunk int64
	// Encoder and Level name the program and its setting.
	Encoder string
	Level   string
}

// Description is what a publisher says of a snapshot inside the torrent's info dictionary, under
// the key "snapshot". There the pointer's signature covers it by way of the info-hash, and it
// travels with the metadata (BEP 9).
type Description struct {
	Version Version
	// Created is when the snapshot was taken, to the second.
	Created time.Time
	// Height is the block height, 0 if unknown.
	Height uint64
	// Kind is [KindFile] or [KindTar]; readers refuse what they do not know only when they unpack.
	Kind string
	// SHA256 is the hash of the archive, RawSHA256 that of the raw data.
	SHA256    [32]byte
	RawSize   int64
	RawSHA256 [32]byte
	// RawName is the file name of the raw data.
	RawName string
	Codec   Codec
	// Previous is the info-hash of the version before, zero for the first.
	Previous InfoHash
	// Retain is how long the publisher promises to keep this version after a newer one came.
	Retain time.Duration
}

type descriptionDict struct {
	Codec     codecDict `bencode:"codec"`
	Created   int64     `bencode:"created"`
	Height    uint64    `bencode:"height,omitempty"`
	Kind      string    `bencode:"kind"`
	Previous  string    `bencode:"previous,omitempty"`
	RawName   string    `bencode:"raw-name"`
	RawSHA256 string    `bencode:"raw-sha256"`
	RawSize   int64     `bencode:"raw-size"`
	Retain    int64     `bencode:"retain,omitempty"`
	SHA256    string    `bencode:"sha256"`
	Version   string    `bencode:"version"`
}

type codecDict struct {
	Chunk   int64  `bencode:"chunk,omitempty"`
	Encoder string `bencode:"encoder,omitempty"`
	Format  string `bencode:"format"`
	Level   string `bencode:"level,omitempty"`
}

// Check reports what a torrent of this description could not carry.
func (d *Description) Check() error {
	if _, err := ParseVersion(string(d.Version)); err != nil {
		return err
	}
	if err := CheckFileName(d.RawName); err != nil {
		return fmt.Errorf("raw name: %w", err)
	}
	switch {
	case d.RawSize < 0:
		return fmt.Errorf("raw size %d is negative", d.RawSize)
	case d.Retain < 0:
		return fmt.Errorf("retain %s is negative", d.Retain)
	case d.Codec.Chunk < 0 || d.Codec.Chunk > math.MaxInt32:
		return fmt.Errorf("chunk size %d is out of range", d.Codec.Chunk)
	case d.Kind == "" || d.Codec.Format == "":
		return errors.New("kind or codec format is empty")
	}
	return nil
}

func (d *Description) encode() (bencode.Bytes, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	dict := descriptionDict{
		Codec:     d.Codec.dict(),
		Created:   d.Created.Unix(),
		Height:    d.Height,
		Kind:      d.Kind,
		RawName:   d.RawName,
		RawSHA256: string(d.RawSHA256[:]),
		RawSize:   d.RawSize,
		Retain:    int64(d.Retain / time.Second),
		SHA256:    string(d.SHA256[:]),
		Version:   string(d.Version),
	}
	if !d.Previous.IsZero() {
		dict.Previous = string(d.Previous[:])
	}
	return bencode.Marshal(dict)
}

func (c Codec) dict() codecDict {
	return codecDict{Chunk: c.Chunk, Encoder: c.Encoder, Format: c.Format, Level: c.Level}
}

func parseDescription(b bencode.Bytes) (*Description, error) {
	var dict descriptionDict
	if err := bencode.Unmarshal(b, &dict); err != nil {
		return nil, err
	}
	d := &Description{
		Version: Version(dict.Version),
		Created: time.Unix(dict.Created, 0).UTC(),
		Height:  dict.Height,
		Kind:    dict.Kind,
		RawSize: dict.RawSize,
		RawName: dict.RawName,
		Codec:   Codec{Format: dict.Codec.Format, Chunk: dict.Codec.Chunk, Encoder: dict.Codec.Encoder, Level: dict.Codec.Level},
	}
	if dict.Retain > int64(math.MaxInt64/time.Second) {
		return nil, fmt.Errorf("retain %d is out of range", dict.Retain)
	}
	d.Retain = time.Duration(dict.Retain) * time.Second
	for _, field := range []struct {
		name, from string
		to         []byte
		optional   bool
	}{
		{"sha256", dict.SHA256, d.SHA256[:], false},
		{"raw-sha256", dict.RawSHA256, d.RawSHA256[:], false},
		{"previous", dict.Previous, d.Previous[:], true},
	} {
		if len(field.from) != len(field.to) && (field.from != "" || !field.optional) {
			return nil, fmt.Errorf("%s has %d bytes, want %d", field.name, len(field.from), len(field.to))
		}
		copy(field.to, field.from)
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	return d, nil
}
