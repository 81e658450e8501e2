package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// LogLevel is the level below which log records are dropped.
type LogLevel slog.Level

// Level makes a LogLevel a slog.Leveler.
func (l LogLevel) Level() slog.Level { return slog.Level(l) }

// UnmarshalText accepts the names of package slog, in any case.
func (l *LogLevel) UnmarshalText(text []byte) error {
	if (*slog.Level)(l).UnmarshalText(text) != nil {
		return errors.New("want debug, info, warn or error")
	}
	return nil
}

// LogFormat is how log records are written: "auto", "pretty", "text" (logfmt) or "json".
type LogFormat string

// UnmarshalText accepts the known formats.
func (f *LogFormat) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	if !slices.Contains([]string{"auto", "pretty", "text", "json"}, s) {
		return errors.New("want auto, pretty, text or json")
	}
	*f = LogFormat(s)
	return nil
}

// NewLogger returns the logger of a process on terminal t, as LOG_LEVEL and LOG_FORMAT of p ask.
func NewLogger(t *Terminal, p Process) *slog.Logger {
	o := &slog.HandlerOptions{Level: p.LogLevel}
	switch {
	case p.LogFormat == "json":
		return slog.New(slog.NewJSONHandler(t, o))
	case p.LogFormat == "pretty" || (p.LogFormat != "text" && t.Interactive):
		return slog.New(newPrettyHandler(t, p.LogLevel))
	}
	return slog.New(slog.NewTextHandler(t, o))
}

// prettyHandler writes short lines for people: time of day, level, message, attributes.
type prettyHandler struct {
	out   *prettyOutput
	attrs slog.Handler // writes the attributes into out.line
}

type prettyOutput struct {
	terminal *Terminal
	mu       sync.Mutex
	line     bytes.Buffer // guarded by mu
}

func newPrettyHandler(t *Terminal, level slog.Leveler) slog.Handler {
	out := &prettyOutput{terminal: t}
	return prettyHandler{out, slog.NewTextHandler(&out.line, &slog.HandlerOptions{Level: level, ReplaceAttr: dropBuiltin})}
}

// dropBuiltin removes time, level and message of a record, which have been written before. Attributes of the same names
// stay, unless they hold the same type too.
func dropBuiltin(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	_, isLevel := a.Value.Any().(slog.Level)
	switch {
	case a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime,
		a.Key == slog.LevelKey && isLevel,
		a.Key == slog.MessageKey:
		return slog.Attr{}
	}
	return a
}

func (h prettyHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.attrs.Enabled(ctx, level)
}

func (h prettyHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	line := &h.out.line
	line.Reset()
	line.WriteString(r.Time.Format("15:04:05 "))
	if r.Level != slog.LevelInfo {
		line.WriteString(r.Level.String() + " ")
	}
	line.WriteString(oneLine(r.Message) + "  ")
	if err := h.attrs.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.out.terminal.Write(append(bytes.TrimRight(line.Bytes(), " \n"), '\n'))
	return err
}

func (h prettyHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return prettyHandler{h.out, h.attrs.WithAttrs(attrs)}
}

func (h prettyHandler) WithGroup(name string) slog.Handler {
	return prettyHandler{h.out, h.attrs.WithGroup(name)}
}
