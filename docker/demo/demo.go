package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"snapswarm/common/daemon"
	"snapswarm/docker/stack"
)

// demo is one run.
type demo struct {
	cfg    Config
	dir    string
	bin    string
	screen *screen

	stack     *stack.Stack
	producer  *stack.Process
	mirror    *stack.Process
	gateway   *stack.Process
	published stack.Publication
	base      string // address of the gateway
}

func newDemo(cfg Config, dir string) *demo {
	steps := upSteps
	if cfg.Check {
		steps += checkSteps
	}
	return &demo{cfg: cfg, dir: dir, screen: newScreen(daemon.NewTerminal(os.Stdout), steps)}
}

// upSteps is the number of steps of up.
const upSteps = 7

// up starts everything and returns when a user could be served.
func (d *demo) up(ctx context.Context) error {
	for _, step := range []struct {
		title string
		run   func(context.Context, *step) error
	}{
		{"build producer, mirror and gateway", d.build},
		{"start S3 storage, a private DHT, make the channel's key", d.start},
		{"producer: pack, upload and sign " + d.cfg.Snapshot, d.publish},
		{"producer: share it with peers, watch the source", d.seed},
		{"mirror: find the pointer, download, verify, share", d.follow},
		{"gateway: serve it over HTTP from the swarm", d.serve},
		{"write what others need to join", d.writeEnv},
	} {
		if err := d.screen.step(ctx, step.title, step.run); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) build(ctx context.Context, s *step) (err error) {
	d.bin, err = stack.Build(ctx)
	s.result("%s", d.bin)
	return err
}

func (d *demo) start(ctx context.Context, s *step) (err error) {
	var output io.Writer
	if d.cfg.Verbose {
		output = d.screen
	}
	d.stack, err = stack.Start(ctx, stack.Config{Dir: d.dir, Bin: d.bin, Salt: "demo", Output: output, Env: stack.Env{"LOG_FORMAT": "pretty"}})
	if err != nil {
		return err
	}
	s.result("storage %s, DHT %s", d.stack.S3.Endpoint, d.stack.Bootstrap())
	return nil
}

func (d *demo) publish(ctx context.Context, s *step) error {
	p, err := d.stack.Publish(ctx, "producer", d.cfg.Snapshot, nil)
	if err != nil {
		return err
	}
	s.watch(func(context.Context) string { return p.LastLine() })
	if err := p.Wait(ctx); err != nil {
		return err
	}
	if d.published, err = d.stack.Newest(ctx); err != nil {
		return err
	}
	info := d.published.Torrent.Description
	s.result("version %s, %s from %s, info-hash %s", info.Version, size(d.published.Torrent.Length), size(info.RawSize), d.published.Torrent.InfoHash)
	return nil
}

// seed looks at the source every half minute: change it, and a new version appears everywhere.
func (d *demo) seed(ctx context.Context, _ *step) (err error) {
	if d.producer, err = d.stack.Producer(ctx, "producer", d.cfg.Snapshot, stack.Env{"POLL_INTERVAL": "30s"}); err != nil {
		return err
	}
	return d.producer.Ready(ctx)
}

func (d *demo) follow(ctx context.Context, s *step) (err error) {
	if d.mirror, err = d.stack.Mirror(ctx, "mirror", nil); err != nil {
		return err
	}
	s.watch(d.received)
	done := "seeding " + string(d.published.Version()) // in a DEMO_DIR of before it may be seeding an older one first
	err = d.mirror.Until(ctx, "done", func(ctx context.Context) bool {
		status, err := d.mirror.Status(ctx)
		return err == nil && strings.Contains(status, done)
	})
	s.result("%s", d.received(ctx))
	return err
}

// received says how much the mirror has, and from whom.
func (d *demo) received(ctx context.Context) string {
	peers, err1 := d.mirror.Metric(ctx, "snapswarm_mirror_received_bytes_total", `source="peers"`)
	origin, err2 := d.mirror.Metric(ctx, "snapswarm_mirror_received_bytes_total", `source="origin"`)
	if errors.Join(err1, err2) != nil {
		return "starting"
	}
	if peers+origin == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("%s of %s: %s from peers, %s from the bucket", size(int64(peers+origin)), size(d.published.Torrent.Length),
		size(int64(peers)), size(int64(origin)))
}

func (d *demo) serve(ctx context.Context, s *step) error {
	addr, err := d.httpAddr(ctx)
	if err != nil {
		return err
	}
	if d.gateway, err = d.stack.Gateway(ctx, "gateway", addr, nil); err != nil {
		return err
	}
	d.base = "http://" + addr
	s.watch(func(context.Context) string { return d.gateway.LastLine() })
	err = d.gateway.Until(ctx, "serving", func(ctx context.Context) bool { return d.served(ctx) })
	s.result("%s", d.base)
	return err
}

// httpAddr is the gateway's address: the port asked for, or 8080, or else any.
func (d *demo) httpAddr(ctx context.Context) (string, error) {
	if d.cfg.HTTPPort != 0 {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(d.cfg.HTTPPort))), nil
	}
	const usual = "127.0.0.1:8080"
	if l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", usual); err == nil {
		return usual, l.Close()
	}
	return stack.FreeAddr(ctx)
}

// served reports whether the file can be had with its right size.
func (d *demo) served(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, d.url(), nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && resp.ContentLength == d.published.Torrent.Length
}

// url is what a user gives to curl.
func (d *demo) url() string {
	return d.base + "/" + d.stack.Channel.Salt + "/latest/" + d.published.Torrent.Name
}

// wait shows the result and runs until the context or one of the processes ends.
func (d *demo) wait(ctx context.Context) error {
	d.screen.print(d.summary())
	select {
	case <-ctx.Done():
		d.screen.print("ending …\n")
		return nil
	case <-d.producer.Done():
		return d.producer.Exit()
	case <-d.mirror.Done():
		return d.mirror.Exit()
	case <-d.gateway.Done():
		return d.gateway.Exit()
	}
}

// explain shows the end of the logs when something failed, because the folder may be about to go.
func (d *demo) explain() {
	if d.stack == nil {
		return
	}
	shown := map[string]bool{} // a log of two processes
	for _, p := range d.stack.Processes() {
		if !shown[p.LogFile] {
			d.screen.print(fmt.Sprintf("--- %s\n%s\n", p.LogFile, p.Tail()))
		}
		shown[p.LogFile] = true
	}
}

func (d *demo) summary() string {
	keep := ""
	if d.cfg.DemoDir == "" {
		keep = ", removed at the end"
	}
	return fmt.Sprintf(`
The swarm is up. Get the snapshot:

    curl -O %s

Look around       %s/
Another mirror    (set -a; . %s; DATA_DIR=$(mktemp -d) LISTEN_ADDR=127.0.0.1:0 $BIN/mirror --once)
State and logs    %s%s
End               Ctrl-C

`, d.url(), d.base, quote(filepath.Join(d.dir, "env")), d.dir, keep)
}

func (d *demo) close() error {
	d.screen.close()
	if d.stack == nil {
		return nil
	}
	return d.stack.Close()
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// variables are the contents of the file env.
func (d *demo) variables() []string {
	s := d.stack
	return []string{
		"GATEWAY_URL", d.base,
		"CHANNEL", s.Channel.String(),
		"AUTHORITY_PUBKEY", fmt.Sprintf("%x", s.Channel.Key),
		"DHT_SALT", s.Channel.Salt,
		"DHT_BOOTSTRAP", s.Bootstrap(),
		"BUCKET_URL", s.BucketURL(),
		"BUCKET", "s3://" + s.S3.Bucket,
		"S3_ENDPOINT", s.S3.Endpoint,
		"S3_REGION", s.S3.Region,
		"S3_BUCKET", s.S3.Bucket,
		"S3_ACCESS_KEY_ID", s.S3.AccessKey,
		"S3_SECRET_ACCESS_KEY", s.S3.SecretKey,
		"AUTHORITY_KEY_FILE", s.KeyFile,
		"VERSION", string(d.published.Version()),
		"FILE", d.published.Torrent.Name,
		"INFOHASH", d.published.Torrent.InfoHash.String(),
		"SEED_PEERS", s.SeedPeers(),
		"ALLOW_PRIVATE", "true",
		"BIN", d.bin,
	}
}

func (d *demo) writeEnv(_ context.Context, s *step) error {
	path := filepath.Join(d.dir, "env")
	s.result("%s", path)
	return writeEnv(path, d.variables())
}
