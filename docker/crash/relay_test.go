//go:build e2e && linux

package crash_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"snapswarm/common/snapshot"
)

// peerPort is the port of all nodes, each at an address of its own. It is none that the system gives away, so that nobody takes it
// while its node is dead.
const peerPort = "6881"

// relay takes the connections of other nodes to n and passes on what both sides say, after having read it.
func (w *world) relay(ctx context.Context, n *node) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort(n.door, peerPort))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	w.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.wg.Go(func() { w.introduce(ctx, conn, n) })
		}
	})
	return nil
}

// side is one end of a connection between peers.
type side struct {
	net.Conn
	*node
	life int
}

// introduce connects a peer with n. Whoever begins with encryption is hung up on, and tries again without.
func (w *world) introduce(ctx context.Context, conn net.Conn, n *node) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	hello := make([]byte, handshake)
	if _, err := io.ReadFull(conn, hello[:20]); err != nil || string(hello[:20]) != "\x13BitTorrent protocol" {
		return
	}
	from, life, ok := w.owner(conn)
	pid, toLife := n.running()
	if _, err := io.ReadFull(conn, hello[20:]); err != nil || !ok || pid == 0 {
		return
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from.door)}}
	target, err := dialer.DialContext(ctx, "tcp4", net.JoinHostPort(n.host, peerPort))
	if err != nil {
		return
	}
	defer target.Close()
	if _, again := n.running(); again != toLife {
		return
	}
	if _, err := target.Write(hello); err != nil {
		return
	}
	a, b := side{conn, from, life}, side{target, n, toLife}
	var wg sync.WaitGroup
	wg.Go(func() { w.pass(ctx, b, a, make([]byte, handshake)) })
	w.pass(ctx, a, b, hello)
	wg.Wait()
}

// The sizes of BEP 3: a handshake, and more than any message has.
const (
	handshake  = 68
	maxMessage = 4 << 20
)

// pass passes on what from says to to, until one of them has enough. hello is its handshake if that was read already.
func (w *world) pass(ctx context.Context, from, to side, hello []byte) {
	defer from.Close()
	defer to.Close()
	if hello[0] == 0 {
		if _, err := io.ReadFull(from, hello); err != nil {
			return
		}
		if _, err := to.Write(hello); err != nil {
			return
		}
	}
	talk := talk{world: w, from: from, to: to, of: snapshot.InfoHash(hello[28:48])}
	for {
		message := make([]byte, 4, 4+32<<10)
		if _, err := io.ReadFull(from, message); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(message)
		if size > maxMessage {
			return
		}
		message = append(message, make([]byte, size)...)
		if _, err := io.ReadFull(from, message[4:]); err != nil {
			return
		}
		talk.said(ctx, message[4:])
		if _, err := to.Write(message); err != nil {
			return
		}
		talk.heard(message[4:])
	}
}

// talk is what one peer says to another about one snapshot.
type talk struct {
	*world
	from, to side
	of       snapshot.InfoHash
	book     *book // nil before it is needed
}

// Messages of BEP 3 and BEP 6.
const (
	have     = 4
	bitfield = 5
	block    = 7
	haveAll  = 14
)

// said is about a message before it is passed on: what is claimed, and whether data is right.
func (t *talk) said(ctx context.Context, message []byte) {
	if len(message) == 0 || message[0] != have && message[0] != bitfield && message[0] != block && message[0] != haveAll {
		return
	}
	if t.book == nil {
		b, err := t.library.get(ctx, t.of)
		if err != nil {
			if ctx.Err() == nil {
				t.wrong(errors.Join(errors.New(t.from.name+" talks of a snapshot that nobody can get"), err))
			}
			return
		}
		t.book = b
	}
	switch kind, rest := message[0], message[1:]; {
	case kind == have && len(rest) == 4:
		t.has(int(binary.BigEndian.Uint32(rest)))
		t.events.saw(t.from.node, "a piece", false)
	case kind == bitfield:
		for i := range t.book.pieces {
			if i/8 < len(rest) && rest[i/8]&(0x80>>(i%8)) != 0 {
				t.has(i)
			}
		}
	case kind == haveAll:
		for i := range t.book.pieces {
			t.has(i)
		}
	case kind == block && len(rest) > 8:
		offset := int64(binary.BigEndian.Uint32(rest))*t.book.length + int64(binary.BigEndian.Uint32(rest[4:]))
		t.wrong(t.history.bytesSeen(t.from.name+" to "+t.to.name, &t.book.archive, offset, rest[8:]))
	}
}

func (t *talk) has(piece int) { t.history.pieceHeld(t.from.name, t.from.life, t.of, piece) }

// heard is about a message that was passed on: who has got data.
func (t *talk) heard(message []byte) {
	if len(message) > 9 && message[0] == block {
		t.history.pieceTaken(t.to.name, t.to.life, t.of, int(binary.BigEndian.Uint32(message[1:])), int64(len(message)-9))
		t.events.saw(t.to.node, "a block", false)
	}
}
