package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"snapswarm/common/answer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm/schedule"
)

var errStalled = errors.New("no bytes for too long")

const (
	// fetchStep is how much of a body is read at once; an idle timeout in which not even this much arrives ends the request.
	fetchStep = 64 << 10
	// errorBody is how much of an error's body is read so that the connection can be used again.
	errorBody = 4 << 10
)

// fetcher reads pieces from origins.
type fetcher struct {
	client    *http.Client
	userAgent string
	torrent   *snapshot.Torrent
	idle      time.Duration
	limit     *rate.Limiter       // nil: unlimited
	memory    *semaphore.Weighted // bytes of pieces in memory, shared by all snapshots
	buffers   *sync.Pool          // of *[]byte, a piece long
	received  *atomic.Int64       // payload bytes
	// deliver takes a piece whose hash is right; it keeps nothing of b.
	deliver func(ctx context.Context, i int, b []byte) error
}

// fetch requests the pieces of r from url with one range request and delivers them one by one. The error is a *fetchError unless it
// came from deliver.
func (f *fetcher) fetch(ctx context.Context, url string, r schedule.Run) error {
	size := f.torrent.PieceSize(r.First)
	if err := f.memory.Acquire(ctx, size); err != nil {
		return &fetchError{result: fetchCancelled, err: err}
	}
	defer f.memory.Release(size)
	reqCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(f.idle, func() { cancel(errStalled) })
	defer watch.Stop()

	first, last := f.span(r)
	body, err := f.request(reqCtx, url, first, last)
	if err != nil {
		return f.explain(reqCtx, url, err)
	}
	defer body.Close()
	buf, _ := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buf)
	for i := r.First; i < r.First+r.N; i++ {
		b := (*buf)[:f.torrent.PieceSize(i)]
		if err := f.readPiece(reqCtx, body, i, b, watch); err != nil {
			return f.explain(reqCtx, url, err)
		}
		// A disk that is full may take hours to come back; the origin is not to blame.
		watch.Stop()
		if err := f.deliver(ctx, i, b); err != nil {
			return err
		}
		watch.Reset(f.idle)
	}
	return nil
}

// request opens the body that has the bytes first to last, and may have more.
func (f *fetcher) request(ctx context.Context, url string, first, last int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &fetchError{result: fetchRefused, err: err}
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", f.userAgent)
	res, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	if e := f.checkResponse(res, first, last); e != nil {
		_, _ = io.CopyN(io.Discard, res.Body, errorBody)
		_ = res.Body.Close()
		return nil, e
	}
	return res.Body, nil
}

// span is the first and the last byte of r.
func (f *fetcher) span(r schedule.Run) (first, last int64) {
	end := r.First + r.N - 1
	return int64(r.First) * f.torrent.PieceLength, int64(end)*f.torrent.PieceLength + f.torrent.PieceSize(end) - 1
}

// checkResponse is nil if the body begins at byte first of the right file (RFC 9110 section 14).
func (f *fetcher) checkResponse(res *http.Response, first, last int64) *fetchError {
	switch code := res.StatusCode; {
	case code == http.StatusPartialContent:
		field := res.Header.Get("Content-Range")
		got, err := answer.ParseContentRange(field)
		if err != nil || got.First != first || got.Last != last || got.Total >= 0 && got.Total != f.torrent.Length {
			return &fetchError{result: fetchWrongBytes, err: fmt.Errorf(
				"answered Content-Range %.80q, want bytes %d-%d/%d", field, first, last, f.torrent.Length)}
		}
		return nil
	case code == http.StatusOK && res.ContentLength >= 0 && res.ContentLength != f.torrent.Length:
		return &fetchError{result: fetchWrongBytes, err: fmt.Errorf(
			"its file has %d bytes, want %d", res.ContentLength, f.torrent.Length)}
	case code == http.StatusOK && first > 0:
		return &fetchError{result: fetchIgnoresRange, err: errors.New("it ignores Range and sends the whole file")}
	case code == http.StatusOK:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		after := answer.RetryAfter(res.Header.Get("Retry-After"), time.Now())
		return &fetchError{result: fetchBusy, retryAfter: after, err: fmt.Errorf("answered %s", res.Status)}
	case code >= http.StatusInternalServerError:
		return &fetchError{result: fetchServerError, err: fmt.Errorf("answered %s", res.Status)}
	case code == http.StatusRequestedRangeNotSatisfiable:
		return &fetchError{result: fetchUnsatisfied, err: fmt.Errorf("answered %s", res.Status)}
	default:
		return &fetchError{result: fetchRefused, err: fmt.Errorf("answered %s", res.Status)}
	}
}

// readPiece fills b with piece i and checks its hash.
func (f *fetcher) readPiece(ctx context.Context, body io.Reader, i int, b []byte, watch *time.Timer) error {
	check := f.torrent.NewCheck(i)
	for done := 0; done < len(b); {
		step := b[done:min(done+fetchStep, len(b))]
		n, err := io.ReadFull(body, step)
		f.received.Add(int64(n))
		if err != nil {
			return err
		}
		watch.Reset(f.idle)
		_, _ = check.Write(step)
		done += n
		if err := f.throttle(ctx, n, watch); err != nil {
			return err
		}
	}
	if !check.Right() {
		return &fetchError{result: fetchWrongBytes, err: fmt.Errorf("the hash of piece %d is wrong", i)}
	}
	return nil
}

// throttle waits for n bytes of the download limit.
func (f *fetcher) throttle(ctx context.Context, n int, watch *time.Timer) error {
	if f.limit == nil {
		return nil
	}
	watch.Stop()
	defer watch.Reset(f.idle)
	return f.limit.WaitN(ctx, n)
}

// explain turns what a request failed with into a *fetchError.
func (f *fetcher) explain(ctx context.Context, url string, err error) *fetchError {
	var e *fetchError
	switch {
	case errors.As(err, &e):
	case errors.Is(context.Cause(ctx), errStalled):
		e = &fetchError{result: fetchStalled, err: errStalled}
	case ctx.Err() != nil:
		e = &fetchError{result: fetchCancelled, err: context.Cause(ctx)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e = &fetchError{result: fetchTruncated, err: errors.New("the body ended early")}
	default:
		e = &fetchError{result: fetchUnreachable, err: err}
	}
	return &fetchError{result: e.result, retryAfter: e.retryAfter, err: fmt.Errorf("origin %s: %w", url, e.err)}
}
