package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"snapswarm/common/snapshot"
)

// liar is a peer that claims to have everything, lets itself be asked, and never answers (BEP 3). It looks like a mirror.
type liar struct {
	listener net.Listener
	torrent  *snapshot.Torrent
	wg       sync.WaitGroup
	mu       sync.Mutex // guards conns
	conns    map[net.Conn]struct{}
}

func startLiar(ctx context.Context, t *snapshot.Torrent) (*liar, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &liar{listener: listener, torrent: t, conns: make(map[net.Conn]struct{})}
	l.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			l.wg.Go(func() { l.talk(conn) })
		}
	})
	return l, nil
}

func (l *liar) addr() string { return l.listener.Addr().String() }

func (l *liar) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	for conn := range l.conns {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// talk says that it has everything, and swallows all requests until the other side has enough of it.
func (l *liar) talk(conn net.Conn) {
	l.mu.Lock()
	l.conns[conn] = struct{}{}
	l.mu.Unlock()
	defer conn.Close()
	if _, err := conn.Write(l.greeting()); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // until it is closed
}

// greeting is a handshake, a bitfield of ones, and unchoke.
func (l *liar) greeting() []byte {
	b := append([]byte("\x13BitTorrent protocol"), make([]byte, 8)...)
	b = append(b, l.torrent.InfoHash[:]...)
	b = append(b, "-SW0100-"...)
	b = append(b, rand.Text()[:12]...)
	pieces := l.torrent.NumPieces()
	field := make([]byte, (pieces+7)/8)
	for i := range pieces {
		field[i/8] |= 0x80 >> (i % 8)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(1+len(field)))
	b = append(append(b, 5), field...)
	return append(binary.BigEndian.AppendUint32(b, 1), 1)
}
