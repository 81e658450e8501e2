package serve

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"snapswarm/common/snapshot"
)

// listing is what is served, as JSON shows it. Its fields are public: they may grow, but not change.
type listing struct {
	Channels []channelEntry `json:"channels"`
}

type channelEntry struct {
	Name string `json:"name"`
	Link string `json:"link"`
	URL  string `json:"url"`
	// Pointer is missing until one was found.
	Pointer *pointerEntry `json:"pointer,omitempty"`
	// Latest is the version behind the alias; LatestURL is the alias.
	Latest    snapshot.Version `json:"latest,omitempty"`
	LatestURL string           `json:"latest_url,omitempty"`
	Versions  []versionEntry   `json:"versions"`
}

type pointerEntry struct {
	Seq     int64      `json:"seq"`
	Signed  *time.Time `json:"signed,omitempty"` // nil for a sequence number that only counts
	Expires *time.Time `json:"expires,omitempty"`
	Stale   bool       `json:"stale"`
	URL     string     `json:"url"`
}

type versionEntry struct {
	Version   snapshot.Version `json:"version"`
	Created   time.Time        `json:"created"`
	Height    uint64           `json:"height,omitempty"`
	File      string           `json:"file"`
	Size      int64            `json:"size"`
	SHA256    string           `json:"sha256,omitempty"`
	RawName   string           `json:"raw_name,omitempty"`
	RawSize   int64            `json:"raw_size,omitempty"`
	RawSHA256 string           `json:"raw_sha256,omitempty"`
	InfoHash  string           `json:"infohash"`
	URL       string           `json:"url"`
	Torrent   string           `json:"torrent"`
	Magnet    string           `json:"magnet"`
	// LocalBytes is how much of it this gateway has on its own disk; the rest comes from the swarm when it is asked for.
	LocalBytes int64 `json:"local_bytes"`

	view view
}

// index answers "/".
func (h *Handler) index(c echo.Context) error {
	var l listing
	for _, ch := range h.lib.Channels() {
		l.Channels = append(l.Channels, h.entry(h.base(c.Request()), ch))
	}
	return h.list(c, l, "", l)
}

// channel answers "/<salt>/".
func (h *Handler) channel(c echo.Context) error {
	ch, err := h.findChannel(c)
	if err != nil {
		return err
	}
	h.markStale(c, ch.Salt)
	entry := h.entry(h.base(c.Request()), ch)
	return h.list(c, listing{[]channelEntry{entry}}, ch.Salt, entry)
}

// addSlash sends those who left out the slash to the listing. The address is relative, so that it holds behind a proxy that
// serves a folder.
func (h *Handler) addSlash(c echo.Context) error {
	ch, err := h.findChannel(c)
	if err != nil {
		return err
	}
	location := ch.Salt + "/"
	if c.QueryParam("format") == "json" {
		location += "?format=json"
	}
	c.Response().Header().Set("Location", location)
	c.Response().Header().Set("Cache-Control", "no-cache")
	return text(c, http.StatusPermanentRedirect, "The listing is at "+location)
}

// list answers with the listing as HTML, or with value as JSON.
func (h *Handler) list(c echo.Context, l listing, title string, value any) error {
	header := c.Response().Header()
	header.Set("Vary", "Accept")
	header.Set("Cache-Control", "no-cache")
	if wantsJSON(c.Request()) {
		body, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		return h.document(c, document{mediaType: "application/json", body: append(body, '\n')})
	}
	body, err := h.render(l, title)
	if err != nil {
		return err
	}
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	return h.document(c, document{mediaType: "text/html; charset=utf-8", body: body})
}

func (h *Handler) entry(base string, ch snapshot.Channel) channelEntry {
	e := channelEntry{Name: ch.Salt, Link: ch.String(), URL: base + "/" + ch.Salt + "/", Versions: []versionEntry{}}
	if p, rec, ok := h.newest(ch.Salt); ok {
		e.Pointer = &pointerEntry{Seq: rec.Seq, Stale: p.Stale(h.cfg.Now()), URL: base + "/" + ch.Salt + "/pointer"}
		if signed := rec.Time(); rec.Timed() {
			e.Pointer.Signed = &signed
		}
		if !p.Expires.IsZero() {
			e.Pointer.Expires = &p.Expires
		}
	}
	for _, version := range h.lib.Versions(ch.Salt) {
		if data, ok := h.lib.Open(ch.Salt, version); ok {
			e.Versions = append(e.Versions, newVersionEntry(view{base: base, channel: ch, version: version, torrent: data.Torrent(), data: data}))
		}
	}
	if v, ok := h.view(base, ch); ok {
		e.Latest = v.version
		e.LatestURL = base + "/" + escapePath(ch.Salt+"/"+alias+"/"+v.torrent.Name)
	}
	return e
}

func newVersionEntry(v view) versionEntry {
	e := versionEntry{
		Version: v.version, Created: v.version.Time(), Height: v.version.Height(), File: v.torrent.Name, Size: v.torrent.Length,
		InfoHash: v.torrent.InfoHash.String(), URL: v.url(""), Torrent: v.url(".torrent"), Magnet: v.torrent.Magnet(), view: v,
	}
	_, e.LocalBytes = v.data.Completed()
	if d := v.torrent.Description; d != nil {
		e.Created, e.Height = d.Created, d.Height
		e.SHA256, e.RawSHA256 = hex.EncodeToString(d.SHA256[:]), hex.EncodeToString(d.RawSHA256[:])
		e.RawName, e.RawSize = d.RawName, d.RawSize
	}
	return e
}

// wantsJSON decides between the two forms: ?format= first, then the better quality in Accept (RFC 9110 section 12.5.1).
// Programs that accept anything get HTML, like browsers.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	var html, object float64
	for element := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		name, q := mediaRange(element)
		switch name {
		case "application/json":
			object = max(object, q)
		case "text/html", "application/xhtml+xml", "text/*", "*/*":
			html = max(html, q)
		}
	}
	return object > 0 && object >= html
}

// mediaRange reads one element of Accept.
func mediaRange(element string) (name string, q float64) {
	name, parameters, _ := strings.Cut(element, ";")
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		if value, found := strings.CutPrefix(strings.TrimSpace(p), "q="); found {
			q, _ = strconv.ParseFloat(value, 64) // 0 where it is malformed
		}
	}
	return strings.ToLower(strings.TrimSpace(name)), q
}
