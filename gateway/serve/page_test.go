package serve_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapswarm/gateway/serve"
)

var update = flag.Bool("update", false, "write golden files")

// pageShelf has what a page can show: several channels and versions, a stale pointer, and a name that wants escaping.
func pageShelf(t *testing.T) *shelf {
	t.Helper()
	lib, _ := scriptShelf(t)
	evil := newSnapshot(t, "20261119T000000Z", "a & b' $(x).zst", content(6, 100), describe("20261119T000000Z", content(6, 100)))
	lib.add("old", evil)
	return lib
}

func TestPagesAreGolden(t *testing.T) {
	t.Parallel()
	addr := start(t, pageShelf(t), serve.Config{PublicURL: "https://gw.test/"})
	for path, golden := range map[string]string{
		"/": "testdata/index.html.golden", "/demo/": "testdata/demo.html.golden", "/old/": "testdata/old.html.golden",
		"/?format=json": "testdata/index.json.golden",
	} {
		got := read(t, "http://"+addr+path)
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs from %s (-want +got):\n%s", path, golden, diff)
		}
	}
}

func TestPageIsWellFormed(t *testing.T) {
	t.Parallel()
	addr := start(t, pageShelf(t), serve.Config{})
	for _, path := range []string{"/", "/demo/", "/old/", "/bare/", "/empty/"} {
		body := read(t, "http://"+addr+path)
		if bytes.Contains(body, []byte("<script")) || bytes.Contains(body, []byte("ZgotmplZ")) || bytes.Contains(body, []byte("a & b")) {
			t.Errorf("%s holds a script, or a name that is not escaped", path)
		}
		checkTags(t, path, body)
	}
}

// voidTags need no end in HTML, but in XML.
var voidTags = regexp.MustCompile(`<(meta|link)( [^>]*)>`)

// checkTags fails when a tag is not closed in its order.
func checkTags(t *testing.T, path string, body []byte) {
	t.Helper()
	text := strings.Replace(string(body), "<!DOCTYPE html>", "", 1)
	style := regexp.MustCompile(`(?s)<style>.*</style>`)
	d := xml.NewDecoder(strings.NewReader(voidTags.ReplaceAllString(style.ReplaceAllString(text, ""), "<$1$2/>")))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s is not well-formed: %v", path, err)
			return
		}
	}
}

func TestPointerIsTheExactRecord(t *testing.T) {
	t.Parallel()
	lib, _ := scriptShelf(t)
	got := read(t, "http://"+start(t, lib, serve.Config{})+"/demo/pointer")
	if !bytes.Equal(got, lib.records["demo"].Encode()) {
		t.Errorf("pointer = %q, want the record's own bytes", got)
	}
}

func TestTorrentsAreTheExactTorrent(t *testing.T) {
	t.Parallel()
	lib, _ := scriptShelf(t)
	addr := start(t, lib, serve.Config{})
	torrent := lib.snapshots["demo"][0].torrent
	for _, path := range []string{"/demo/" + newest + "/data.ldb.zst.torrent", "/demo/latest/data.ldb.zst.torrent", "/torrents/" + torrent.InfoHash.String() + ".torrent"} {
		got := read(t, "http://"+addr+path)
		if !bytes.Equal(got, torrent.Encode()) {
			t.Errorf("%s = %d bytes, want the torrent's own", path, len(got))
		}
	}
}

func TestLatestMovesAndVersionsStay(t *testing.T) {
	t.Parallel()
	lib, first := shelfOf(t, fileSize)
	first.deliver(t, 0, 1, 2, 3)
	addr := start(t, lib, serve.Config{})
	tag := get(t, "http://"+addr+"/demo/latest/data.zst").header.Get("ETag")

	next := newSnapshot(t, "20261121T060000Z", "data.zst", content(10, fileSize), describe("20261121T060000Z", content(10, fileSize)))
	next.deliver(t, 0, 1, 2, 3)
	lib.add("demo", next)
	for path, want := range map[string][]byte{"latest": next.content, newest: first.content, "20261121T060000Z": next.content} {
		got := read(t, "http://"+addr+"/demo/"+path+"/data.zst")
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not the right version", path)
		}
	}
	response := get(t, "http://"+addr+"/demo/latest/data.zst", "Range", "bytes=500000-", "If-Range", tag)
	if response.status != http.StatusConflict {
		t.Errorf("continuing the first version at latest = %d, want 409", response.status)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"": true, "https://gw.test": true, "http://gw.test:8080/snapshots/": true,
		"gw.test": false, "ftp://gw.test": false, "https://user@gw.test": false, "https://gw.test/?a": false, "https:///x": false,
	} {
		_, err := serve.New(newShelf(t), serve.Config{PublicURL: url})
		if (err == nil) != ok {
			t.Errorf("New with public URL %q = %v, want ok: %t", url, err, ok)
		}
	}
}
