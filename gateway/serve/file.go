package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// file answers /<salt>/<version>/<file> and what lies beside it.
func (h *Handler) file(c echo.Context) error {
	v, err := h.find(c)
	if err != nil {
		return err
	}
	if v.latest {
		h.markStale(c, v.channel.Salt)
	}
	suffix, found := strings.CutPrefix(c.Param("file"), v.torrent.Name)
	if !found {
		return h.wrongName(v)
	}
	if suffix == "" {
		return h.archive(c, v)
	}
	companion, ok := companions[suffix]
	if !ok {
		return h.wrongName(v)
	}
	d, err := companion(v)
	if err != nil {
		return err
	}
	v.describe(c.Response().Header(), suffix)
	return h.document(c, d)
}

// noFile answers paths that stop at a version.
func (h *Handler) noFile(c echo.Context) error {
	v, err := h.find(c)
	if err != nil {
		return err
	}
	return h.wrongName(v)
}

func (h *Handler) wrongName(v view) error {
	version := string(v.version)
	if v.latest {
		version = alias
	}
	right := v.base + "/" + escapePath(v.channel.Salt+"/"+version+"/"+v.torrent.Name)
	return refuse(http.StatusNotFound, "There is no file of that name. The file of this version is\n  %s\nand beside it are .torrent, .magnet and .sha256 of the same name.", right)
}

// archive answers a request for the data of a version.
func (h *Handler) archive(c echo.Context, v view) error {
	r, header, val := c.Request(), c.Response().Header(), v.validators()
	header.Set("Accept-Ranges", "bytes")
	v.describe(header, "")
	val.set(header)
	switch val.precondition(r.Header) {
	case http.StatusNotModified:
		return c.NoContent(http.StatusNotModified)
	case http.StatusPreconditionFailed:
		return refuse(http.StatusPreconditionFailed, "This is not the version that If-Match or If-Unmodified-Since names.\nIt is %s.", v.url(""))
	}
	ranges, err := h.ranges(r, v, val)
	if err != nil {
		return err
	}
	header.Set("Content-Disposition", disposition(v.torrent.Name))
	return h.send(c, v, newContent(ranges, v.torrent.Length, mediaType(v.torrent.Name)))
}

// ranges returns the parts that a request wants; none means the whole file. Only GET has ranges (RFC 9110 section 14.2).
func (h *Handler) ranges(r *http.Request, v view, val validators) ([]byteRange, error) {
	if r.Method != http.MethodGet {
		return nil, nil
	}
	values := r.Header.Values("Range")
	if len(values) == 0 {
		return nil, nil
	}
	var ranges []byteRange
	err := errRangeSyntax
	if len(values) == 1 {
		ranges, err = parseRange(values[0], v.torrent.Length, h.cfg.MaxRanges)
	}
	if errors.Is(err, errRangeSyntax) {
		return nil, refuse(http.StatusBadRequest, "The Range header is malformed. Examples: bytes=0-499, bytes=500-, bytes=-500")
	}
	match := val.ifRange(r.Header, !v.latest)
	switch {
	case v.latest && match != ifRangeMatches && beyondStart(ranges, err):
		return nil, h.conflict(v)
	case match == ifRangeDiffers:
		return nil, nil // the whole file (RFC 9110 section 13.1.5)
	case err != nil:
		return nil, h.unsatisfiable(v, err)
	}
	return ranges, nil
}

// beyondStart reports whether a request continues something: any of its ranges begins beyond the first byte.
func beyondStart(ranges []byteRange, err error) bool {
	for _, r := range ranges {
		if r.start > 0 {
			return true
		}
	}
	return err != nil
}

func (h *Handler) unsatisfiable(v view, err error) error {
	text := fmt.Sprintf("The file has %d bytes, and none of them lies in the requested range.", v.torrent.Length)
	if errors.Is(err, errRangeCount) {
		text = fmt.Sprintf("A request may name at most %d ranges.", h.cfg.MaxRanges)
	}
	return refuse(http.StatusRequestedRangeNotSatisfiable, "%s", text).
		with("Content-Range", "bytes */"+strconv.FormatInt(v.torrent.Length, 10))
}

// conflict is the answer to a request that would join the end of this version to the beginning of one that nobody knows. Measured
// with curl, wget and aria2: only an error with a body, and neither 416 nor 200, leaves the partial file alone and is
// reported to the user.
func (h *Handler) conflict(v view) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\"latest\" may have moved since your download began, and two different snapshots do not fit together.\n\n"+
		"If the part that you have is of version %s, continue with\n  %s\n", v.version, v.commands().resume())
	for _, version := range h.lib.Versions(v.channel.Salt) {
		data, ok := h.lib.Open(v.channel.Salt, version)
		if !ok || version == v.version {
			continue
		}
		old := v
		old.version, old.data, old.torrent = version, data, data.Torrent()
		fmt.Fprintf(&b, "if it is of version %s, with\n  %s\n", version, old.commands().resume())
	}
	fmt.Fprintf(&b, "If you do not know, remove it and start again with the first of these addresses: it can be resumed safely.\n")
	if check := v.commands().check(); check != "" {
		fmt.Fprintf(&b, "\nCheck the result with\n  %s\n", check)
	}
	return refuse(http.StatusConflict, "%s", strings.TrimSuffix(b.String(), "\n"))
}

// send answers with parts of the data, once the first of them is here.
func (h *Handler) send(c echo.Context, v view, content content) error {
	header := c.Response().Header()
	content.set(header)
	if c.Request().Method == http.MethodHead {
		return c.NoContent(content.status)
	}
	began := h.cfg.Now()
	s, err := newSender(c.Response().Writer, v.data, h.cfg.Idle)
	if err != nil {
		return h.waitError(v, err)
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(c.Request().Context(), h.cfg.FirstByte)
	err = s.first(ctx, content.parts[0].start)
	cancel()
	if err != nil {
		return h.waitError(v, err)
	}
	c.Response().WriteHeader(content.status)
	h.metrics.first(c.Request().Context(), began)
	err = s.sendAll(c.Request().Context(), content)
	c.Response().Size += s.sent
	return err
}
