package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// checkTimeout is how long a check may take. One that takes longer has failed: a process that cannot answer is not
// alive.
const checkTimeout = 5 * time.Second

// Check tells one truth about a running process. It returns a few words on what it found, or an error that says what is
// wrong. It should only look at state that the process has anyway, and must be safe for concurrent use with it.
type Check func(ctx context.Context) (detail string, err error)

// Health answers /livez (is this process working, or should it be restarted) and /readyz (can it do its job for others
// now) from named checks. The zero value is alive and ready. Its methods may be called concurrently.
type Health struct {
	mu          sync.Mutex
	live, ready []*namedCheck // guarded by mu
	stopping    bool          // guarded by mu
}

// Live adds a check to /livez. Only what a restart would mend belongs there.
func (h *Health) Live(name string, check Check) { h.add(&h.live, name, check) }

// Ready adds a check to /readyz, which also needs all those of /livez.
func (h *Health) Ready(name string, check Check) { h.add(&h.ready, name, check) }

func (h *Health) add(list *[]*namedCheck, name string, check Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(*list, newNamedCheck(name, check))
}

// stop makes the process not ready from now on, whatever the checks say: it comes to its end.
func (h *Health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopping {
		h.stopping = true
		stopping := func(context.Context) (string, error) { return "", errors.New("the process was asked to end") }
		h.ready = append(h.ready, newNamedCheck("stopping", stopping))
	}
}

// Handler answers GET /livez and /readyz: 200 and "ok", or 503 and the checks that failed. With ?verbose it always
// lists every check and what it found.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) {
		h.answer(w, r, h.checks(false))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		h.answer(w, r, h.checks(true))
	})
	return mux
}

func (h *Health) checks(ready bool) []*namedCheck {
	h.mu.Lock()
	defer h.mu.Unlock()
	checks := append([]*namedCheck(nil), h.live...)
	if ready {
		checks = append(checks, h.ready...)
	}
	return checks
}

func (h *Health) answer(w http.ResponseWriter, r *http.Request, checks []*namedCheck) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	var body strings.Builder
	failed, verbose := false, r.URL.Query().Has("verbose")
	for i, result := range runAll(ctx, checks) {
		if result.err != nil {
			failed = true
			fmt.Fprintf(&body, "[-] %s: %s\n", checks[i].name, oneLine(result.err.Error()))
		} else if verbose {
			fmt.Fprintf(&body, "[+] %s: %s\n", checks[i].name, oneLine(result.detail))
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	status, word := http.StatusOK, "ok"
	if failed {
		status, word = http.StatusServiceUnavailable, "failed"
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s%s\n", body.String(), word)
}

type result struct {
	detail string
	err    error
}

// runAll runs the checks at once and returns their results in order.
func runAll(ctx context.Context, checks []*namedCheck) []result {
	results := make([]result, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { results[i] = c.run(ctx) })
	}
	wg.Wait()
	return results
}

type namedCheck struct {
	name string
	test Check
	busy chan struct{} // holds an element while test runs, so that a check that hangs does so in one goroutine only
}

func newNamedCheck(name string, test Check) *namedCheck {
	return &namedCheck{name: name, test: test, busy: make(chan struct{}, 1)}
}

func (c *namedCheck) run(ctx context.Context) result {
	late := result{err: errors.New("gives no answer")}
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return late
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-c.busy }()
		detail, err := c.test(ctx)
		done <- result{detail, err}
	}()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		return late
	}
}
