package peer

import (
	"context"
	"time"

	"snapswarm/common/pointer"
)

// restoreWithin bounds one attempt to put a pointer back into the DHT.
const restoreWithin = time.Minute

// missed notes that the DHT lacks the newest pointer, so that Run puts it there: whoever knows nothing but the DHT would
// otherwise wait for somebody's regular re-put. It happens after a publisher that did not reach the DHT, and where the first
// other node appears.
func (p *Peer) missed(res pointer.Resolution) {
	if !res.Known() {
		return
	}
	for _, a := range res.Answers {
		if a.Source != p.node.Name() || a.Err != nil || a.Late || a.Seq >= res.Record.Seq {
			continue
		}
		select {
		case p.lost <- res.Record:
		default: // one is being put back already; the next round will tell if this is needed, too
		}
	}
}

// restore puts pointers back that the DHT lacks, until ctx ends.
func (p *Peer) restore(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case rec := <-p.lost:
			limited, cancel := context.WithTimeout(ctx, restoreWithin)
			res, err := p.node.Reput(limited, rec)
			cancel()
			p.log.DebugContext(ctx, "the DHT lacked the newest pointer", "channel", rec.Salt, "seq", rec.Seq, "stored", res.Stored, "error", err)
		}
	}
}
