//go:build e2e && linux

package crash_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// patience is how long the swarm may take to come to rest: far more than it needs, so that only a standstill is found.
const patience = 2 * time.Minute

// rest waits, while the source does not change, until the present state of it is published, is held whole by all mirrors and served by
// the gateway, and nothing else lies around.
func (w *world) rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the swarm does not come to rest"))
	defer cancel()
	if err := w.until(ctx, w.published); err != nil {
		return err
	}
	for _, n := range w.nodes {
		if err := w.until(ctx, func(ctx context.Context) error { return w.followed(ctx, n) }); err != nil {
			return err
		}
	}
	return nil
}

// until polls until is returns nil.
func (w *world) until(ctx context.Context, is func(context.Context) error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := is(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// published fails until the pointer names the present state of the source.
func (w *world) published(context.Context) error {
	n, raw := w.source.state()
	if b := w.current(); b == nil || b.raw != raw {
		return fmt.Errorf("state %d of the source is not published", n)
	}
	return nil
}

// followed fails until a node has the newest snapshot whole.
func (w *world) followed(ctx context.Context, n *node) error {
	b, p := w.current(), n.now()
	switch n.role {
	case mirror:
		status, err := p.Status(ctx)
		if err != nil || !strings.Contains(status, "seeding "+string(b.version)) {
			return errors.Join(fmt.Errorf("%s has not got %s, it says %q", n.name, b.version, status), err)
		}
	case gateway:
		missing, err := p.Metric(ctx, "snapswarm_gateway_latest_missing_bytes")
		if err != nil || missing != 0 {
			return errors.Join(fmt.Errorf("%s lacks %v bytes of %s", n.name, missing, b.version), err)
		}
		resp, err := get(ctx, w.served(n, "latest", b.file), "Range", "bytes=0-0")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.Header.Get("ETag") != b.tag || resp.StatusCode != http.StatusPartialContent {
			return fmt.Errorf("%s serves %s %s, want %s", n.name, resp.Status, resp.Header.Get("Content-Location"), b.version)
		}
	}
	return nil
}

// places are the folders whose files are counted.
func (w *world) places() map[string]string {
	places := map[string]string{"bucket": filepath.Join(w.Dir(), "s3", "data", w.S3.Bucket)}
	for _, n := range w.nodes {
		places[n.name] = filepath.Join(w.Dir(), n.name)
	}
	return places
}

// settling is how long files may still appear after the swarm has come to rest: records are written some seconds after the data.
const settling = 6 * time.Second

// undisturbed remembers the most that is in each place at rest.
func (w *world) undisturbed(ctx context.Context) error {
	for until := time.Now().Add(settling); time.Now().Before(until); {
		for name, dir := range w.places() {
			s, err := shapeOf(dir, name == gateway)
			if err != nil {
				return err
			}
			for _, late := range []string{"peers", "scrub"} { // as many as records, but they come much later
				s["SALT/VERSION/.HASH."+late] = s["SALT/VERSION/.HASH.pieces"]
			}
			w.history.undisturbed(name, s)
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
	return nil
}

// tidy waits until each place is as it was without kills.
func (w *world) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("something is left behind"))
	defer cancel()
	return w.until(ctx, func(context.Context) error { return w.bounded(0) })
}

// bounded looks whether there are more than extra files too many of any sort.
func (w *world) bounded(extra int) error {
	var errs []error
	for name, dir := range w.places() {
		s, err := shapeOf(dir, name == gateway)
		if err == nil {
			err = w.history.filesSeen(name, s, extra)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// What differs between two files of one sort.
var (
	version = regexp.MustCompile(`\b\d{8}T\d{6}Z(-h\d+)?\b`)
	hash    = regexp.MustCompile(`\b[0-9a-f]{40}\b|\b[0-9a-f]{64}\b`)
	number  = regexp.MustCompile(`\d{6,}`)
	upload  = regexp.MustCompile(`/multipart/.*`) // parts, which the server keeps by the upload and the number
)

// shapeOf counts the files below dir by name. A file that goes meanwhile does not count. With perVersion the count is that of the version
// that has most of a sort: a gateway keeps what it has for a day.
func shapeOf(dir string, perVersion bool) (shape, error) {
	s, versions := make(shape), make(map[[2]string]int)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		which := ""
		if perVersion {
			which = version.FindString(name)
		}
		name = hash.ReplaceAllString(version.ReplaceAllString(name, "VERSION"), "HASH")
		name = upload.ReplaceAllString(name, "/multipart/PART")
		name = strings.Replace(number.ReplaceAllString(name, "N"), "demo/", "SALT/", 1)
		versions[[2]string{which, name}]++
		s[name] = max(s[name], versions[[2]string{which, name}])
		return nil
	})
	return s, err
}

// forget lets the gateway forget all snapshots but the newest, which it would keep for a day, so that the disk does not fill. It is
// dead meanwhile.
func (w *world) forget(ctx context.Context) error {
	n := w.node(gateway)
	state, err := n.kill()
	if err != nil {
		return err
	}
	w.killed(n, state, "at rest")
	newest := string(w.current().version)
	dir := filepath.Join(w.Dir(), n.name, w.Channel.Salt)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != newest {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err := errors.Join(err, w.again(n)); err != nil {
		return err
	}
	return n.now().Ready(ctx)
}
