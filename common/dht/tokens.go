package dht

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// tokenPeriod is how often tokens change; one is valid in its own period and the next.
const tokenPeriod = 5 * time.Minute

// tokens makes and checks the tokens that prove that who puts or announces can receive at its
// address (BEP 5). It has no state but its secret.
type tokens struct {
	secret [32]byte
	now    func() time.Time
}

func newTokens(now func() time.Time) tokens {
	t := tokens{now: now}
	_, _ = rand.Read(t.secret[:]) // never fails
	return t
}

func (t tokens) issue(ip netip.Addr) string { return t.of(ip, t.period()) }

func (t tokens) valid(ip netip.Addr, token string) bool {
	p := t.period()
	return hmac.Equal([]byte(token), []byte(t.of(ip, p))) || hmac.Equal([]byte(token), []byte(t.of(ip, p-1)))
}

func (t tokens) period() int64 { return t.now().Unix() / int64(tokenPeriod.Seconds()) }

func (t tokens) of(ip netip.Addr, period int64) string {
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write(ip.AsSlice())
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(period)))
	return string(mac.Sum(nil)[:8])
}
