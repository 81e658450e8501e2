package bucket

import (
	"errors"
	"fmt"
	"mime"
	"path"
	"strings"

	"snapswarm/common/snapshot"
)

// The path space of buckets and gateways, below the base address:
//
//	<salt>/pointer                                      the signed record of the newest snapshot
//	<salt>/lease                                        which producer publishes, see package publish
//	<salt>/<version>/<file>                             an archive
//	<salt>/<version>/<file>.torrent                     its torrent
//	<salt>/<version>/<file>.from-<version>.patch        a patch from an older version, and its .torrent
//	torrents/<infohash>.torrent                         any torrent by v1 info-hash
//	segments/<infohash>/<file>                          a file of a segmented snapshot
//
// Only the pointer and the lease ever change. Readers have no use for the lease, and gateways do not serve it.
const (
	pointerName   = "pointer"
	leaseName     = "lease"
	torrentsDir   = "torrents"
	segmentsDir   = "segments"
	torrentSuffix = ".torrent"
	patchInfix    = ".from-"
	patchSuffix   = ".patch"
)

// PointerKey names the signed record that says which snapshot of the channel is the newest.
func PointerKey(salt string) string { return salt + "/" + pointerName }

// LeaseKey names the record of the producer that has the channel to itself.
func LeaseKey(salt string) string { return salt + "/" + leaseName }

// ChannelPrefix is the prefix of everything that lies under a channel's name.
func ChannelPrefix(salt string) string { return salt + "/" }

// VersionPrefix is the prefix of everything that belongs to one version and to no other.
func VersionPrefix(salt string, v snapshot.Version) string { return salt + "/" + string(v) + "/" }

// ArchiveKey names the file that users download.
func ArchiveKey(salt string, v snapshot.Version, file string) string {
	return VersionPrefix(salt, v) + file
}

// TorrentKey names the torrent of an archive, beside it.
func TorrentKey(salt string, v snapshot.Version, file string) string {
	return ArchiveKey(salt, v, file) + torrentSuffix
}

// PatchFile is the file name of the patch that turns version from into the one whose archive is file.
func PatchFile(file string, from snapshot.Version) string {
	return file + patchInfix + string(from) + patchSuffix
}

// PatchKey names that patch; its torrent is TorrentKey(salt, v, PatchFile(file, from)).
func PatchKey(salt string, v snapshot.Version, file string, from snapshot.Version) string {
	return ArchiveKey(salt, v, PatchFile(file, from))
}

// InfoHashKey names a torrent by its v1 info-hash. A client that knows only a pointer begins here.
func InfoHashKey(ih snapshot.InfoHash) string { return torrentsDir + "/" + ih.String() + torrentSuffix }

// SegmentKey names a file of a segmented snapshot by the info-hash of its torrent; file may be a slash path.
func SegmentKey(ih snapshot.InfoHash, file string) string {
	return segmentsDir + "/" + ih.String() + "/" + file
}

// Kind says what an object of the path space is.
type Kind int

// The kinds of objects. The zero Kind is none of them.
const (
	KindPointer Kind = iota + 1
	KindArchive
	KindPatch
	KindTorrent         // beside an archive or a patch
	KindInfoHashTorrent // below torrents/
	KindSegment
	KindLease
)

// Object is a parsed name of the path space. Which fields are set depends on the kind.
type Object struct {
	// Kind is what it is.
	Kind Kind
	// Salt is the channel of a pointer, lease, archive, patch or torrent.
	Salt string
	// Version is the version of an archive, patch or torrent.
	Version snapshot.Version
	// File is the last part of the name: the archive, patch or segment; without .torrent for a torrent.
	File string
	// From is the version that a patch starts from, for a patch and its torrent.
	From snapshot.Version
	// InfoHash is that of a torrent below torrents/ and of a segment.
	InfoHash snapshot.InfoHash
}

// Key is the object's name; it is the inverse of [ParseKey].
func (o Object) Key() string {
	switch o.Kind {
	case KindPointer:
		return PointerKey(o.Salt)
	case KindLease:
		return LeaseKey(o.Salt)
	case KindArchive, KindPatch:
		return ArchiveKey(o.Salt, o.Version, o.File)
	case KindTorrent:
		return TorrentKey(o.Salt, o.Version, o.File)
	case KindInfoHashTorrent:
		return InfoHashKey(o.InfoHash)
	case KindSegment:
		return SegmentKey(o.InfoHash, o.File)
	}
	return ""
}

// ParseKey reads a name of the path space. Anything else is an error that wraps [ErrBadKey]: a listing of a bucket may
// hold foreign objects, and a path of a request anything at all.
func ParseKey(key string) (Object, error) {
	if err := CheckKey(key); err != nil {
		return Object{}, err
	}
	o, err := parseKey(key)
	if err != nil {
		return Object{}, fmt.Errorf("%w %q: %w", ErrBadKey, clip(key), err)
	}
	return o, nil
}

func parseKey(key string) (Object, error) {
	first, rest, found := strings.Cut(key, "/")
	switch {
	case !found:
		return Object{}, errors.New("no folder")
	case first == torrentsDir:
		return parseInfoHashTorrent(rest)
	case first == segmentsDir:
		return parseSegment(rest)
	}
	if err := snapshot.CheckSalt(first); err != nil {
		return Object{}, err
	}
	switch rest {
	case pointerName:
		return Object{Kind: KindPointer, Salt: first}, nil
	case leaseName:
		return Object{Kind: KindLease, Salt: first}, nil
	}
	return parseVersionFile(first, rest)
}

func parseInfoHashTorrent(rest string) (Object, error) {
	digits, ok := strings.CutSuffix(rest, torrentSuffix)
	if !ok || digits != strings.ToLower(digits) {
		return Object{}, errors.New("want torrents/<info-hash>.torrent in lower case")
	}
	ih, err := snapshot.ParseInfoHash(digits)
	return Object{Kind: KindInfoHashTorrent, InfoHash: ih}, err
}

func parseSegment(rest string) (Object, error) {
	digits, file, _ := strings.Cut(rest, "/")
	if file == "" || digits != strings.ToLower(digits) {
		return Object{}, errors.New("want segments/<info-hash>/<file> in lower case")
	}
	ih, err := snapshot.ParseInfoHash(digits)
	return Object{Kind: KindSegment, InfoHash: ih, File: file}, err
}

func parseVersionFile(salt, rest string) (Object, error) {
	name, file, _ := strings.Cut(rest, "/")
	v, err := snapshot.ParseVersion(name)
	if err != nil {
		return Object{}, err
	}
	if file == "" || strings.Contains(file, "/") {
		return Object{}, errors.New("want <salt>/<version>/<file>")
	}
	o := Object{Kind: KindArchive, Salt: salt, Version: v, File: file}
	if from, ok := patchFrom(file); ok {
		o.Kind, o.From = KindPatch, from
	}
	if base, ok := strings.CutSuffix(file, torrentSuffix); ok && base != "" {
		o.Kind, o.File = KindTorrent, base
		o.From, _ = patchFrom(base)
	}
	return o, nil
}

// patchFrom reports whether file is the name of a patch, and from which version.
func patchFrom(file string) (snapshot.Version, bool) {
	base, ok := strings.CutSuffix(file, patchSuffix)
	if !ok {
		return "", false
	}
	at := strings.LastIndex(base, patchInfix)
	if at < 1 {
		return "", false
	}
	from, err := snapshot.ParseVersion(base[at+len(patchInfix):])
	return from, err == nil
}

// Cache-Control of the sorts of objects (RFC 9111, RFC 8246).
const (
	CacheImmutable = "public, max-age=31536000, immutable"
	CachePointer   = "public, max-age=30, must-revalidate"
	CacheLease     = "no-store"
)

// Media types of the objects.
const (
	TypeTorrent = "application/x-bittorrent"
	TypeZstd    = "application/zstd" // RFC 8878
	TypeBinary  = "application/octet-stream"
	TypeJSON    = "application/json" // RFC 8259
)

// Defaults are the metadata that readers of the object expect: a short cache for the pointer, none for the lease, an endless
// one for the rest, the media type, and a download name. There is never a Content-Encoding: users want the compressed file.
func Defaults(key string) PutOptions {
	switch object, _ := ParseKey(key); object.Kind {
	case KindPointer:
		return PutOptions{ContentType: TypeBinary, CacheControl: CachePointer}
	case KindLease:
		return PutOptions{ContentType: TypeJSON, CacheControl: CacheLease}
	}
	name := path.Base(key)
	o := PutOptions{ContentType: TypeBinary, CacheControl: CacheImmutable}
	switch {
	case strings.HasSuffix(name, torrentSuffix):
		o.ContentType = TypeTorrent
	case strings.HasSuffix(name, ".zst"):
		o.ContentType = TypeZstd
	}
	o.ContentDisposition = mime.FormatMediaType("attachment", map[string]string{"filename": name})
	return o
}
