package publish

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/durable"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Defaults of a [Config].
const (
	DefaultTTL      = 14 * 24 * time.Hour
	DefaultKeep     = 7
	DefaultProbeFor = 2 * time.Minute
	DefaultLease    = 5 * time.Minute
)

// Public is how everybody else reads the bucket: *bucket.Reader, through the public address.
type Public interface {
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
	Range(ctx context.Context, key string, offset, length int64) (body io.ReadCloser, total int64, err error)
	Stat(ctx context.Context, key string) (bucket.Info, error)
	URL(key string) string
	String() string
}

// Network is the swarm and the DHT, as far as a publisher needs them.
type Network interface {
	// Resolve finds the newest pointer of the channel, see pointer.Resolver.
	Resolve(ctx context.Context, ch snapshot.Channel) (pointer.Resolution, error)
	// Lookup returns the records of the channel that nodes of the DHT hold, also older ones, see pointer.Source.
	Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error)
	// Announce puts rec into the DHT and reads it back from other nodes than those that took it. Like Refresh it fails with
	// ErrNoDHT where there is nobody and nobody is expected.
	Announce(ctx context.Context, rec pointer.Record) (Announced, error)
	// Refresh puts rec into the DHT again where it has been lost.
	Refresh(ctx context.Context, rec pointer.Record) error
	// Seed shares the file of t, which lies complete in the data directory.
	Seed(ctx context.Context, t *snapshot.Torrent) error
	// Drop stops sharing a version and lets go of its files.
	Drop(ctx context.Context, v snapshot.Version) error
}

// Announced says how far a record got in the DHT: how many nodes took it, and how many others gave it back.
type Announced struct {
	Stored   int `json:"stored"`
	ReadBack int `json:"read_back"`
}

// Task shows how far a piece of work is.
type Task interface {
	Set(done int64)
	Done()
	Cancel()
}

// Config is what a [Publisher] works with.
type Config struct {
	// Key signs the pointers. Its public half and Salt are the channel.
	Key  ed25519.PrivateKey
	Salt string
	// DataDir holds the snapshots and the publisher's own state.
	DataDir string
	// Store is where snapshots are made public.
	Store bucket.Store
	// Public reads what is in Store; nil when it has no public address: then nothing is probed, the torrent names no
	// origin and the pointer no address.
	Public Public
	// Network is nil when there is neither swarm nor DHT.
	Network Network
	// Name is the download name; empty means that it follows from the source.
	Name string
	// PieceLength in bytes, a power of two; 0 means that it follows from the size.
	PieceLength int64
	// Hybrid makes torrents that are both BitTorrent v1 and v2 (BEP 52), instead of v1.
	Hybrid bool
	// Level of compression; PassThrough publishes the source's own bytes instead.
	Level       archive.Level
	PassThrough bool
	// Workers is the number of encoders at once; 0 means one per core.
	Workers int
	// TTL is how long a pointer is valid after its last renewal; 0 means [DefaultTTL].
	TTL time.Duration
	// Keep is how many versions stay, the newest included; 0 means [DefaultKeep].
	Keep int
	// Retain is how long a version is promised to stay after a newer one came; 0 promises nothing.
	Retain time.Duration
	// ProbeFor is how long the public address may take to show what was stored; 0 means [DefaultProbeFor].
	ProbeFor time.Duration
	// Lease is how long the channel stays taken after this process was last heard of; 0 means [DefaultLease].
	Lease time.Duration
	// Progress begins to show a piece of work of total bytes, -1 when unknown, to whoever ctx is about. Nil shows nothing.
	Progress func(ctx context.Context, label string, total int64) Task
	// Log gets what an operator wants to know. Nil means nowhere.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Publisher publishes the snapshots of one channel. Only one exists per channel and data directory at a time. Its
// methods may be called by several goroutines, except that publications exclude each other.
type Publisher struct {
	cfg     Config
	channel snapshot.Channel
	dir     string // state
	lock    *lock
	lease   *lease
	ratchet *pointer.Ratchet
	metrics instruments

	publishing chan struct{} // holds a token during a publication, retention included
	signing    sync.Mutex    // held from choosing a sequence number until the record is out
	journal    *journal
	unsent     atomic.Bool                    // the newest record did not get into the bucket
	told       atomic.Pointer[pointer.Record] // the newest that the bucket was seen to hold, nil before the first
	trouble    atomic.Pointer[trouble]        // of Watch, nil when its last round succeeded
}

// New takes the channel on this machine and clears away what an interrupted run left on this disk. It fails with [HeldError] when
// another process has it. Nothing is asked of the bucket yet, see [Publisher.Hold].
func New(cfg Config) (*Publisher, error) {
	cfg = cfg.withDefaults()
	ch, err := cfg.channel()
	if err != nil {
		return nil, err
	}
	dir, err := openState(cfg.DataDir, cfg.Salt)
	if err != nil {
		return nil, err
	}
	l, err := acquire(dir, cfg.Salt)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		cfg: cfg, channel: ch, dir: dir, lock: l, metrics: newInstruments(), publishing: make(chan struct{}, 1),
	}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return p, nil
}

func (c Config) withDefaults() Config {
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Keep <= 0 {
		c.Keep = DefaultKeep
	}
	if c.ProbeFor == 0 {
		c.ProbeFor = DefaultProbeFor
	}
	if c.Lease <= 0 {
		c.Lease = DefaultLease
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Progress == nil {
		c.Progress = func(context.Context, string, int64) Task { return silent{} }
	}
	return c
}

func (c Config) channel() (snapshot.Channel, error) {
	if len(c.Key) != ed25519.PrivateKeySize {
		return snapshot.Channel{}, errors.New("open publisher: no Ed25519 key")
	}
	public, _ := c.Key.Public().(ed25519.PublicKey)
	if err := CheckPieceLength(c.PieceLength); err != nil {
		return snapshot.Channel{}, err
	}
	return snapshot.NewChannel(public, c.Salt)
}

// CheckPieceLength accepts 0 (by size) and the powers of two that package snapshot makes.
func CheckPieceLength(n int64) error {
	if n == 0 || (n >= snapshot.MinPieceLength && n <= snapshot.MaxPieceLength && bits.OnesCount64(uint64(n)) == 1) {
		return nil
	}
	return fmt.Errorf("piece length %d: want a power of two from 256 KiB to 32 MiB", n)
}

// open reads the state, which the lock protects.
func (p *Publisher) open() (err error) {
	owner, err := ownerOf(p.dir)
	if err != nil {
		return err
	}
	p.lease = newLease(p.cfg, owner, rand.Text())
	if p.ratchet, err = pointer.OpenRatchet(p.dir, p.cfg.Log); err != nil {
		return err
	}
	if p.journal, err = openJournal(filepath.Join(p.dir, journalName), p.cfg.Log); err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Join(p.cfg.DataDir, p.cfg.Salt), 0o755); err != nil {
		return err
	}
	return p.clearUnfinished()
}

// Hold takes the channel among all machines, by a lease in the bucket that is renewed until Close. It fails with [HeldError]
// while another one has it. Whatever writes to the bucket does so first by itself.
func (p *Publisher) Hold(ctx context.Context) error { return p.lease.hold(ctx) }

// LeaseHealth is an error unless this process has the channel among all machines.
func (p *Publisher) LeaseHealth() (detail string, err error) { return p.lease.health() }

// Close gives the channel back. Nothing else of p may be running.
func (p *Publisher) Close() error {
	p.lease.close()
	return p.lock.release()
}

// StateDir is where this publisher keeps its own state.
func (p *Publisher) StateDir() string { return p.dir }

// Channel is the channel that is published on.
func (p *Publisher) Channel() snapshot.Channel { return p.channel }

// versionDir is where the files of v lie on this disk.
func (p *Publisher) versionDir(v snapshot.Version) string {
	return filepath.Join(p.cfg.DataDir, p.cfg.Salt, string(v))
}

// silent is a Task that nobody watches.
type silent struct{}

func (silent) Set(int64) {}
func (silent) Done()     {}
func (silent) Cancel()   {}
