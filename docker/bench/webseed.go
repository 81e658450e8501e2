package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/anacrolix/torrent"          //nolint:depguard // the library's own webseed scheduler is what ours is compared with
	"github.com/anacrolix/torrent/metainfo" //nolint:depguard // the same
)

// webseedClient is the argument that makes this program a client of the library alone: torrent file, folder, address, peers.
const webseedClient = "webseed-client"

// runWebseed fetches from the torrent's webseeds and from peers, prints "complete" and seeds until ctx ends.
func runWebseed(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) < 3 {
		return errors.New("want a torrent, a folder and an address")
	}
	addr, err := net.ResolveTCPAddr("tcp", args[2])
	if err != nil {
		return err
	}
	config := torrent.NewDefaultClientConfig()
	config.DataDir = args[1]
	config.ListenHost = func(string) string { return addr.IP.String() }
	config.ListenPort = addr.Port
	config.NoDHT, config.DisableUTP, config.DisableIPv6, config.DisableTrackers, config.NoDefaultPortForwarding = true, true, true, true, true
	config.Seed = true
	config.Slogger = slog.New(slog.DiscardHandler)
	client, err := torrent.NewClient(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(append(client.Close(), err)...) }()
	meta, err := metainfo.LoadFromFile(args[0])
	if err != nil {
		return err
	}
	t, err := client.AddTorrent(meta)
	if err != nil {
		return err
	}
	var peers []torrent.PeerInfo
	for _, p := range args[3:] {
		a, err := net.ResolveTCPAddr("tcp", p)
		if err != nil {
			return err
		}
		peers = append(peers, torrent.PeerInfo{Addr: a, Trusted: true})
	}
	t.DownloadAll()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for t.AddPeers(peers); ; t.AddPeers(peers) { // it forgets those that did not listen yet
		select {
		case <-t.Complete().On():
			fmt.Fprintln(out, "complete")
			<-ctx.Done()
			return nil
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
