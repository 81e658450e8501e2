package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"snapswarm/common/snapshot"
)

// firstByteWithin bounds one attempt.
const firstByteWithin = 30 * time.Second

// firstByteByHTTP is nil when a byte at offset of the file behind url was served.
func firstByteByHTTP(ctx context.Context, url string, offset int64) error {
	ctx, cancel := context.WithTimeout(ctx, firstByteWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.ReadFull(answer.Body, make([]byte, 1)); err != nil || answer.StatusCode != http.StatusPartialContent {
		return errors.Join(err, fmt.Errorf("%s: %s", url, answer.Status))
	}
	return nil
}

// Messages between peers (BEP 3).
const (
	msgUnchoke    = 1
	msgInterested = 2
	msgRequest    = 6
	msgPiece      = 7

	blockLength = 16 << 10
	maxMessage  = 1 << 20
)

// firstByteFromPeer is nil when the peer at addr has sent the first block of piece i.
func firstByteFromPeer(ctx context.Context, addr string, t *snapshot.Torrent, i int) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(firstByteWithin)); err != nil {
		return err
	}
	hello := append(handshake(t.InfoHash), 0, 0, 0, 1, msgInterested)
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, 68)); err != nil { // the other side's handshake
		return err
	}
	for {
		kind, body, err := readMessage(conn)
		switch {
		case err != nil:
			return err
		case kind == msgUnchoke:
			if _, err := conn.Write(request(i)); err != nil {
				return err
			}
		case kind == msgPiece && len(body) == 8+blockLength && binary.BigEndian.Uint32(body) == uint32(i):
			return nil
		}
	}
}

// handshake of a peer without extensions.
func handshake(ih snapshot.InfoHash) []byte {
	b := append([]byte("\x13BitTorrent protocol"), make([]byte, 8)...)
	b = append(append(b, ih[:]...), "-SW0100-"...)
	return append(b, rand.Text()[:12]...)
}

// request asks for the first block of piece i.
func request(i int) []byte {
	b := []byte{0, 0, 0, 13, msgRequest}
	for _, n := range []uint32{uint32(i), 0, blockLength} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// readMessage reads the next message that is not empty.
func readMessage(r io.Reader) (kind byte, body []byte, err error) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return 0, nil, err
		}
		length := binary.BigEndian.Uint32(head[:])
		if length > maxMessage {
			return 0, nil, fmt.Errorf("a message of %d bytes", length)
		}
		if length == 0 {
			continue
		}
		b := make([]byte, length)
		_, err := io.ReadFull(r, b)
		return b[0], b[1:], err
	}
}
