package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/dht"
	"snapswarm/common/durable"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// Peer is this process as a member of the swarm. Its methods may be used by many goroutines at once.
type Peer struct {
	settings  Settings
	log       *slog.Logger
	channels  []snapshot.Channel
	lock      *dirLock
	listeners *swarm.Listeners
	node      *dht.Node
	client    *swarm.Client
	http      *http.Client
	buckets   []*bucket.Reader
	ratchet   *pointer.Ratchet
	resolver  *pointer.Resolver
	lost      chan pointer.Record // to be put back into the DHT

	closeOnce sync.Once
	closeErr  error

	mu       sync.Mutex
	holdings map[string][]*Holding // by salt, newest first; guarded by mu
}

// Join takes the data folder, binds the port, starts client and DHT node and seeds at once what lies
// on disk of the channels. ctx bounds only the start. Errors carry the exit code of their reason.
// The caller calls Run, and Close at the end.
func Join(ctx context.Context, s Settings, channels []snapshot.Channel, log *slog.Logger) (*Peer, error) {
	p := &Peer{settings: s, log: log, channels: channels, holdings: make(map[string][]*Holding), lost: make(chan pointer.Record, 1)}
	if err := p.join(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Peer) join(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		p.openDataDir, p.openBuckets, p.openNetwork, p.openResolver, p.loadHoldings,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *Peer) openDataDir(context.Context) error {
	dir, err := filepath.Abs(p.settings.DataDir)
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	p.settings.DataDir = dir
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return daemon.WithCode(daemon.ExitDisk, fmt.Errorf("DATA_DIR: %w", err))
	}
	p.lock, err = lockDir(dir)
	return err
}

func (p *Peer) openBuckets(context.Context) error {
	var err error
	p.http, err = bucket.NewHTTPClient(bucket.Policy{AllowPrivate: p.settings.AllowPrivate, Origins: p.settings.BucketURL})
	if err != nil {
		return daemon.Usagef("BUCKET_URL: %w", err)
	}
	for _, base := range p.settings.BucketURL {
		reader, err := bucket.NewReader(base, p.http)
		if err != nil {
			return daemon.Usagef("BUCKET_URL: %w", err)
		}
		p.buckets = append(p.buckets, reader)
	}
	return nil
}

func (p *Peer) openNetwork(ctx context.Context) error {
	blocked, err := p.settings.blocklist()
	if err != nil {
		return err
	}
	if blocked.Len() > 0 {
		p.log.InfoContext(ctx, "peers are blocked", "ranges", blocked.Len())
	}
	if p.listeners, err = swarm.Listen(ctx, string(p.settings.ListenAddr)); err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	p.node, err = dht.New(dht.Config{
		Conn:      p.listeners.UDP,
		Bootstrap: p.settings.DHTBootstrap,
		StateDir:  filepath.Join(p.settings.DataDir, "dht"),
		// A DHT is public or private, never both: the public routers lead to the public one.
		Private:  p.settings.AllowPrivate && p.settings.DHTBootstrap != nil,
		ReadOnly: p.settings.Brief,
		Log:      p.log,
	})
	if err != nil {
		return fmt.Errorf("start DHT node: %w", err)
	}
	p.client, err = swarm.New(ctx, swarm.Config{
		DataDir:        p.settings.DataDir,
		Listeners:      p.listeners,
		DHT:            p.node,
		Trackers:       p.settings.Trackers,
		SeedPeers:      p.settings.SeedPeers,
		AllowPrivate:   p.settings.AllowPrivate,
		MaxPeers:       p.settings.MaxPeers,
		MaxConnections: p.settings.MaxConnections,
		MaxHalfOpen:    p.settings.MaxHalfOpen,
		Blocklist:      blocked,
		UploadLimit:    int64(p.settings.UploadLimit),
		DownloadLimit:  int64(p.settings.DownloadLimit),
		Origins:        p.settings.OriginPolicy,
		OriginPatience: p.settings.OriginPatience,
		ScrubRate:      int64(p.settings.ScrubRate),
		HTTP:           p.http,
		Log:            p.log,
	})
	if err != nil {
		return fmt.Errorf("start swarm client: %w", err)
	}
	return nil
}

func (p *Peer) openResolver(context.Context) error {
	var err error
	p.ratchet, err = pointer.OpenRatchet(filepath.Join(p.settings.DataDir, "pointers"), p.log)
	if err != nil {
		return daemon.WithCode(daemon.ExitDisk, err)
	}
	sources := []pointer.Source{p.node}
	for _, b := range p.buckets {
		sources = append(sources, bucket.PointerSource(b))
	}
	sources = append(sources, signedSource{p.ratchet, p.http, p.isConfigured})
	p.resolver = pointer.NewResolver(pointer.ResolverConfig{Sources: sources, Ratchet: p.ratchet, Log: p.log})
	return nil
}

// isConfigured reports whether base is one of the operator's own buckets.
func (p *Peer) isConfigured(base string) bool {
	for _, b := range p.buckets {
		if b.String() == base {
			return true
		}
	}
	return false
}

// Run keeps the DHT node's routing table good, and puts pointers into the DHT that Resolve missed there, until ctx ends.
func (p *Peer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.restore(ctx) })
	defer wg.Wait()
	defer cancel()
	return p.node.Run(ctx)
}

// Close leaves the swarm: all data and state are on disk when it returns. It may be called after a
// failed or unfinished start, and more than once.
func (p *Peer) Close() error {
	p.closeOnce.Do(func() { p.closeErr = p.close() })
	return p.closeErr
}

func (p *Peer) close() error {
	var errs []error
	if p.resolver != nil {
		p.resolver.Close()
	}
	if p.client != nil {
		errs = append(errs, p.client.Close())
	}
	if p.node != nil {
		errs = append(errs, p.node.Close())
	}
	if p.listeners != nil {
		errs = append(errs, p.listeners.Close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.release())
	}
	return errors.Join(errs...)
}

// Port is the port of both sockets, also when the settings left the choice to the system.
func (p *Peer) Port() int { return p.listeners.Port() }

// DataDir is the absolute path of the folder that holds everything.
func (p *Peer) DataDir() string { return p.settings.DataDir }

// HTTP is the client for addresses that others may have named, with the operator's buckets exempt
// from the rule that only public addresses are dialled.
func (p *Peer) HTTP() *http.Client { return p.http }

// Resolve asks the DHT and all buckets at once for the newest pointer of ch; see
// [pointer.Resolver.Resolve] for result and errors, which carry exit codes.
func (p *Peer) Resolve(ctx context.Context, ch snapshot.Channel) (pointer.Resolution, error) {
	res, err := p.resolver.Resolve(ctx, ch)
	p.missed(res)
	switch {
	case errors.Is(err, pointer.ErrAllRefused):
		err = daemon.WithCode(daemon.ExitRefused, err)
	case errors.Is(err, pointer.ErrNotFound):
		err = daemon.WithCode(daemon.ExitNoPointer, err)
	}
	return res, err
}

// Pointers are the records of ch that nodes of the DHT hold, also older ones than the newest; see [dht.Node.Lookup].
func (p *Peer) Pointers(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	return p.node.Lookup(ctx, ch)
}

// Newest is the newest pointer accepted so far, from disk, without asking anybody.
func (p *Peer) Newest(ch snapshot.Channel) (pointer.Record, bool) {
	rec, ok, err := p.ratchet.Last(ch)
	if err != nil {
		p.log.Error("saved pointer cannot be read", "channel", ch.Salt, "error", err)
	}
	return rec, ok && err == nil
}

// Accept lets a record of our own become the newest known; it is on disk when Accept returns nil.
func (p *Peer) Accept(ch snapshot.Channel, rec pointer.Record) error {
	return p.ratchet.Accept(ch, rec, time.Now())
}

// PutPointer stores rec in the DHT and reads it back from other nodes.
func (p *Peer) PutPointer(ctx context.Context, rec pointer.Record) (dht.PutResult, error) {
	return p.node.Put(ctx, rec)
}

// Reput stores rec in the DHT again if too few of the nodes responsible for it still hold it. It is no error that there is no
// DHT to be reached by configuration, nor that the DHT holds a newer record: the next Resolve finds it.
func (p *Peer) Reput(ctx context.Context, rec pointer.Record) (dht.ReputResult, error) {
	res, err := p.node.Reput(ctx, rec)
	if errors.Is(err, dht.ErrAlone) || errors.Is(err, dht.ErrNewer) {
		err = nil
	}
	return res, err
}

// DHTNodes is the number of DHT nodes that answered lately.
func (p *Peer) DHTNodes() int { return p.node.Stats().Nodes }
