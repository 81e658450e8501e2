//go:build linux

package faultfs

import (
	"slices"
	"time"
)

// pageSize is what a disk writes as a whole or not at all.
const pageSize = 4096

// page never changes once it is part of a content: so contents share pages, and what was written since can be told by comparing
// pointers. A nil page is a hole.
type page = [pageSize]byte

// content is what a file holds. Bytes beyond size are zero.
type content struct {
	size     int64
	modified time.Time
	pages    []*page
}

func (c *content) clone() content {
	return content{size: c.size, modified: c.modified, pages: slices.Clone(c.pages)}
}

// page is page i, also beyond the end.
func (c *content) page(i int) *page {
	if i < len(c.pages) {
		return c.pages[i]
	}
	return nil
}

func (c *content) setPage(i int, p *page) {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	c.pages[i] = p
}

// read fills b from off on and returns how much there was.
func (c *content) read(b []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	b = b[:min(int64(len(b)), c.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		rest := b[done:min(len(b), done+pageSize-int(at%pageSize))]
		if p := c.page(int(at / pageSize)); p != nil {
			copy(rest, p[at%pageSize:])
		} else {
			clear(rest)
		}
		done += len(rest)
	}
	return len(b)
}

func (c *content) write(b []byte, off int64) {
	for done := 0; done < len(b); {
		at := off + int64(done)
		i := int(at / pageSize)
		fresh := new(page)
		if old := c.page(i); old != nil {
			*fresh = *old
		}
		done += copy(fresh[at%pageSize:], b[done:])
		c.setPage(i, fresh)
	}
	c.size = max(c.size, off+int64(len(b)))
	c.modified = time.Now()
}

func (c *content) truncate(size int64) {
	c.fit(size)
	c.modified = time.Now()
}

// fit changes the size and keeps what is beyond it zero.
func (c *content) fit(size int64) {
	c.size = size
	if whole := int((size + pageSize - 1) / pageSize); len(c.pages) > whole {
		c.pages = slices.Clone(c.pages[:whole])
	}
	if last := int(size / pageSize); size%pageSize != 0 && c.page(last) != nil {
		fresh := *c.page(last)
		clear(fresh[size%pageSize:])
		c.setPage(last, &fresh)
	}
}

// seek finds the next byte from off on that is data, or that is a hole. The end of the file is a hole.
func (c *content) seek(off int64, data bool) (at int64, ok bool) {
	for at = off; at < c.size; at = (at/pageSize + 1) * pageSize {
		if (c.page(int(at/pageSize)) != nil) == data {
			return at, true
		}
	}
	return c.size, !data && off < c.size
}

// blocks is the space that the file takes, in the units of stat(2).
func (c *content) blocks() (n uint64) {
	for _, p := range c.pages {
		if p != nil {
			n += pageSize / 512
		}
	}
	return n
}
