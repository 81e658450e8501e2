package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"snapswarm/common/snapshot"
)

// TestFirstByteFromPeer plays a peer that chokes at first and sends other messages in between.
func TestFirstByteFromPeer(t *testing.T) {
	tor, err := snapshot.NewTorrent(snapshot.Content{Name: "file", Length: 10 << 18, PieceLength: 1 << 18, Pieces: make([]byte, 10*20)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		got := make([]byte, 68+5)
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got[28:48], tor.InfoHash[:]) || got[72] != msgInterested {
			return
		}
		have := []byte{0, 0, 0, 5, 4, 0, 0, 0, 1}
		_, _ = conn.Write(append(append(handshake(tor.InfoHash), have...), 0, 0, 0, 0, 0, 0, 0, 1, msgUnchoke))
		ask := make([]byte, 17)
		if _, err := io.ReadFull(conn, ask); err != nil || binary.BigEndian.Uint32(ask[5:]) != 7 {
			return
		}
		piece := binary.BigEndian.AppendUint32(nil, 9+blockLength)
		piece = append(append(piece, msgPiece), ask[5:13]...)
		_, _ = conn.Write(append(piece, make([]byte, blockLength)...))
	}()
	if err := firstByteFromPeer(t.Context(), l.Addr().String(), tor, 7); err != nil {
		t.Error(err)
	}
}

func TestARestartThatHashesIsFoundOut(t *testing.T) {
	if err := idle("[+] channel bench: seeding 20261120T060000Z; 100% of 1 TiB; 0 peers", `{"msg":"pointer found","seq":1}`); err != nil {
		t.Error(err)
	}
	if idle("[+] channel bench: verifying 20261120T060000Z; 100% of 1 TiB; 0 peers", "") == nil {
		t.Error("a mirror that hashes the whole archive passes")
	}
}
