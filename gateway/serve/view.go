package serve

import (
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// alias is the version in a path that means the newest one.
const alias = "latest"

// view is one version as one request sees it.
type view struct {
	base    string // the address above the salt, without a slash at its end; may be empty
	channel snapshot.Channel
	version snapshot.Version
	torrent *snapshot.Torrent
	data    Snapshot
	// latest: the request names the alias.
	latest bool
}

// path is the immutable path of the version's file, with an optional suffix such as ".torrent", escaped for URLs.
func (v view) path(suffix string) string {
	return "/" + escapePath(bucket.ArchiveKey(v.channel.Salt, v.version, v.torrent.Name+suffix))
}

// url is the immutable address of the version's file.
func (v view) url(suffix string) string { return v.base + v.path(suffix) }

// validators of the data: the signed hash of the file, and when the snapshot was made.
func (v view) validators() validators {
	d := v.torrent.Description
	if d == nil {
		return validators{etag: `"` + v.torrent.InfoHash.String() + `"`, modified: v.version.Time()}
	}
	return validators{etag: `"` + hex.EncodeToString(d.SHA256[:]) + `"`, modified: d.Created.Truncate(time.Second)}
}

// describe sets the headers that say which version an answer is about.
func (v view) describe(header http.Header, suffix string) {
	if v.latest {
		header.Set("Content-Location", v.url(suffix))
		header.Set("Link", "<"+v.url(suffix)+`>; rel="canonical"`)
		header.Set("Cache-Control", "private, no-store")
		return
	}
	header.Set("Cache-Control", bucket.CacheImmutable)
}

// find returns the version that a request names. Channels and versions that are not served are a 404 that says which are; the
// newest version is a 503 while it cannot be opened.
func (h *Handler) find(c echo.Context) (view, error) {
	ch, err := h.findChannel(c)
	if err != nil {
		return view{}, err
	}
	v := view{base: h.base(c.Request()), channel: ch}
	name := c.Param("version")
	if name == alias {
		v.latest = true
		latest, ok := h.lib.Latest(ch.Salt)
		if !ok {
			return view{}, refuse(http.StatusServiceUnavailable, "No snapshot of this channel is known yet: its signed pointer, or the torrent it names, has not been found so far.").
				with("Retry-After", retryAfter)
		}
		name = string(latest)
	}
	if v.version, err = snapshot.ParseVersion(name); err == nil {
		var ok bool
		if v.data, ok = h.lib.Open(ch.Salt, v.version); ok {
			v.torrent = v.data.Torrent()
			return v, nil
		}
		if err := h.lib.Trouble(ch.Salt, v.version); err != nil {
			return view{}, refuse(http.StatusServiceUnavailable, "Version %s is the newest one, but the gateway cannot open it at the moment; its log says why.", v.version).
				with("Retry-After", retryAfter).because(err)
		}
	}
	return view{}, h.noVersion(v)
}

func (h *Handler) findChannel(c echo.Context) (snapshot.Channel, error) {
	salt := c.Param("salt")
	for _, ch := range h.lib.Channels() {
		if ch.Salt == salt {
			return ch, nil
		}
	}
	return snapshot.Channel{}, refuse(http.StatusNotFound, "There is no such channel here. The listing is at /.")
}

func (h *Handler) noVersion(v view) error {
	latest, ok := h.view(v.base, v.channel)
	if !ok {
		return refuse(http.StatusNotFound, "There is no such version here, and none of this channel is known yet.")
	}
	return refuse(http.StatusNotFound, "There is no such version here, or it is no longer kept. The newest one is\n  %s\nand the listing is at %s/%s/",
		latest.url(""), v.base, v.channel.Salt)
}

// view is the newest version of a channel.
func (h *Handler) view(base string, ch snapshot.Channel) (view, bool) {
	latest, ok := h.lib.Latest(ch.Salt)
	if !ok {
		return view{}, false
	}
	data, ok := h.lib.Open(ch.Salt, latest)
	if !ok {
		return view{}, false
	}
	return view{base: base, channel: ch, version: latest, torrent: data.Torrent(), data: data}, true
}

// stale returns the expiry of the channel's pointer if it has passed.
func (h *Handler) stale(salt string) (expired time.Time, stale bool) {
	p, _, ok := h.newest(salt)
	if !ok || !p.Stale(h.cfg.Now()) {
		return time.Time{}, false
	}
	return p.Expires, true
}

func (h *Handler) newest(salt string) (pointer.Pointer, pointer.Record, bool) {
	rec, ok := h.lib.Newest(salt)
	if !ok {
		return pointer.Pointer{}, pointer.Record{}, false
	}
	p, err := rec.Pointer()
	return p, rec, err == nil
}

// markStale tells programs that the publisher has not been heard of for longer than it promised.
func (h *Handler) markStale(c echo.Context, salt string) {
	if expired, ok := h.stale(salt); ok {
		c.Response().Header().Set("X-Snapshot-Stale", "pointer expired "+expired.UTC().Format(time.RFC3339))
	}
}

// escapePath escapes the elements of a slash path.
func escapePath(path string) string {
	elements := strings.Split(path, "/")
	for i, e := range elements {
		elements[i] = percentEncode(e)
	}
	return strings.Join(elements, "/")
}
