package bucket

import (
	"errors"
	"strings"
	"unicode"
)

// The sentinels that callers decide on.
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the store answered and refused: credentials, permissions, clock, or a bucket that does not exist.
	// Repeating does not help, changing the configuration does.
	ErrDenied = errors.New("refused")
	// ErrUnreachable: the store did not answer, or only with failures of its own, for as long as it was tried.
	ErrUnreachable = errors.New("unreachable")
	// ErrTooLarge: the object is larger than the caller accepts.
	ErrTooLarge = errors.New("too large")
	// ErrPrecondition: something else lies there than the caller expects; see [Store].PutIf.
	ErrPrecondition = errors.New("changed by somebody else")
	// ErrBadKey: the name cannot be an object's; see [CheckKey].
	ErrBadKey = errors.New("bad object name")
	// ErrBadConfig: a setting of [Config] or an address makes no sense.
	ErrBadConfig = errors.New("bad setting")
)

// Error says which operation failed, why, and what the operator can do about it, in one line.
type Error struct {
	// Op is the operation: put, get, stat, list, delete, check, and lock, of a directory before a conditional put.
	Op string
	// Key is the object concerned, empty if none is.
	Key string
	// Store names the store, without secrets.
	Store string
	// Kind is a sentinel of this package, or nil if none applies.
	Kind error
	// Err is the cause.
	Err error
	// Hint is what the operator can do, or empty.
	Hint string
}

// Error is one line: operation, object, store, kind, cause, hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Key != "" {
		b.WriteString(" " + e.Key)
	}
	b.WriteString(" in " + e.Store)
	if e.Kind != nil && !errors.Is(e.Err, e.Kind) { // else the cause says it
		b.WriteString(": " + e.Kind.Error())
	}
	if e.Err != nil {
		b.WriteString(": " + oneLine(e.Err.Error()))
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap gives errors.Is and errors.As the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// oneLine makes foreign text fit for a message and a log: no control characters, not endless.
func oneLine(s string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	return clipTo(strings.Join(strings.Fields(clean), " "), 400)
}

func clip(s string) string { return clipTo(s, 80) }

func clipTo(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
