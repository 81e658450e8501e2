package daemon

import (
	"fmt"
	"strings"
)

// SettingsTable returns the settings of cfg, a pointer to a struct, as Markdown for the README of its command: a table
// for each group, under a heading in bold. Package daemontest compares it with the README.
func SettingsTable(cfg any) (string, error) {
	settings, err := Settings(cfg)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	group := ""
	for _, s := range settings {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n**%s**\n\n| Environment | Flag | Default | Meaning |\n|---|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n",
			code(s.environment()...), cell(s.usage()), code(s.Default), cell(s.Help))
	}
	return strings.TrimPrefix(b.String(), "\n"), nil
}

// code renders each of texts as code, and nothing for an empty one.
func code(texts ...string) string {
	var marked []string
	for _, t := range texts {
		if t != "" {
			marked = append(marked, "`"+cell(t)+"`")
		}
	}
	return strings.Join(marked, " ")
}

// cell keeps text inside of its table cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
