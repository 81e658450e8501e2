package daemon

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Setting is one configurable value of a command, as its users see it.
type Setting struct {
	Key     string   // name in the environment: METRICS_ADDR
	Flag    string   // name on the command line, without dashes: metrics-addr
	Value   string   // placeholder for the value in --help: ADDR; "" for a switch
	Default string   // as the user would write it, "" when there is none
	Help    string   // one line
	Group   string   // heading in --help and README
	Aliases []string // other names in the environment
	Secret  bool     // the value comes from Key or from the file Key_FILE, never from the command line

	field  string // name in the struct
	isList bool   // a repeated flag adds to the value
}

// fileKey and fileFlag name the setting that points to a file with the secret.
func (s Setting) fileKey() string  { return s.Key + "_FILE" }
func (s Setting) fileFlag() string { return s.Flag + "-file" }

// Settings returns what can be set in cfg, a pointer to a struct with env tags, in the order of its fields. Embedded
// structs count as part of it, and a group that is opened again goes on. The errors are mistakes in the struct, such as a missing help text.
func Settings(cfg any) ([]Setting, error) {
	params, err := env.GetFieldParams(cfg)
	if err != nil {
		return nil, fmt.Errorf("read settings of %T: %w", cfg, err)
	}
	fields, groups := settingFields(reflect.TypeOf(cfg).Elem())
	settings := make([]Setting, 0, len(params))
	seen := make(map[string]bool, len(params))
	for _, p := range params {
		field, ok := fields[p.Key]
		help := field.Tag.Get("help")
		if !ok || help == "" || seen[p.Key] {
			return nil, fmt.Errorf("setting %s of %T: it must stand once in the struct, not be nested, and have a help tag", p.Key, cfg)
		}
		seen[p.Key] = true
		settings = append(settings, Setting{
			Key: p.Key, Flag: strings.ToLower(strings.ReplaceAll(p.Key, "_", "-")),
			Value: placeholder(field), Default: p.DefaultValue, Help: help, Group: groups[p.Key],
			Aliases: splitList(field.Tag.Get("alias")), Secret: field.Type == reflect.TypeFor[Secret](),
			field: field.Name, isList: isList(field.Type),
		})
	}
	return byGroup(settings), nil
}

// byGroup puts the settings of a group together, where its first one stands.
func byGroup(settings []Setting) []Setting {
	first := make(map[string]int)
	for i, s := range settings {
		if _, ok := first[s.Group]; !ok {
			first[s.Group] = i
		}
	}
	slices.SortStableFunc(settings, func(a, b Setting) int { return first[a.Group] - first[b.Group] })
	return settings
}

// settingFields returns the fields with an env tag by their key, and the heading each stands under.
func settingFields(t reflect.Type) (fields map[string]reflect.StructField, groups map[string]string) {
	fields, groups = make(map[string]reflect.StructField), make(map[string]string)
	group := "Settings"
	for _, f := range reflect.VisibleFields(t) {
		if g := f.Tag.Get("group"); g != "" {
			group = g
		}
		if key, _, _ := strings.Cut(f.Tag.Get("env"), ","); key != "" {
			fields[key], groups[key] = f, group
		}
	}
	return fields, groups
}

// placeholder returns what stands for the value in --help.
func placeholder(f reflect.StructField) string {
	if v, ok := f.Tag.Lookup("value"); ok {
		return v
	}
	switch f.Type {
	case reflect.TypeFor[time.Duration]():
		return "DURATION"
	case reflect.TypeFor[Bytes]():
		return "SIZE"
	case reflect.TypeFor[Rate]():
		return "RATE"
	case reflect.TypeFor[Addr](), reflect.TypeFor[OptionalAddr]():
		return "ADDR"
	case reflect.TypeFor[HostPorts]():
		return "HOST:PORT,..."
	case reflect.TypeFor[List]():
		return "LIST"
	case reflect.TypeFor[Secret]():
		return "FILE"
	}
	switch {
	case f.Type.Kind() == reflect.Bool:
		return ""
	case f.Type.PkgPath() == "" && f.Type.Kind() >= reflect.Int && f.Type.Kind() <= reflect.Float64:
		return "N"
	}
	return "VALUE"
}

func isList(t reflect.Type) bool {
	return t == reflect.TypeFor[List]() || t == reflect.TypeFor[HostPorts]()
}
