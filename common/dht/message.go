package dht

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/anacrolix/torrent/bencode"
)

const (
	// maxPacket is the longest message that is looked at. The longest sensible one, a get_peers reply
	// full of peers, stays below the MTU of Ethernet.
	maxPacket = 4096
	maxDepth  = 16 // of nested lists and dictionaries
	maxToken  = 128
	// maxPerNode is how many nodes of one reply are believed; sensible ones have 8.
	maxPerNode = 16
)

// Kinds of messages (BEP 5).
const (
	kindQuery = "q"
	kindReply = "r"
	kindError = "e"
)

// message is one packet: a query, a reply or an error (BEP 5). Whatever [parse] lets through has
// the part that belongs to its kind, with an ID of 20 bytes; all else may be missing or nonsense.
type message struct {
	T  string        `bencode:"t"`
	Y  string        `bencode:"y"`
	Q  string        `bencode:"q,omitempty"`
	A  *arguments    `bencode:"a,omitempty"`
	R  *result       `bencode:"r,omitempty"`
	E  bencode.Bytes `bencode:"e,omitempty"`
	IP string        `bencode:"ip,omitempty"` // where the sender sees the receiver (BEP 42)
	RO int           `bencode:"ro,omitempty"` // 1: the sender answers no queries (BEP 43)
}

// arguments are those of all queries (BEP 5, 32, 44).
type arguments struct {
	ID          string        `bencode:"id"`
	Target      string        `bencode:"target,omitempty"`
	InfoHash    string        `bencode:"info_hash,omitempty"`
	Token       string        `bencode:"token,omitempty"`
	Port        int           `bencode:"port,omitempty"`
	ImpliedPort int           `bencode:"implied_port,omitempty"`
	Want        []string      `bencode:"want,omitempty"`
	K           string        `bencode:"k,omitempty"`
	Salt        string        `bencode:"salt,omitempty"`
	Seq         *int64        `bencode:"seq,omitempty"`
	Cas         *int64        `bencode:"cas,omitempty"`
	Sig         string        `bencode:"sig,omitempty"`
	V           bencode.Bytes `bencode:"v,omitempty"`
}

// result is what a reply carries (BEP 5, 44).
type result struct {
	ID     string        `bencode:"id"`
	Nodes  string        `bencode:"nodes,omitempty"`
	Token  string        `bencode:"token,omitempty"`
	Values []string      `bencode:"values,omitempty"`
	K      string        `bencode:"k,omitempty"`
	Seq    *int64        `bencode:"seq,omitempty"`
	Sig    string        `bencode:"sig,omitempty"`
	V      bencode.Bytes `bencode:"v,omitempty"`
}

var errMalformed = errors.New("no DHT message")

// parse reads a packet. Bytes after the message are ignored, since some clients pad.
func parse(b []byte) (m message, err error) {
	if len(b) > maxPacket {
		return message{}, fmt.Errorf("%w: %d bytes", errMalformed, len(b))
	}
	d := bencode.NewDecoder(bytes.NewReader(b))
	d.MaxStrLen, d.MaxDepth = maxPacket, maxDepth
	if err := d.Decode(&m); err != nil {
		return message{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if len(m.T) == 0 || len(m.T) > 64 || !m.complete() {
		return message{}, errMalformed
	}
	return m, nil
}

// complete reports whether the part that belongs to the kind is there.
func (m message) complete() bool {
	switch m.Y {
	case kindQuery:
		return m.A != nil && len(m.A.ID) == len(id{})
	case kindReply:
		return m.R != nil && len(m.R.ID) == len(id{})
	case kindError:
		return true
	}
	return false
}

// readID is the ID in s; ok is false when s is none. Zero means "unknown" here, so it is none.
func readID(s string) (v id, ok bool) {
	copy(v[:], s)
	return v, len(s) == len(v) && v != (id{})
}

// sizeOfAddr and sizeOfNode are the sizes of addresses and nodes in messages (BEP 5).
const (
	sizeOfAddr = 6
	sizeOfNode = len(id{}) + sizeOfAddr
)

// readAddr reads an IPv4 address and port; the result is invalid when s is of another length.
func readAddr(s string) netip.AddrPort {
	if len(s) != sizeOfAddr {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte([]byte(s[:4]))), binary.BigEndian.Uint16([]byte(s[4:])))
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(append(b, a.Addr().AsSlice()...), a.Port())
}

// nodes are the first nodes that a reply names.
func (r *result) nodes() (found []contact) {
	for s := r.Nodes; len(s) >= sizeOfNode && len(found) < maxPerNode; s = s[sizeOfNode:] {
		if v, ok := readID(s[:len(id{})]); ok {
			found = append(found, contact{id: v, addr: readAddr(s[len(id{}):sizeOfNode])})
		}
	}
	return found
}

// peers are the IPv4 peers that a reply names. The size of a packet bounds them.
func (r *result) peers() (found []netip.AddrPort) {
	for _, s := range r.Values {
		if a := readAddr(s); a.IsValid() && a.Port() != 0 {
			found = append(found, a)
		}
	}
	return found
}

func (r *result) setNodes(nodes []contact) {
	var b []byte
	for _, c := range nodes {
		b = appendAddr(append(b, c.id[:]...), c.addr)
	}
	r.Nodes = string(b)
}

// refusal is an error message of the protocol (BEP 5, 44), ours or another node's.
type refusal struct {
	code int
	text string
}

func (r refusal) Error() string { return fmt.Sprintf("error %d: %.100s", r.code, r.text) }

// Refusals that this node sends (BEP 5, 44).
var (
	errServer      = refusal{201, "server error"}
	errTooMany     = refusal{202, "too many writes from this address"}
	errBadToken    = refusal{203, "bad token"}
	errBadPort     = refusal{203, "bad port"}
	errBadHash     = refusal{203, "no info_hash or target of 20 bytes"}
	errNoSeq       = refusal{203, "no seq"}
	errNoValue     = refusal{203, "no value"}
	errUnknown     = refusal{204, "method unknown"}
	errValueLength = refusal{205, "value of more than 1000 bytes"}
	errSignature   = refusal{206, "invalid signature"}
	errSaltLength  = refusal{207, "salt of more than 64 bytes"}
	errCas         = refusal{301, "cas does not match"}
	errOldSeq      = refusal{302, "sequence number less than current"}
)

func (r refusal) encode() bencode.Bytes { return bencode.MustMarshal([]any{r.code, r.text}) }

// refused is what an error message says.
func (m message) refused() refusal {
	var list []bencode.Bytes
	r := refusal{text: "not understood"}
	if len(m.E) == 0 || bencode.Unmarshal(m.E, &list) != nil || len(list) < 2 {
		return r
	}
	_ = bencode.Unmarshal(list[0], &r.code)
	_ = bencode.Unmarshal(list[1], &r.text)
	return r
}
