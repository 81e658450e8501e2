package swarm_test

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"snapswarm/common/swarm"
)

func TestListenBindsOnePortTwice(t *testing.T) {
	for range 20 {
		l, err := swarm.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, ok := l.UDP.LocalAddr().(*net.UDPAddr)
		if !ok || udp.Port != l.Port() || l.Port() == 0 {
			t.Errorf("TCP %v, UDP %v: want one port", l.TCP.Addr(), l.UDP.LocalAddr())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}

func TestListenSaysWhichPortIsTaken(t *testing.T) {
	tcp, err := swarm.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port()))
	wantTaken := func(network string, err error) {
		t.Helper()
		if !errors.Is(err, swarm.ErrPortTaken) || !strings.Contains(err.Error(), network+" "+addr) {
			t.Errorf("error = %v, want ErrPortTaken that names %s %s", err, network, addr)
		}
	}
	_, err = swarm.Listen(t.Context(), addr)
	wantTaken("tcp", err)
	_, err = swarm.New(t.Context(), swarm.Config{ListenAddr: addr})
	wantTaken("tcp", err)
	if err := tcp.TCP.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = swarm.Listen(t.Context(), addr)
	wantTaken("udp", err)
}

func TestListenOnAllAddressesOfBothFamilies(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := swarm.Listen(t.Context(), ":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		leech := newClient(t, swarm.Fast(swarm.Config{Listeners: l}))
		if leech.Port() != l.Port() {
			t.Errorf("client's port = %d, want %d", leech.Port(), l.Port())
		}
		s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
		seed := newSeed(t, b, tor)
		up, _ := seed.Snapshot(tor.InfoHash)
		up.AddPeers(net.JoinHostPort(host, strconv.Itoa(l.Port())))
		waitDone(t, s)
	}
}
