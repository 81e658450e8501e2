//go:build e2e && linux

package crash_test

import (
	"context"
	"errors"
	"io"
	"log" //nolint:depguard // what net/http wants
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"

	"snapswarm/common/snapshot"
)

// front is the storage's door: all nodes read and write through it. It knows who asks, tells of each request before it is passed on,
// in the middle of its body, and when the storage has answered, and counts what is sent of pieces.
type front struct {
	*world
	proxy *httputil.ReverseProxy
	url   string
	close func()
}

type frontKey struct{}

// open starts the front.
func (w *world) openFront() error {
	target, err := url.Parse(w.S3.Endpoint)
	if err != nil {
		return err
	}
	f := &front{world: w}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if v, ok := r.Request.Context().Value(frontKey{}).(*visit); ok {
				return v.answered(r)
			}
			return nil
		},
		ErrorHandler: func(out http.ResponseWriter, _ *http.Request, _ error) { out.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     quiet(),
	}
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = quiet()
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, frontKey{}, conn)
	}
	server.Start()
	f.url, f.close = server.URL, server.Close
	w.front = f
	return nil
}

// visit is one request of a node.
type visit struct {
	*front
	from *node
	life int
	what string // such as "PUT pointer"
}

// errDead ends a request of a process that was killed meanwhile.
var errDead = errors.New("the client is dead")

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	conn, ok := r.Context().Value(frontKey{}).(net.Conn)
	if !ok {
		panic("a request without a connection")
	}
	from, life, ok := f.owner(conn)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	v := &visit{front: f, from: from, life: life, what: f.name(r)}
	if v.tell("before "+v.what) != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Body != nil && r.ContentLength > 0 {
		r.Body = &halfway{ReadCloser: r.Body, half: r.ContentLength / 2, then: func() error { return v.tell("in " + v.what) }}
	}
	f.proxy.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), frontKey{}, v)))
}

// tell tells of the visit, and fails if the client was killed for that.
func (v *visit) tell(what string) error {
	v.events.saw(v.from, what, true)
	if _, life := v.from.running(); life != v.life || v.from.now() == nil {
		return errDead
	}
	return nil
}

// answered is called when the storage has done what was asked, and before the client hears of it.
func (v *visit) answered(r *http.Response) error {
	if err := v.tell("after " + v.what); err != nil {
		return err
	}
	if r.StatusCode/100 != 2 || r.ContentLength <= 0 || r.Request.Method != http.MethodGet {
		return nil
	}
	r.Body = &halfway{ReadCloser: r.Body, half: r.ContentLength / 2, then: func() error { return v.tell("in " + v.what) }}
	if key := strings.TrimPrefix(r.Request.URL.Path, "/"+v.S3.Bucket+"/"); strings.HasSuffix(v.what, " archive") {
		v.count(r, key)
	}
	return nil
}

// count counts what is sent of an archive's pieces.
func (v *visit) count(r *http.Response, key string) {
	if v.from.role == producer {
		return // it looks at what it has uploaded
	}
	b, err := v.library.lookup(r.Request.Context(), key)
	if err != nil {
		return // gone meanwhile
	}
	var offset int64
	if _, rest, ok := strings.Cut(r.Header.Get("Content-Range"), "bytes "); ok {
		first, _, _ := strings.Cut(rest, "-")
		offset, _ = strconv.ParseInt(first, 10, 64)
	}
	r.Body = &tally{ReadCloser: r.Body, visit: v, of: b.infoHash, length: b.length, offset: offset}
}

// name says in two words what is asked for. What only a publisher may do or see is named by its method, what anybody may read is "read".
func (f *front) name(r *http.Request) string {
	query := r.URL.Query()
	verb := r.Method
	if r.Header.Get("Authorization") == "" {
		verb = "read"
	}
	switch key := strings.TrimPrefix(r.URL.Path, "/"+f.S3.Bucket); {
	case query.Has("uploads"):
		return verb + " uploads"
	case query.Has("partNumber"):
		return verb + " part"
	case query.Has("uploadId"):
		return verb + " upload"
	case key == "" || key == "/":
		return verb + " bucket"
	case strings.HasPrefix(key, "/torrents/"):
		return verb + " torrent by hash"
	case strings.HasSuffix(key, ".torrent"):
		return verb + " torrent"
	case strings.Count(key, "/") == 2:
		return verb + " " + path.Base(key) // the pointer, and whatever lies beside it
	}
	return verb + " archive"
}

// halfway calls then once, when half of a body has been read.
type halfway struct {
	io.ReadCloser
	half int64
	then func() error
}

// Read implements io.Reader.
func (h *halfway) Read(b []byte) (int, error) {
	if h.half > 0 {
		b = b[:min(int64(len(b)), h.half)]
	}
	n, err := h.ReadCloser.Read(b)
	if h.half -= int64(n); h.half <= 0 && h.then != nil {
		then := h.then
		h.then = nil
		if failed := then(); failed != nil {
			return 0, failed
		}
	}
	return n, err
}

// tally counts what is read of an archive, piece by piece.
type tally struct {
	io.ReadCloser
	*visit
	of             snapshot.InfoHash
	length, offset int64
}

// Read implements io.Reader.
func (t *tally) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	for left := int64(n); left > 0; {
		part := min(left, t.length-t.offset%t.length)
		t.history.pieceTaken(t.from.name, t.life, t.of, int(t.offset/t.length), part)
		t.offset, left = t.offset+part, left-part
	}
	if n > 0 {
		t.events.saw(t.from, "a block", false)
	}
	return n, err
}

// quiet is for servers whose clients are killed.
func quiet() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) }
