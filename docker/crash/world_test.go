//go:build e2e && linux

package crash_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"snapswarm/docker/stack"
)

// world is the swarm that is killed, and all that looks at it.
type world struct {
	*stack.Stack
	t       *testing.T
	fail    context.CancelCauseFunc // ends everything
	wg      sync.WaitGroup          // of relays and observers
	history *history
	library *library
	source  *source
	events  events
	front   *front
	nodes   []*node

	mu       sync.Mutex          // guards the rest
	newest   *book               // that the storage's pointer named
	kills    map[[2]string]int64 // by role and what it was doing
	triggers map[[2]string]int64 // by role and event
	counts   map[string]int64
}

// wrong reports what must not be, and ends the test.
func (w *world) wrong(err error) {
	if err == nil {
		return
	}
	w.events.note("WRONG: %v", err)
	w.fail(err)
}

func (w *world) node(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// newWorld starts storage and DHT, the front and the relays.
func newWorld(t *testing.T, seed uint64) (*world, context.Context) {
	t.Helper()
	ctx, fail := context.WithCancelCause(t.Context())
	w := &world{t: t, fail: fail, history: newHistory(), counts: make(map[string]int64)}
	w.kills, w.triggers = make(map[[2]string]int64), make(map[[2]string]int64)
	w.nodes = place(t)
	var err error
	w.Stack, err = stack.Start(ctx, stack.Config{Dir: filepath.Join(t.TempDir(), "swarm"), Bin: build(t), Output: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.library = newLibrary(w.BucketURL(), w.Channel.Salt)
	w.source = &source{path: filepath.Join(w.Dir(), "source", "chain"), seed: seed, history: w.history}
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.source.path), 0o755), w.source.next(), w.openFront()); err != nil {
		t.Fatal(err)
	}
	for _, n := range w.nodes {
		if err := w.relay(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	return w, ctx
}

// close ends what looks, then what is looked at.
func (w *world) close() {
	w.fail(nil)
	w.wg.Wait()
	if err := w.Close(); err != nil {
		w.t.Error(err)
	}
	if w.front != nil {
		w.front.close() // the producer needs the storage to the end
	}
	if w.t.Failed() {
		w.t.Logf("what happened last:\n%s", &w.events)
	}
}

// build builds the commands into a folder of this run.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin+string(filepath.Separator),
		"snapswarm/producer", "snapswarm/mirror", "snapswarm/gateway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the commands: %v\n%s", err, out)
	}
	return bin
}

// place gives each node addresses of its own, in a part of the loopback network that no other run of this test uses: a listener
// holds it.
func place(t *testing.T) []*node {
	t.Helper()
	for _, a := range rand.Perm(200) {
		prefix := fmt.Sprintf("127.%d", 20+a)
		lock, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", prefix+".0.1:6880")
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = lock.Close() })
		var nodes []*node
		for i, name := range []string{"producer", "mirror-a", greedy, "gateway"} {
			role, _, _ := strings.Cut(name, "-")
			nodes = append(nodes, &node{name: name, role: role, host: fmt.Sprintf("%s.%d.1", prefix, i+1), door: fmt.Sprintf("%s.%d.2", prefix, i+1)})
		}
		return nodes
	}
	t.Fatal("no part of the loopback network is free")
	return nil
}

// startAll starts all nodes.
func (w *world) startAll(ctx context.Context) error {
	list := filepath.Join(w.Dir(), "blocked")
	var blocked strings.Builder
	for _, n := range w.nodes {
		fmt.Fprintf(&blocked, "%s:%s-%s\n", n.name, n.host, n.host)
	}
	if err := os.WriteFile(list, []byte(blocked.String()), 0o600); err != nil {
		return err
	}
	for _, n := range w.nodes {
		env := w.settings(n)
		env["IP_BLOCKLIST"] = list // peers meet at the relay or not at all
		if err := n.begin(func() (*stack.Process, error) { return w.launch(ctx, n, env) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) launch(ctx context.Context, n *node, env stack.Env) (*stack.Process, error) {
	switch n.role {
	case producer:
		return w.Producer(ctx, n.name, w.source.path, env)
	case mirror:
		return w.Mirror(ctx, n.name, env)
	}
	return w.Gateway(ctx, n.name, net.JoinHostPort(n.host, httpPort), env)
}

// settings are those in which nodes differ from others of package stack: speeds at which work takes long enough to be hit, and
// addresses that lead through front and relays.
func (w *world) settings(n *node) stack.Env {
	var peers []string
	for _, other := range w.nodes {
		if other != n {
			peers = append(peers, net.JoinHostPort(other.door, peerPort))
		}
	}
	public := w.front.url + "/" + w.S3.Bucket
	env := stack.Env{
		"LISTEN_ADDR": net.JoinHostPort(n.host, peerPort), "METRICS_ADDR": net.JoinHostPort(n.host, "9090"),
		"SEED_PEERS": strings.Join(peers, ","), "POLL_INTERVAL": "1s",
	}
	if n.role == producer {
		maps.Copy(env, stack.Env{
			"S3_ENDPOINT": w.front.url, "PUBLIC_URL": public, "LOG_LEVEL": "debug",
			"COMPRESSION": "fastest", "PIECE_LENGTH": "256KiB", "SNAPSHOT_RETENTION_COUNT": "2",
		})
		return env
	}
	maps.Copy(env, stack.Env{"BUCKET_URL": public, "DOWNLOAD_LIMIT": "8MiB"})
	if n.role == mirror {
		env["RETAIN"] = "1"
	}
	if n.name == greedy {
		env["ORIGIN_POLICY"] = "always"
	}
	return env
}

// greedy is the mirror that takes from the storage whatever it lacks; else that would have little to do.
const greedy = "mirror-b"

// again starts a killed node.
func (w *world) again(n *node) error {
	n.mu.Lock()
	before := n.process
	n.mu.Unlock()
	return n.begin(func() (*stack.Process, error) { return w.Again(before) })
}
