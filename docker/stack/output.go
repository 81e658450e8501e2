package stack

import (
	"bytes"
	"io"
	"sync"
)

// lineWriter lets several processes write to one place, whole lines at a time.
type lineWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func newLineWriter(w io.Writer) *lineWriter {
	if w == nil {
		w = io.Discard
	}
	return &lineWriter{w: w}
}

func (l *lineWriter) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(line) // for people to look at; nobody could act on an error
}

// prefixer puts a name in front of every line. It is used by one goroutine.
type prefixer struct {
	name string
	out  *lineWriter
	rest []byte // an unfinished line
}

// maxLine is where an endless line is broken.
const maxLine = 16 << 10

func (p *prefixer) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 && len(p.rest) < maxLine {
			return len(b), nil
		}
		if i < 0 {
			i = maxLine - 1
		}
		line := append([]byte(p.name+" | "), bytes.TrimRight(p.rest[:i+1], "\r\n")...)
		p.out.write(append(line, '\n'))
		p.rest = append(p.rest[:0], p.rest[i+1:]...)
	}
}
