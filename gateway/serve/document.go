package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// document is a small body made from what was signed.
type document struct {
	mediaType string
	name      string // to save it under; empty: shown by browsers
	body      []byte
	modified  time.Time
}

const plainText = "text/plain; charset=utf-8"

// companions are the documents beside a file, by suffix. A file whose own name ends like that comes first.
var companions = map[string]func(view) (document, error){
	".torrent": torrentOf,
	".magnet":  magnetOf,
	".sha256":  sha256Of,
}

func torrentOf(v view) (document, error) {
	return document{bucket.TypeTorrent, v.torrent.Name + ".torrent", v.torrent.Encode(), v.validators().modified}, nil
}

func magnetOf(v view) (document, error) {
	return document{plainText, "", []byte(v.torrent.Magnet() + "\n"), v.validators().modified}, nil
}

// sha256Of is what sha256sum -c reads.
func sha256Of(v view) (document, error) {
	d := v.torrent.Description
	if d == nil {
		return document{}, refuse(http.StatusNotFound, "The publisher did not sign a SHA-256 of this file. Its torrent's piece hashes verify it.")
	}
	line := hex.EncodeToString(d.SHA256[:]) + "  " + v.torrent.Name + "\n"
	return document{plainText, "", []byte(line), d.Created}, nil
}

// pointer answers /<salt>/pointer.
func (h *Handler) pointer(c echo.Context) error {
	ch, err := h.findChannel(c)
	if err != nil {
		return err
	}
	rec, ok := h.lib.Newest(ch.Salt)
	if !ok {
		return refuse(http.StatusNotFound, "No signed pointer of this channel has been found so far.").with("Retry-After", retryAfter)
	}
	h.markStale(c, ch.Salt)
	c.Response().Header().Set("Cache-Control", bucket.CachePointer)
	return h.document(c, document{bucket.TypeBinary, "pointer", rec.Encode(), rec.Time().Truncate(time.Second)})
}

// torrentByHash answers /torrents/<infohash>.torrent, for what is served here and nothing else.
func (h *Handler) torrentByHash(c echo.Context) error {
	unknown := refuse(http.StatusNotFound, "This gateway serves no snapshot of that info-hash.")
	digits, found := strings.CutSuffix(c.Param("file"), ".torrent")
	if !found || digits != strings.ToLower(digits) {
		return unknown
	}
	ih, err := snapshot.ParseInfoHash(digits)
	if err != nil {
		return unknown
	}
	for _, ch := range h.lib.Channels() {
		for _, version := range h.lib.Versions(ch.Salt) {
			data, ok := h.lib.Open(ch.Salt, version)
			if !ok || data.Torrent().InfoHash != ih && data.Torrent().ShortV2() != ih {
				continue
			}
			d, err := torrentOf(view{channel: ch, version: version, torrent: data.Torrent()})
			if err != nil {
				return err
			}
			c.Response().Header().Set("Cache-Control", bucket.CacheImmutable)
			return h.document(c, d)
		}
	}
	return unknown
}

// document answers with d. Cache-Control is the caller's.
func (h *Handler) document(c echo.Context, d document) error {
	header := c.Response().Header()
	sum := sha256.Sum256(d.body)
	val := validators{etag: `"` + hex.EncodeToString(sum[:]) + `"`, modified: d.modified}
	val.set(header)
	switch val.precondition(c.Request().Header) {
	case http.StatusNotModified:
		return c.NoContent(http.StatusNotModified)
	case http.StatusPreconditionFailed:
		return refuse(http.StatusPreconditionFailed, "The document is not the one that If-Match or If-Unmodified-Since names.")
	}
	header.Set("Content-Type", d.mediaType)
	header.Set("Content-Length", strconv.Itoa(len(d.body)))
	if d.name != "" {
		header.Set("Content-Disposition", disposition(d.name))
	}
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := c.Response().Write(d.body)
	return err
}
