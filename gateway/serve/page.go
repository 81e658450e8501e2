package serve

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed page.html
var pageSource string

// parsePage reads the template; its names are escaped for the place where they stand.
func parsePage() (*template.Template, error) {
	return template.New("page").Parse(pageSource)
}

// page is what the template shows.
type page struct {
	Title    string
	Home     string // path of the index, relative to this page; empty on the index itself
	Channels []pageChannel
}

type pageChannel struct {
	Name, Href, Link string
	Stale            string // when the pointer expired; empty: it did not
	Signed           string // age of the pointer
	Versions         []pageVersion
	// More is how many older versions the channel's own page lists beyond these.
	More int
}

type pageVersion struct {
	Version, File    string
	Latest           bool
	Href             string
	Created, Age     string
	Height           string
	Size, RawSize    string
	SHA256, InfoHash string
	Magnet           template.URL
	Local            string
	Lines            []pageLine
}

// pageLine is a command to copy and what it is for.
type pageLine struct{ Label, Command string }

// render makes the page of a listing: of one channel when title names it, else the index.
func (h *Handler) render(l listing, title string) ([]byte, error) {
	p := page{Title: title}
	if title != "" {
		p.Home = "../"
	}
	for _, e := range l.Channels {
		p.Channels = append(p.Channels, h.pageChannel(e, title == ""))
	}
	var b bytes.Buffer
	if err := h.page.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("render listing: %w", err)
	}
	return b.Bytes(), nil
}

func (h *Handler) pageChannel(e channelEntry, index bool) pageChannel {
	p := pageChannel{Name: e.Name, Link: e.Link}
	if index {
		p.Href = e.Name + "/"
	}
	if e.Pointer != nil {
		if e.Pointer.Signed != nil {
			p.Signed = h.ago(*e.Pointer.Signed)
		}
		if e.Pointer.Stale {
			p.Stale = stamp(*e.Pointer.Expires)
		}
	}
	for _, v := range e.Versions {
		if latest := v.Version == e.Latest; latest || !index {
			p.Versions = append(p.Versions, h.pageVersion(v, p.Href, latest))
		} else {
			p.More++
		}
	}
	return p
}

func (h *Handler) pageVersion(e versionEntry, prefix string, latest bool) pageVersion {
	p := pageVersion{
		Version: string(e.Version), File: e.File, Latest: latest,
		Href:    prefix + escapePath(string(e.Version)+"/"+e.File),
		Created: stamp(e.Created), Age: h.ago(e.Created), Size: size(e.Size), SHA256: e.SHA256, InfoHash: e.InfoHash,
		Magnet: template.URL(e.Magnet), //nolint:gosec // made by package snapshot, which escapes it
		Local:  local(e.LocalBytes, e.Size), Lines: lines(e.view.commands(), latest),
	}
	if e.Height > 0 {
		p.Height = humanize.Comma(int64(e.Height))
	}
	if e.RawSize > 0 {
		p.RawSize = size(e.RawSize)
	}
	return p
}

func lines(c commands, latest bool) []pageLine {
	all := []pageLine{
		{"curl", c.latest()},
		{"curl, to resume", c.resume()},
		{"wget", c.wget()},
		{"aria2, from the swarm", c.aria2()},
		{"mirror: verifies, and can share", c.mirror()},
		{"check", c.check()},
		{"unpack", c.unpack()},
	}
	kept := all[:0]
	for _, line := range all {
		if line.Command != "" && (latest || line.Label != "curl" && line.Command != c.mirror()) {
			kept = append(kept, line)
		}
	}
	return kept
}

func (h *Handler) ago(t time.Time) string {
	return humanize.RelTime(t, h.cfg.Now(), "ago", "from now")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// local says how much of a version is on this gateway's disk.
func local(have, size int64) string {
	switch {
	case have >= size:
		return "complete"
	case have <= 0:
		return "fetched from the swarm on demand"
	}
	return fmt.Sprintf("%d %% here, the rest is being fetched", min(have*100/size, 99))
}
