package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode"

	"snapswarm/common/durable"
)

// Exit is the status a process ends with. Scripts rely on the numbers: they never change their meaning.
type Exit int

// The exit codes of all commands.
const (
	ExitOK           Exit = 0
	ExitOther        Exit = 1   // anything without a code of its own
	ExitUsage        Exit = 2   // unknown flag, bad value, missing setting
	ExitSource       Exit = 3   // the source cannot be read, or changed while it was read
	ExitBucket       Exit = 4   // the bucket refused or cannot be reached
	ExitTaken        Exit = 5   // another publisher holds the channel
	ExitNoPointer    Exit = 10  // no source knows a pointer of the channel
	ExitRefused      Exit = 11  // every pointer found was refused: bad signature, or older than one seen before
	ExitStale        Exit = 12  // the newest pointer has expired
	ExitNoData       Exit = 20  // neither peers nor origins have the data
	ExitStalled      Exit = 21  // the transfer made no progress for too long
	ExitDisk         Exit = 30  // disk full, read-only or broken
	ExitVerification Exit = 31  // data does not match what was signed
	ExitInterrupted  Exit = 130 // ended by SIGINT or SIGTERM before the work was done
)

// exitMeanings has the codes in their order in documentation.
var exitMeanings = [...]struct {
	code Exit
	text string
}{
	{ExitOK, "success; a daemon: stopped as asked"},
	{ExitOther, "any other error"},
	{ExitUsage, "usage: unknown flag, bad value, missing setting"},
	{ExitSource, "source unreadable, or changed while it was read"},
	{ExitBucket, "bucket refused or unreachable"},
	{ExitTaken, "another publisher holds the channel"},
	{ExitNoPointer, "no pointer found"},
	{ExitRefused, "every pointer was refused: bad signature or rollback"},
	{ExitStale, "the newest pointer is stale"},
	{ExitNoData, "no source has the data"},
	{ExitStalled, "stalled: no progress for too long"},
	{ExitDisk, "disk full, read-only or broken"},
	{ExitVerification, "verification failed"},
	{ExitInterrupted, "interrupted before the work was done"},
}

// String returns what the code means, in a few words.
func (e Exit) String() string {
	for _, m := range exitMeanings {
		if m.code == e {
			return m.text
		}
	}
	return fmt.Sprintf("exit code %d", int(e))
}

// ExitTable returns the exit codes as a Markdown table, for the README.
func ExitTable() string {
	var b strings.Builder
	b.WriteString("| Exit code | Meaning |\n|---|---|\n")
	for _, m := range exitMeanings {
		fmt.Fprintf(&b, "| %d | %s |\n", int(m.code), m.text)
	}
	return b.String()
}

// WithCode returns an error with the text and chain of err that makes the process exit with code. It is nil when err
// is. Where several are nested, the outermost one counts.
func WithCode(code Exit, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{err, code}
}

// Usagef returns an error that makes the process exit with ExitUsage.
func Usagef(format string, args ...any) error {
	return WithCode(ExitUsage, fmt.Errorf(format, args...))
}

type codedError struct {
	error
	code Exit
}

func (e *codedError) Unwrap() error { return e.error }

// ExitOf returns the code that err makes a process exit with: the one of WithCode; else ExitDisk for the errors of a
// full, read-only or broken disk; else ExitOther. It is ExitOK for nil.
func ExitOf(err error) Exit {
	var c *codedError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &c):
		return c.code
	case diskHint(err) != "":
		return ExitDisk
	}
	return ExitOther
}

// diskHint returns what to do about an error of the disk itself, and "" for all others.
func diskHint(err error) string {
	switch {
	case durable.IsFull(err):
		return "free some space, or choose another DATA_DIR"
	case errors.Is(err, syscall.EROFS):
		return "make the file system writable, or choose another DATA_DIR"
	case errors.Is(err, syscall.EIO):
		return "the disk reports errors: check it before you go on"
	}
	return ""
}

// Interrupt is the cause (context.Cause) of a context that ended because a signal asked the process to stop. It is a
// context.Canceled for errors.Is.
type Interrupt struct {
	Signal string // "SIGINT" or "SIGTERM"
}

func (i Interrupt) Error() string { return "interrupted by " + i.Signal }

// Unwrap makes an Interrupt a context.Canceled.
func (i Interrupt) Unwrap() error { return context.Canceled }

// Graceful is how a daemon ends: it returns nil when err is only the consequence of ctx having been ended by a signal,
// and err otherwise.
func Graceful(ctx context.Context, err error) error {
	if _, ok := interruptOf(ctx); ok && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func interruptOf(ctx context.Context) (Interrupt, bool) {
	var i Interrupt
	ok := errors.As(context.Cause(ctx), &i)
	return i, ok
}

// verdict returns the exit code of a command that returned err and the one line to print, "" for none.
func verdict(ctx context.Context, err error) (Exit, string) {
	if err == nil {
		return ExitOK, ""
	}
	code := ExitOf(err)
	i, interrupted := interruptOf(ctx)
	switch {
	case interrupted && errors.Is(err, context.Canceled):
		return ExitInterrupted, i.Error()
	case interrupted && code == ExitOther: // most likely a consequence that does not wrap the context's error
		return ExitInterrupted, i.Error() + ": " + oneLine(err.Error())
	}
	text := oneLine(err.Error())
	if hint := diskHint(err); hint != "" && code == ExitDisk {
		text += ": " + hint
	}
	return code, text
}

// oneLine makes text fit for one line of a terminal: it may hold what a server or a peer sent.
func oneLine(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
}
