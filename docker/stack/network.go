package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"

	"snapswarm/common/dht"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// bootstrapNodes is enough for a put to be read back from nodes that were not asked to store it.
const bootstrapNodes = 3

// network is a private DHT on loopback.
type network struct {
	nodes  []*dht.Node
	addrs  []string
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startNetwork starts the nodes; each one knows those before it.
func startNetwork(ctx context.Context, dir string, log *slog.Logger) (*network, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n := &network{cancel: cancel}
	for i := range bootstrapNodes {
		if err := n.add(run, filepath.Join(dir, fmt.Sprint(i)), log); err != nil {
			return nil, errors.Join(fmt.Errorf("start DHT node: %w", err), n.close())
		}
	}
	return n, nil
}

func (n *network) add(ctx context.Context, dir string, log *slog.Logger) error {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	node, err := dht.New(dht.Config{
		Conn: conn, Bootstrap: append([]string{}, n.addrs...), StateDir: dir, Private: true, Log: log,
	})
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	n.nodes = append(n.nodes, node)
	n.addrs = append(n.addrs, conn.LocalAddr().String())
	n.wg.Go(func() {
		if err := node.Run(ctx); err != nil {
			log.ErrorContext(ctx, "DHT node ended", "error", err)
		}
	})
	return nil
}

func (n *network) addresses() []string { return n.addrs }

func (n *network) close() error {
	n.cancel()
	n.wg.Wait()
	var errs []error
	for _, node := range n.nodes {
		errs = append(errs, node.Close())
	}
	return errors.Join(errs...)
}

// Put stores a record in the DHT, through a node of this process.
func (s *Stack) Put(ctx context.Context, rec pointer.Record) error {
	_, err := s.dht.nodes[len(s.dht.nodes)-1].Put(ctx, rec)
	return err
}

// Lookup asks the DHT, through a node of this process, for the channel's pointers.
func (s *Stack) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	return s.dht.nodes[len(s.dht.nodes)-1].Lookup(ctx, ch)
}
