package stack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Env is what is added to the environment of a process, or replaced in it; an empty value means the default.
type Env map[string]string

// Publish starts "producer publish" of a source. It works with the folder and the log of the Producer of this name,
// and so before that. Process.Wait tells how it went.
func (s *Stack) Publish(ctx context.Context, name, source string, extra Env) (*Process, error) {
	return s.process(ctx, name, "producer", []string{"publish", s.absolute(source)}, s.publisherEnv(), extra)
}

// Producer starts "producer serve" and makes it the seed of all that start later. With a source, it publishes that
// whenever it has changed; [Stack.Published] waits for that.
func (s *Stack) Producer(ctx context.Context, name, source string, extra Env) (*Process, error) {
	env := s.publisherEnv()
	if source != "" {
		env["SNAPSHOT_SOURCE"] = s.absolute(source)
	}
	p, err := s.process(ctx, name, "producer", []string{"serve"}, env, extra)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds = append(s.seeds, p.PeerAddr)
	return p, nil
}

// Mirror starts a mirror.
func (s *Stack) Mirror(ctx context.Context, name string, extra Env) (*Process, error) {
	return s.process(ctx, name, "mirror", nil, s.followerEnv(), extra)
}

// Gateway starts a gateway that serves on httpAddr, host:port.
func (s *Stack) Gateway(ctx context.Context, name, httpAddr string, extra Env) (*Process, error) {
	env := s.followerEnv()
	env["HTTP_ADDR"] = httpAddr
	return s.process(ctx, name, "gateway", nil, env, extra)
}

// Result is what a command that was run to its end left behind.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a binary to its end, as a publisher (producer) or a follower (anything else). A code other than 0 is no
// error.
func (s *Stack) Run(ctx context.Context, name, binary string, args []string, extra Env) (Result, error) {
	env := s.followerEnv()
	if binary == "producer" {
		env = s.publisherEnv()
	}
	p, err := s.prepare(ctx, name)
	if err != nil {
		return Result{}, err
	}
	cmd := exec.CommandContext(ctx, s.binary(binary), args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.DataDir, s.environ(p, env, extra), p.grace
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}, err
}

// publisherEnv is what a producer needs besides the common.
func (s *Stack) publisherEnv() Env {
	return Env{
		"AUTHORITY_KEY_FILE":   s.KeyFile,
		"DHT_SALT":             s.Channel.Salt,
		"BUCKET":               "s3://" + s.S3.Bucket,
		"PUBLIC_URL":           s.BucketURL(),
		"S3_ENDPOINT":          s.S3.Endpoint,
		"S3_REGION":            s.S3.Region,
		"S3_ACCESS_KEY_ID":     s.S3.AccessKey,
		"S3_SECRET_ACCESS_KEY": s.S3.SecretKey,
		"POLL_INTERVAL":        "2s",
	}
}

// followerEnv is what a mirror or gateway needs besides the common.
func (s *Stack) followerEnv() Env {
	return Env{
		"CHANNEL":       s.Channel.String(),
		"BUCKET_URL":    s.BucketURL(),
		"SEED_PEERS":    s.SeedPeers(),
		"POLL_INTERVAL": "2s",
	}
}

func (s *Stack) process(ctx context.Context, name, binary string, args []string, env, extra Env) (*Process, error) {
	p, err := s.prepare(ctx, name)
	if err != nil {
		return nil, err
	}
	p.PeerAddr = cmp.Or(extra["LISTEN_ADDR"], p.PeerAddr)
	if addr := extra["METRICS_ADDR"]; addr != "" {
		p.OpsURL = "http://" + addr
	}
	cmd := exec.Command(s.binary(binary), args...) //nolint:noctx // Stop ends it; a context would kill it
	cmd.Dir, cmd.Env = p.DataDir, s.environ(p, env, extra)
	if err := launch(p, cmd, &prefixer{name: name, out: s.out}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
	return p, nil
}

// Again starts a process that has ended once more: the same command with the same settings, folder and addresses. The new
// one takes its place among the Processes.
func (s *Stack) Again(p *Process) (*Process, error) {
	<-p.done
	next := &Process{Name: p.Name, DataDir: p.DataDir, LogFile: p.LogFile, PeerAddr: p.PeerAddr, OpsURL: p.OpsURL, grace: p.grace}
	cmd := exec.Command(p.cmd.Path, p.cmd.Args[1:]...) //nolint:noctx // Stop ends it; a context would kill it
	cmd.Dir, cmd.Env = p.cmd.Dir, p.cmd.Env
	if err := launch(next, cmd, &prefixer{name: p.Name, out: s.out}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.processes, p); i >= 0 {
		s.processes[i] = next
	}
	return next, nil
}

func (s *Stack) binary(name string) string { return filepath.Join(s.cfg.Bin, name) }

// prepare finds free ports and makes the folder, in which the process will run, so that nothing it may leave behind
// lies elsewhere.
func (s *Stack) prepare(ctx context.Context, name string) (*Process, error) {
	p := &Process{
		Name: name, DataDir: filepath.Join(s.cfg.Dir, name), LogFile: filepath.Join(s.cfg.Dir, name+".log"), grace: s.cfg.Grace,
	}
	var err error
	if p.PeerAddr, err = FreeAddr(ctx); err != nil {
		return nil, err
	}
	ops, err := FreeAddr(ctx)
	if err != nil {
		return nil, err
	}
	p.OpsURL = "http://" + ops
	return p, os.MkdirAll(p.DataDir, 0o700)
}

// environ is a whole environment: what a program needs anywhere, the common settings, those of the role, of the Stack,
// and extra.
// Settings in our own environment do not leak in.
func (s *Stack) environ(p *Process, env, extra Env) []string {
	all := Env{
		"DATA_DIR":      p.DataDir,
		"LISTEN_ADDR":   p.PeerAddr,
		"METRICS_ADDR":  strings.TrimPrefix(p.OpsURL, "http://"),
		"DHT_BOOTSTRAP": s.Bootstrap(),
		"ALLOW_PRIVATE": "true",
		"LOG_FORMAT":    "text",
	}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if slices.Contains([]string{"PATH", "HOME", "TMPDIR", "TZ", "GOCOVERDIR", "GOMAXPROCS", "GOMEMLIMIT"}, name) ||
			strings.HasPrefix(name, "OTEL_") {
			all[name] = value
		}
	}
	for _, more := range []Env{env, s.cfg.Env, extra} {
		maps.Copy(all, more)
	}
	list := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// FreeAddr is an address of 127.0.0.1 on which nothing listens, by TCP or UDP, at this moment.
func FreeAddr(ctx context.Context) (string, error) {
	const attempts = 20
	for range attempts {
		tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
		if err != nil {
			return "", fmt.Errorf("find a free port: %w", err)
		}
		addr := tcp.Addr().String()
		udp, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", addr)
		if err != nil {
			_ = tcp.Close()
			continue
		}
		return addr, errors.Join(tcp.Close(), udp.Close())
	}
	return "", errors.New("find a free port: none is free for TCP and UDP")
}
