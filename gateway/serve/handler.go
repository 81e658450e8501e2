package serve

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Defaults of a [Config].
const (
	DefaultFirstByte = time.Minute
	DefaultIdle      = 2 * time.Minute
	DefaultMaxRanges = 16
)

// Config is what a [Handler] works with. Only Log is required.
type Config struct {
	Log *slog.Logger
	// PublicURL is the address that users reach this gateway at, above the salt, for the links and commands that are shown. Empty:
	// http or https and the Host of each request, which is right without a proxy in front.
	PublicURL string
	// FirstByte is how long a request may wait for its first byte. 0 means DefaultFirstByte.
	FirstByte time.Duration
	// Idle is how long a transfer may stand still, because no data arrives or because the client takes none. 0 means DefaultIdle.
	Idle time.Duration
	// MaxRanges is how many ranges one request may ask for. 0 means DefaultMaxRanges.
	MaxRanges int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Handler answers requests from a Library. It is an http.Handler.
type Handler struct {
	cfg     Config
	lib     Library
	log     *slog.Logger
	metrics *metrics
	page    *template.Template
	public  string
	echo    *echo.Echo
}

// New makes a handler over lib.
func New(lib Library, cfg Config) (*Handler, error) {
	setDefaults(&cfg)
	public, err := ParsePublicURL(cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics()
	if err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	p, err := parsePage()
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	h := &Handler{cfg: cfg, lib: lib, log: cfg.Log, metrics: m, page: p, public: public, echo: echo.New()}
	h.echo.Logger.SetOutput(io.Discard) // everything that matters goes through fail and observe
	h.echo.HTTPErrorHandler = h.fail
	h.echo.Pre(h.observe, h.check)
	h.route()
	return h, nil
}

func setDefaults(cfg *Config) {
	if cfg.FirstByte == 0 {
		cfg.FirstByte = DefaultFirstByte
	}
	if cfg.Idle == 0 {
		cfg.Idle = DefaultIdle
	}
	if cfg.MaxRanges == 0 {
		cfg.MaxRanges = DefaultMaxRanges
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

// ParsePublicURL checks a [Config.PublicURL] and returns it without a slash at its end.
func ParsePublicURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("want http://host or https://host/path, without user, query or fragment")
	}
	return strings.TrimRight(s, "/"), nil
}

// ServeHTTP answers one request. w must be the writer of net/http itself; see the package's documentation.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.echo.ServeHTTP(w, r) }

// route names what is answered. The templates are attributes of metrics.
func (h *Handler) route() {
	for _, r := range []struct {
		template string
		handler  echo.HandlerFunc
	}{
		{"/", h.index},
		{"/:salt", h.addSlash},
		{"/:salt/", h.channel},
		{"/:salt/pointer", h.pointer},
		{"/:salt/:version", h.noFile},
		{"/:salt/:version/", h.noFile},
		{"/:salt/:version/:file", h.file},
		{"/torrents/:file", h.torrentByHash},
	} {
		h.echo.Match([]string{http.MethodGet, http.MethodHead}, r.template, r.handler)
	}
}

// check refuses what no handler should see. Afterwards the unescaped path has the same elements as the escaped one, so the router
// may work on it.
func (h *Handler) check(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		header := c.Response().Header()
		header.Set("X-Content-Type-Options", "nosniff")
		if r.ContentLength != 0 { // also -1, chunked; content of a GET means nothing, and is how requests are smuggled
			header.Set("Connection", "close")
			return refuse(http.StatusBadRequest, "Requests with content are not understood here.")
		}
		if err := checkPath(r.URL); err != nil {
			return err
		}
		r.URL.RawPath = ""
		return next(c)
	}
}

// base is the address above the salt, for links that people copy. It ends without a slash.
func (h *Handler) base(r *http.Request) string {
	switch {
	case h.public != "":
		return h.public
	case !plainHost(r.Host):
		return ""
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// plainHost keeps odd Host headers out of texts: those of the wrong length or with characters that no host or port has.
func plainHost(host string) bool {
	return host != "" && len(host) <= 261 && !strings.ContainsFunc(host, func(r rune) bool {
		return r > '~' || !isAlphanumeric(byte(r)) && !strings.ContainsRune(".-_:[]", r)
	})
}
