package snapshot

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// MaxSaltLength is the longest salt in bytes; BEP 44 allows the same.
const MaxSaltLength = 64

// reservedSalts are the first elements of the path space that are not channels.
var reservedSalts = []string{"torrents", "segments", "pointer", "latest", "status", "root", "api"}

// Channel is where a publisher announces its snapshots: an Ed25519 public key and a salt (BEP 44),
// written as a BEP 46 link. Two channels are the same when they are equal with ==.
type Channel struct {
	// Key is the publisher's Ed25519 public key.
	Key [ed25519.PublicKeySize]byte
	// Salt is the channel's short name; see [CheckSalt].
	Salt string
}

// NewChannel checks key and salt and joins them.
func NewChannel(key ed25519.PublicKey, salt string) (Channel, error) {
	if len(key) != ed25519.PublicKeySize {
		return Channel{}, fmt.Errorf("new channel: public key has %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	if err := CheckSalt(salt); err != nil {
		return Channel{}, fmt.Errorf("new channel: %w", err)
	}
	return Channel{Key: [ed25519.PublicKeySize]byte(key), Salt: salt}, nil
}

// ParseChannel reads a BEP 46 link: magnet:?xs=urn:btpk:<key hex>&s=<salt hex>.
// Parameters other than xs and s are ignored, as in any magnet link.
func ParseChannel(link string) (Channel, error) {
	c, err := parseChannel(link)
	if err != nil {
		return Channel{}, fmt.Errorf("parse channel %q: %w", clip(link), err)
	}
	return c, nil
}

func parseChannel(link string) (Channel, error) {
	query, ok := strings.CutPrefix(link, "magnet:?")
	if !ok {
		return Channel{}, errors.New("want a link magnet:?xs=urn:btpk:<key hex>&s=<salt hex>")
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return Channel{}, err
	}
	keyHex, ok := strings.CutPrefix(params.Get("xs"), "urn:btpk:")
	if !ok {
		return Channel{}, errors.New("no parameter xs=urn:btpk:<key hex>")
	}
	key, err := ParseKey(keyHex)
	if err != nil {
		return Channel{}, err
	}
	salt, err := hex.DecodeString(params.Get("s"))
	if err != nil {
		return Channel{}, fmt.Errorf("salt: %w", err)
	}
	return NewChannel(key, string(salt))
}

// ParseKey reads an Ed25519 public key of 64 hexadecimal digits; colons between them are allowed.
func ParseKey(s string) (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("public key has %d bytes, want %d (64 hexadecimal digits)", len(key), ed25519.PublicKeySize)
	}
	return key, nil
}

// String is the channel's BEP 46 link.
func (c Channel) String() string {
	return "magnet:?xs=urn:btpk:" + hex.EncodeToString(c.Key[:]) + "&s=" + hex.EncodeToString([]byte(c.Salt))
}

// PublicKey is the key as the crypto packages want it.
func (c Channel) PublicKey() ed25519.PublicKey { return slices.Clone(c.Key[:]) }

// CheckSalt accepts what may be a channel's short name: 1 to 64 of the characters a-z, 0-9, dot,
// underscore and hyphen, beginning with a letter or digit, and not a reserved word of the path space.
func CheckSalt(salt string) error {
	if salt == "" || len(salt) > MaxSaltLength {
		return fmt.Errorf("salt %q: want 1 to %d characters", clip(salt), MaxSaltLength)
	}
	for i := range len(salt) {
		if !saltByte(salt[i], i == 0) {
			return fmt.Errorf("salt %q: want only a-z 0-9 . _ - and a letter or digit first", salt)
		}
	}
	if slices.Contains(reservedSalts, salt) {
		return fmt.Errorf("salt %q is a reserved word", salt)
	}
	return nil
}

func saltByte(b byte, first bool) bool {
	switch {
	case 'a' <= b && b <= 'z', '0' <= b && b <= '9':
		return true
	case b == '.', b == '_', b == '-':
		return !first
	}
	return false
}

// CheckDistinctSalts refuses two channels of the same salt, because one program names its folders
// and URLs by salt alone. The same channel twice is refused as well.
func CheckDistinctSalts(channels []Channel) error {
	seen := make(map[string]bool, len(channels))
	for _, c := range channels {
		if seen[c.Salt] {
			return fmt.Errorf("two channels have the salt %q: one program can follow only one of them", c.Salt)
		}
		seen[c.Salt] = true
	}
	return nil
}
