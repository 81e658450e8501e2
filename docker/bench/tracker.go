package main

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
)

// onePeerTracker is a BitTorrent tracker (BEP 3, with the compact peers of BEP 23) that knows a single peer, for clients that
// cannot be told one. addr is an IPv4 address and a port.
func onePeerTracker(addr string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		peer, err := netip.ParseAddrPort(addr)
		if err != nil || !peer.Addr().Is4() {
			http.Error(w, "the peer has no IPv4 address", http.StatusInternalServerError)
			return
		}
		compact := binary.BigEndian.AppendUint16(peer.Addr().AsSlice(), peer.Port())
		fmt.Fprintf(w, "d8:intervali1800e5:peers%d:%se", len(compact), compact)
	}
}
