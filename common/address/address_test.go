package address_test

import (
	"errors"
	"net/netip"
	"testing"

	"snapswarm/common/address"
)

func TestCheckPublicRefuses(t *testing.T) {
	for what, addrs := range map[string][]string{
		"unspecified":   {"0.0.0.0", "::"},
		"loopback":      {"127.0.0.1", "127.255.255.254", "::1"},
		"private":       {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"},
		"unique local":  {"fc00::1", "fd12:3456:789a::1"},
		"link-local":    {"169.254.0.1", "fe80::1", "fe80::1%eth0"},
		"site-local":    {"fec0::1"},
		"carrier NAT":   {"100.64.0.1", "100.127.255.255"},
		"multicast":     {"224.0.0.1", "239.255.255.255", "ff02::1"},
		"broadcast":     {"255.255.255.255", "240.0.0.1"},
		"metadata":      {"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"},
		"documentation": {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"},
		"benchmarks":    {"198.18.0.1", "2001:2::1"},
		"v4-mapped":     {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"},
		"v4-compatible": {"::127.0.0.1", "::10.0.0.1"},
		"NAT64":         {"64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1"},
		"6to4":          {"2002:7f00:1::", "2002:a00:1::1"},
		"Teredo":        {"2001::1"},
		"discard":       {"100::1"},
		"unallocated":   {"4000::1"},
	} {
		for _, addr := range addrs {
			if err := address.CheckPublic(netip.MustParseAddr(addr)); !errors.Is(err, address.ErrNotPublic) {
				t.Errorf("CheckPublic(%s), %s: %v, want ErrNotPublic", addr, what, err)
			}
		}
	}
	if err := address.CheckPublic(netip.Addr{}); !errors.Is(err, address.ErrNotPublic) {
		t.Errorf("CheckPublic of no address: %v, want ErrNotPublic", err)
	}
}

func TestCheckPublicAccepts(t *testing.T) {
	for _, addr := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
		"192.167.255.255", "192.169.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1",
		"::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1",
	} {
		if err := address.CheckPublic(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("CheckPublic(%s): %v, want none", addr, err)
		}
	}
}

func TestControlPublicJudgesTheResolvedAddress(t *testing.T) {
	for at, want := range map[string]error{
		"127.0.0.1:80":     address.ErrNotPublic,
		"[fe80::1%eth0]:1": address.ErrNotPublic,
		"localhost:80":     address.ErrNotPublic, // not an address: nothing was resolved
		"":                 address.ErrNotPublic,
		"1.1.1.1:443":      nil,
	} {
		if err := address.ControlPublic("tcp", at, nil); !errors.Is(err, want) {
			t.Errorf("ControlPublic(%q) = %v, want %v", at, err, want)
		}
	}
}
