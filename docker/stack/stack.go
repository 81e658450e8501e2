package stack

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"snapswarm/common/bucket/s3test"
	"snapswarm/common/snapshot"
)

// Config says what a Stack is made of.
type Config struct {
	// Dir holds all state. It is made if missing.
	Dir string
	// Bin is the folder with the binaries; see [Build].
	Bin string
	// Salt is the channel's short name; "demo" if empty.
	Salt string
	// Output gets every line that the processes log, with the name of the process in front. Nil means that the lines
	// are only in the log files.
	Output io.Writer
	// Env is added to the environment of every process.
	Env Env
	// Grace is how long a process may take to end when it is asked to; 10 seconds if 0.
	Grace time.Duration
	// Log is for the parts that run inside this process. Nil means none.
	Log *slog.Logger
}

// Stack is a running swarm: storage and DHT from the start, processes as they are added. Its methods may be called
// concurrently.
type Stack struct {
	// S3 is the object storage. Closing it early is the outage that a test may want.
	S3 *s3test.Server
	// Channel is what is published on.
	Channel snapshot.Channel
	// KeyFile is the file with the channel's signing key.
	KeyFile string

	cfg  Config
	base string // working directory of before
	dht  *network
	out  *lineWriter

	mu        sync.Mutex // guards the rest
	processes []*Process // in the order of their start
	seeds     []string   // addresses of the producers
}

// Start starts storage and DHT and makes the channel's key, or takes those that an earlier Stack left in the folder.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	s, err := start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start swarm: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, cfg Config) (_ *Stack, err error) {
	base, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, base: base, out: newLineWriter(cfg.Output)}
	s.cfg.Dir, s.cfg.Bin = s.absolute(cfg.Dir), s.absolute(cfg.Bin)
	if s.cfg.Salt == "" {
		s.cfg.Salt = "demo"
	}
	if s.cfg.Grace <= 0 {
		s.cfg.Grace = defaultGrace
	}
	if s.cfg.Log == nil {
		s.cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.openKey(); err != nil {
		return nil, err
	}
	if s.dht, err = startNetwork(ctx, filepath.Join(s.cfg.Dir, "dht"), s.cfg.Log); err != nil {
		return nil, err
	}
	if err := s.startStorage(ctx); err != nil {
		return nil, errors.Join(err, s.dht.close())
	}
	return s, nil
}

// startStorage takes the address of an earlier run if it is free: what was published then names it.
func (s *Stack) startStorage(ctx context.Context) error {
	cfg := s3test.Config{Dir: filepath.Join(s.cfg.Dir, "s3")}
	file := filepath.Join(s.cfg.Dir, "s3.addr")
	before, err := os.ReadFile(file)
	if err == nil {
		cfg.Addr = string(before)
		if s.S3, err = s3test.Start(ctx, cfg); err == nil || errors.Is(err, s3test.ErrRunning) {
			return err
		}
		cfg.Addr = ""
	}
	if s.S3, err = s3test.Start(ctx, cfg); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.TrimPrefix(s.S3.Endpoint, "http://")), 0o600)
}

func (s *Stack) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.base, path)
}

// openKey makes a key as producer keygen does, unless there is one.
func (s *Stack) openKey() error {
	s.KeyFile = filepath.Join(s.cfg.Dir, "channel.key")
	text, err := os.ReadFile(s.KeyFile)
	if errors.Is(err, os.ErrNotExist) {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails
		text = []byte(hex.EncodeToString(seed) + "\n")
		err = os.WriteFile(s.KeyFile, text, 0o600)
	}
	if err != nil {
		return err
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return fmt.Errorf("%s holds no key", s.KeyFile)
	}
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return errors.New("not an Ed25519 key")
	}
	s.Channel, err = snapshot.NewChannel(public, s.cfg.Salt)
	return err
}

// Dir is the folder with all state.
func (s *Stack) Dir() string { return s.cfg.Dir }

// BucketURL is the base address at which everybody reads the storage.
func (s *Stack) BucketURL() string { return s.S3.PublicURL() }

// Bootstrap are the DHT nodes of this process, as DHT_BOOTSTRAP has them.
func (s *Stack) Bootstrap() string { return strings.Join(s.dht.addresses(), ",") }

// SeedPeers are the producers' addresses, as SEED_PEERS has them; empty before there is one.
func (s *Stack) SeedPeers() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seeds, ",")
}

// Processes are those started so far, ended ones included.
func (s *Stack) Processes() []*Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Process(nil), s.processes...)
}

// Close ends the processes, the last first, then the storage and the DHT. The folder stays.
func (s *Stack) Close() error {
	var errs []error
	processes := s.Processes()
	for i := len(processes) - 1; i >= 0; i-- {
		errs = append(errs, processes[i].Stop())
	}
	return errors.Join(append(errs, s.S3.Close(), s.dht.close())...)
}
