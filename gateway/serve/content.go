package serve

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
)

// content is the body of an answer with data: one or several parts of a file, each with a text before it.
type content struct {
	status    int
	mediaType string
	parts     []part
	tail      string
	length    int64
	// contentRange is for an answer with a single part of the file.
	contentRange string
}

type part struct {
	head string
	byteRange
}

// newContent lays out the answer with the given ranges of a file of size bytes; none means the whole file.
func newContent(ranges []byteRange, size int64, mediaType string) content {
	switch len(ranges) {
	case 0:
		return content{status: http.StatusOK, mediaType: mediaType, length: size, parts: []part{{"", byteRange{0, size}}}}
	case 1:
		return content{
			status: http.StatusPartialContent, mediaType: mediaType, length: ranges[0].length, parts: []part{{"", ranges[0]}},
			contentRange: ranges[0].contentRange(size),
		}
	}
	return multipart(ranges, size, mediaType, rand.Text())
}

// multipart lays out multipart/byteranges (RFC 9110 section 14.6). The boundary must not occur in the data.
func multipart(ranges []byteRange, size int64, mediaType, boundary string) content {
	c := content{
		status:    http.StatusPartialContent,
		mediaType: "multipart/byteranges; boundary=" + boundary,
		tail:      "\r\n--" + boundary + "--\r\n",
	}
	c.length = int64(len(c.tail))
	for i, r := range ranges {
		head := fmt.Sprintf("\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n", boundary, mediaType, r.contentRange(size))
		if i == 0 {
			head = head[2:]
		}
		c.parts = append(c.parts, part{head, r})
		c.length += int64(len(head)) + r.length
	}
	return c
}

// set writes what the header says of the body.
func (c content) set(header http.Header) {
	header.Set("Content-Type", c.mediaType)
	header.Set("Content-Length", strconv.FormatInt(c.length, 10))
	if c.contentRange != "" {
		header.Set("Content-Range", c.contentRange)
	}
}
