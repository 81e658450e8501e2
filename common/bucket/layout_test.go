package bucket_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

const (
	version  = snapshot.Version("20261120T060000Z-h1234")
	previous = snapshot.Version("20261119T060000Z")
)

func infoHash() snapshot.InfoHash {
	return snapshot.InfoHash{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
}

func Example_layout() {
	fmt.Println(bucket.PointerKey("nano"))
	fmt.Println(bucket.LeaseKey("nano"))
	fmt.Println(bucket.ArchiveKey("nano", version, "data.ldb.zst"))
	fmt.Println(bucket.TorrentKey("nano", version, "data.ldb.zst"))
	fmt.Println(bucket.PatchKey("nano", version, "data.ldb.zst", previous))
	fmt.Println(bucket.InfoHashKey(infoHash()))
	fmt.Println(bucket.SegmentKey(infoHash(), "idx/v1.0-000.seg"))
	// Output:
	// nano/pointer
	// nano/lease
	// nano/20261120T060000Z-h1234/data.ldb.zst
	// nano/20261120T060000Z-h1234/data.ldb.zst.torrent
	// nano/20261120T060000Z-h1234/data.ldb.zst.from-20261119T060000Z.patch
	// torrents/0123456789abcdef000000000000000000000000.torrent
	// segments/0123456789abcdef000000000000000000000000/idx/v1.0-000.seg
}

func ExampleParseKey() {
	o, err := bucket.ParseKey("nano/20261120T060000Z/data.ldb.zst.torrent")
	fmt.Println(o.Kind == bucket.KindTorrent, o.Salt, o.Version, o.File, err)
	// Output: true nano 20261120T060000Z data.ldb.zst <nil>
}

func TestParseKeyIsTheInverse(t *testing.T) {
	file := "data.ldb.zst"
	patch := bucket.PatchFile(file, previous)
	for _, want := range []bucket.Object{
		{Kind: bucket.KindPointer, Salt: "nano"},
		{Kind: bucket.KindLease, Salt: "nano"},
		{Kind: bucket.KindArchive, Salt: "nano", Version: version, File: file},
		{Kind: bucket.KindArchive, Salt: "nano", Version: version, File: ".from-20261119T060000Z.patch"},
		{Kind: bucket.KindTorrent, Salt: "nano", Version: version, File: file},
		{Kind: bucket.KindPatch, Salt: "nano", Version: version, File: patch, From: previous},
		{Kind: bucket.KindTorrent, Salt: "nano", Version: version, File: patch, From: previous},
		{Kind: bucket.KindInfoHashTorrent, InfoHash: infoHash()},
		{Kind: bucket.KindSegment, InfoHash: infoHash(), File: "chain.toml"},
		{Kind: bucket.KindSegment, InfoHash: infoHash(), File: "idx/v1.0-000.seg"},
	} {
		got, err := bucket.ParseKey(want.Key())
		if err != nil {
			t.Errorf("ParseKey(%q): %v", want.Key(), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseKey(%q): (-want +got)\n%s", want.Key(), diff)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for _, key := range []string{
		"", "pointer", "nano", "nano/", "nano/pointer/x", "nano/lease/x", "lease", "nano/latest/data.zst", "nano/20261120T060000Z",
		"nano/20261120T060000Z/", "nano/20261120T060000Z/a/b", "nano/20261320T060000Z/a", "NANO/pointer", "latest/pointer",
		"torrents/x.torrent", "torrents/0123456789ABCDEF000000000000000000000000.torrent",
		"torrents/0123456789abcdef000000000000000000000000", "torrents/0123456789abcdef000000000000000000000000.torrent/x",
		"segments/0123456789abcdef000000000000000000000000", "segments/x/y",
		"segments/0123456789abcdef000000000000000000000000/../x", "../nano/pointer", "/nano/pointer", "nano//pointer",
	} {
		if o, err := bucket.ParseKey(key); !errors.Is(err, bucket.ErrBadKey) {
			t.Errorf("ParseKey(%q) = %+v, %v; want ErrBadKey", key, o, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, test := range []struct{ key, mediaType, cache, disposition string }{
		{"nano/pointer", "application/octet-stream", "public, max-age=30, must-revalidate", ""},
		{"nano/lease", "application/json", "no-store", ""},
		{"nano/20261120T060000Z/data.zst", "application/zstd", bucket.CacheImmutable, "attachment; filename=data.zst"},
		{"nano/20261120T060000Z/data.zst.torrent", "application/x-bittorrent", bucket.CacheImmutable, "attachment; filename=data.zst.torrent"},
		{"nano/20261120T060000Z/ü.bin", "application/octet-stream", bucket.CacheImmutable, "attachment; filename*=utf-8''%C3%BC.bin"},
		// a segment may have any name
		{
			"segments/0123456789abcdef000000000000000000000000/pointer", "application/octet-stream",
			bucket.CacheImmutable, "attachment; filename=pointer",
		},
	} {
		want := bucket.PutOptions{ContentType: test.mediaType, CacheControl: test.cache, ContentDisposition: test.disposition}
		got := bucket.Defaults(test.key)
		if got.ContentType != want.ContentType || got.CacheControl != want.CacheControl || got.ContentDisposition != want.ContentDisposition {
			t.Errorf("Defaults(%q) = %+v, want %+v", test.key, got, want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("nano/pointer")
	f.Add("nano/20261120T060000Z/data.zst.torrent")
	f.Add("nano/20261120T060000Z/data.zst.from-20261119T060000Z.patch.torrent")
	f.Add("torrents/0123456789abcdef000000000000000000000000.torrent")
	f.Add("segments/0123456789abcdef000000000000000000000000/a/b")
	f.Fuzz(func(t *testing.T, key string) {
		o, err := bucket.ParseKey(key)
		if err != nil {
			return
		}
		if o.Key() != key {
			t.Errorf("ParseKey(%q) = %+v, whose key is %q", key, o, o.Key())
		}
		for element := range strings.SplitSeq(key, "/") {
			if element == ".." || element == "." || element == "" {
				t.Errorf("ParseKey(%q) accepts the element %q", key, element)
			}
		}
	})
}
