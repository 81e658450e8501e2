package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"snapswarm/common/address"
)

// Policy says whom [NewHTTPClient] may talk to, and how long it waits.
type Policy struct {
	// AllowPrivate lifts all restrictions on addresses: for a swarm inside one network, for the demo and for tests.
	AllowPrivate bool
	// Origins are base addresses that the operator configured. They may be anywhere, and the environment's proxy is
	// used for them (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). Only scheme, host and port count.
	Origins []string
	// HeaderTimeout is how long an answer may take to begin. 0 means 30 seconds.
	HeaderTimeout time.Duration
	// StallTimeout is how long a body may stay silent while somebody reads it. 0 means 30 seconds.
	StallTimeout time.Duration
	// UserAgent is the User-Agent header field; empty means "snapswarm".
	UserAgent string
}

const (
	defaultHeaderTimeout = 30 * time.Second
	defaultStallTimeout  = 30 * time.Second
	defaultUserAgent     = "snapswarm"
	maxRedirects         = 5
	maxHeaderBytes       = 64 << 10
)

// ErrRefusedRedirect is wrapped by errors about redirects to another host or out of TLS.
var ErrRefusedRedirect = errors.New("redirect refused")

// ErrStalled is wrapped by errors of bodies that stopped coming.
var ErrStalled = errors.New("no data")

// NewHTTPClient makes a client for addresses that others may have named.
//
// It connects only to public addresses (see [address.CheckPublic]), which is checked on the address that the connection really
// goes to, so that no DNS answer can get around it. Exempt are the origins that the operator configured. It follows
// redirects on the same host only, never from https to http. Addresses of others are never asked through a proxy,
// because a proxy would do the look-up and the connecting where no check of ours reaches.
//
// Bodies have no total time limit; one that stays silent while it is read fails with [ErrStalled]. Bodies come as they
// are, never decompressed. The client is safe for concurrent use. Errors wrap [ErrBadConfig].
func NewHTTPClient(p Policy) (*http.Client, error) {
	g, err := newGuard(p)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: g, CheckRedirect: checkRedirect}, nil
}

// guard is the RoundTripper that knows two sorts of addresses.
type guard struct {
	trusted   *http.Transport
	public    *http.Transport
	everybody bool            // trust all
	origins   map[string]bool // scheme://host:port of the operator's; not changed after newGuard
	stall     time.Duration
	agent     string
}

func newGuard(p Policy) (*guard, error) {
	g := &guard{
		everybody: p.AllowPrivate,
		origins:   make(map[string]bool, len(p.Origins)),
		stall:     p.StallTimeout,
		agent:     p.UserAgent,
	}
	if g.stall <= 0 {
		g.stall = defaultStallTimeout
	}
	if g.agent == "" {
		g.agent = defaultUserAgent
	}
	for _, o := range p.Origins {
		u, err := ParseBase(o)
		if err != nil {
			return nil, err
		}
		g.origins[originOf(u)] = true
	}
	wait := p.HeaderTimeout
	if wait <= 0 {
		wait = defaultHeaderTimeout
	}
	g.trusted = transport(nil, wait)
	g.trusted.Proxy = http.ProxyFromEnvironment
	g.public = transport(address.ControlPublic, wait)
	return g, nil
}

func transport(control func(network, address string, c syscall.RawConn) error, wait time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  wait,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    8,
		MaxConnsPerHost:        32,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ReadBufferSize:         64 << 10,
		DisableCompression:     true,
	}
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.User != nil {
		closeBody(req)
		return nil, fmt.Errorf("%w: a password in the address of %s", ErrBadConfig, req.URL.Host)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	out := req.Clone(ctx)
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", g.agent)
	}
	resp, err := g.pick(req.URL).RoundTrip(out)
	if err != nil {
		cancel(err)
		return nil, err
	}
	resp.Body = &watchedBody{ctx: ctx, body: resp.Body, cancel: cancel, limit: g.stall}
	return resp, nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

func (g *guard) pick(u *url.URL) http.RoundTripper {
	if g.everybody || g.origins[originOf(u)] {
		return g.trusted
	}
	return g.public
}

// CloseIdleConnections lets http.Client.CloseIdleConnections work.
func (g *guard) CloseIdleConnections() {
	g.trusted.CloseIdleConnections()
	g.public.CloseIdleConnections()
}

// originOf is scheme, host and port, in one spelling.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d", ErrRefusedRedirect, maxRedirects)
	case originOf(req.URL) == originOf(first), upgraded(first, req.URL):
		return nil
	}
	return fmt.Errorf("%w: from %s to %s", ErrRefusedRedirect, originOf(first), originOf(req.URL))
}

// upgraded allows what many servers do: http on the usual port to https on the usual port of the same host.
func upgraded(from, to *url.URL) bool {
	return from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == "" &&
		strings.EqualFold(from.Hostname(), to.Hostname())
}

// watchedBody fails a Read that waits too long. Time between the Reads does not count.
type watchedBody struct {
	ctx    context.Context //nolint:containedctx // of the request that this body answers
	body   io.ReadCloser
	cancel context.CancelCauseFunc
	limit  time.Duration
}

func (w *watchedBody) Read(b []byte) (int, error) {
	timer := time.AfterFunc(w.limit, func() { w.cancel(stall(w.limit)) })
	n, err := w.body.Read(b)
	timer.Stop()
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader returns the bare io.EOF
		if cause := context.Cause(w.ctx); errors.Is(cause, ErrStalled) {
			err = cause
		}
	}
	return n, err
}

func stall(limit time.Duration) error {
	return fmt.Errorf("%w for %v: %w", ErrStalled, limit, ErrUnreachable)
}

func (w *watchedBody) Close() error {
	err := w.body.Close()
	w.cancel(nil)
	return err
}
