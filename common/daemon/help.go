package daemon

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

const (
	helpWidth     = 80  // columns, where the output is no terminal
	helpWidthMost = 100 // longer lines are hard to read
	helpIndent    = "      "
)

// widthOf is how many columns --help may use on w.
func widthOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return min(max(width, len(helpIndent)+20), helpWidthMost)
		}
	}
	return helpWidth
}

// writeHelp prints what --help shows: what the command is for, its subcommands, and its settings by group, each with
// flag, environment, default, and a text.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	b := &page{width: widthOf(w)}
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	b.paragraph("", "", about)
	b.WriteString("\nUsage:\n")
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(b, "  %s COMMAND [flags]\n", cmd.CommandPath())
		writeCommands(b, cmd)
	} else {
		fmt.Fprintf(b, "  %s\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		fmt.Fprintf(b, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	writeSettings(b, commandSettings(cmd))
	writeFlags(b, cmd)
	_, _ = io.WriteString(w, b.String()) // a closed pipe is no problem of ours
}

// page is text under way to a terminal of that many columns.
type page struct {
	strings.Builder
	width int
}

// paragraph writes text in lines, the first of which begins with first, the others with indent.
func (p *page) paragraph(first, indent, text string) {
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > p.width {
			p.WriteString(line + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	p.WriteString(line + "\n")
}

func writeCommands(b *page, cmd *cobra.Command) {
	b.WriteString("\nCommands:\n")
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			first := fmt.Sprintf("  %-9s ", sub.Name())
			b.paragraph(first, strings.Repeat(" ", len(first)), sub.Short)
		}
	}
	fmt.Fprintf(b, "\n%s COMMAND --help lists the settings of each.\n", cmd.CommandPath())
}

// commandSettings returns the settings that AddSettings made flags of, in their order in the struct.
func commandSettings(cmd *cobra.Command) []Setting {
	var settings []Setting
	cmd.Flags().SortFlags = false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if v, ok := f.Value.(*settingValue); ok {
			settings = append(settings, v.Setting)
		}
	})
	return settings
}

func writeSettings(b *page, settings []Setting) {
	if len(settings) == 0 {
		return
	}
	flagWidth, keyWidth := 0, 0
	for _, s := range settings {
		flagWidth, keyWidth = max(flagWidth, len(s.usage())), max(keyWidth, len(s.variable()))
	}
	group := ""
	for _, s := range settings {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(b, "\n%s:\n", group)
		}
		line := fmt.Sprintf("  %-*s  %-*s  %s", flagWidth, s.usage(), keyWidth, s.variable(), s.defaultText())
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		b.paragraph(helpIndent, helpIndent, s.Help)
		if names := strings.Join(append([]string{s.Key}, s.Aliases...), ", "); s.Secret {
			b.paragraph(helpIndent, helpIndent, "(the secret itself: "+names+")")
		} else if names != s.Key {
			b.paragraph(helpIndent, helpIndent, "(or "+strings.Join(s.Aliases, ", ")+")")
		}
	}
	b.WriteString("\n")
	b.paragraph("", "", "Each setting is a flag or an environment variable; the flag wins. OTEL_* configures OpenTelemetry.")
}

// usage is the flag with its placeholder.
func (s Setting) usage() string {
	flag := s.Flag
	if s.Secret {
		flag = s.fileFlag()
	}
	return strings.TrimRight("--"+flag+" "+s.Value, " ")
}

// variable is the name in the environment that means the same as the flag.
func (s Setting) variable() string {
	if s.Secret {
		return s.fileKey()
	}
	return s.Key
}

// environment returns all names of the setting in the environment.
func (s Setting) environment() []string {
	names := []string{s.Key}
	if s.Secret {
		names = append(names, s.fileKey())
	}
	return append(names, s.Aliases...)
}

func (s Setting) defaultText() string {
	if s.Default == "" || (s.Value == "" && s.Default == "false") {
		return ""
	}
	return "default " + s.Default
}

// writeFlags lists the flags that are no settings.
func writeFlags(b *page, cmd *cobra.Command) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SortFlags = false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Value.(*settingValue); !ok && !f.Hidden {
			flags.AddFlag(f)
		}
	})
	fmt.Fprintf(b, "\nFlags:\n%s", flags.FlagUsagesWrapped(b.width))
}
