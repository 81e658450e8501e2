package follow

import (
	"context"

	"snapswarm/common/peer"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// Over makes p, the process's part in the real swarm, usable here.
func Over(p *peer.Peer) Peer { return joined{p} }

type joined struct{ *peer.Peer }

func (j joined) Reput(ctx context.Context, rec pointer.Record) error {
	_, err := j.Peer.Reput(ctx, rec)
	return err
}

func (j joined) Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) (Copy, error) {
	h, err := j.Peer.Open(ctx, ch, rec)
	if err != nil {
		return nil, err
	}
	return holding{h}, nil
}

func (j joined) Copies(salt string) []Copy {
	var out []Copy
	for _, h := range j.Holdings(salt) {
		out = append(out, holding{h})
	}
	return out
}

func (j joined) Discard(ctx context.Context, c Copy) error {
	return j.Peer.Discard(ctx, c.(holding).h) //nolint:forcetypeassert // only what Open and Copies gave comes back
}

type holding struct{ h *peer.Holding }

func (c holding) Version() snapshot.Version  { return c.h.Version }
func (c holding) Torrent() *snapshot.Torrent { return c.h.Torrent }
func (c holding) Path() string               { return c.h.Snapshot.Path() }
func (c holding) Start()                     { c.h.Snapshot.Start() }
func (c holding) Stop()                      { c.h.Snapshot.Stop() }
func (c holding) Done() <-chan struct{}      { return c.h.Snapshot.Done() }
func (c holding) Sync() error                { return c.h.Snapshot.Sync() }

func (c holding) Completed() int64 {
	_, bytes := c.h.Snapshot.Completed()
	return bytes
}

func (c holding) Check(ctx context.Context) (int, error) { return c.h.Snapshot.VerifyAll(ctx) }

func (c holding) Stats() Stats {
	s := c.h.Snapshot.Stats()
	return Stats{
		FromPeers: s.FromPeers, FromOrigin: s.FromOrigin, Received: s.ReceivedPeers + s.ReceivedOrigin, Uploaded: s.Uploaded,
		Damaged: s.Damaged, Ailing: s.Ailing, Scrubbed: s.Scrubbed, Scrubbing: s.Scrubbing,
		Peers: s.Peers, Seeds: s.Seeds, Disk: s.Err, Origins: failing(s.Origins),
	}
}

// failing are the origins that do not work now.
func failing(origins []swarm.OriginStats) map[string]error {
	out := make(map[string]error)
	for _, o := range origins {
		if o.Failures > 0 && o.LastError != nil {
			out[o.URL] = o.LastError
		}
	}
	return out
}
