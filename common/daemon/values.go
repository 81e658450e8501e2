package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
)

// Secret is a value that must not be shown: every way to print, log or encode it gives "[hidden]", or "" when it is
// empty. Only Reveal returns it.
type Secret struct {
	value *string // a pointer, because fmt ignores the methods of values in unexported fields
	file  string
}

// NewSecret hides value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// File is the path of the file that AddSettings or Load read the secret from, as the user wrote it; empty when it came in
// another way.
func (s Secret) File() string { return s.file }

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String returns "[hidden]", or "" for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return "[hidden]"
}

// Format is String for every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String, for package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for JSON and other encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes text as the secret, without surrounding white space.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(strings.TrimSpace(string(text)))
	return nil
}

// List is a setting with several values, separated by commas or white space.
type List []string

// UnmarshalText splits text.
func (l *List) UnmarshalText(text []byte) error {
	*l = splitList(string(text))
	return nil
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// HostPorts is a list of host:port. The word "none" gives an empty list that is not nil, so that "unset" (nil) and
// "explicitly none" can be told apart.
type HostPorts []string

// UnmarshalText parses the list, or "none".
func (h *HostPorts) UnmarshalText(text []byte) error {
	if strings.EqualFold(strings.TrimSpace(string(text)), "none") {
		*h = HostPorts{}
		return nil
	}
	list := splitList(string(text))
	for _, a := range list {
		host, port, err := splitHostPort(a)
		if err != nil || host == "" || port == 0 {
			return errors.New(`want host:port, separated by commas, or "none"`)
		}
	}
	*h = list
	return nil
}

// Addr is an address to listen on: host:port, ":6881" for all interfaces; port 0 lets the system choose.
type Addr string

// UnmarshalText checks the form of the address.
func (a *Addr) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if _, _, err := splitHostPort(s); err != nil {
		return errors.New(`want an address such as "127.0.0.1:8080" or ":8080"`)
	}
	*a = Addr(s)
	return nil
}

// OptionalAddr is an Addr that may be "none", which leaves it empty.
type OptionalAddr string

// UnmarshalText checks the form of the address, or takes "none".
func (a *OptionalAddr) UnmarshalText(text []byte) error {
	if strings.EqualFold(strings.TrimSpace(string(text)), "none") {
		*a = ""
		return nil
	}
	if err := (*Addr)(a).UnmarshalText(text); err != nil {
		return errors.New(err.Error() + `, or "none"`)
	}
	return nil
}

func splitHostPort(s string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err
}
