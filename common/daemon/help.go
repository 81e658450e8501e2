package daemon

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeHelp prints what --help shows: what the command is for, its subcommands, and its settings by group, each with
// flag, environment, default, and one line of help. It is made for 100 columns.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(&b, "%s\n\nUsage:\n", strings.TrimSpace(about))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND [flags]\n", cmd.CommandPath())
		writeCommands(&b, cmd)
	} else {
		fmt.Fprintf(&b, "  %s\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	writeSettings(&b, commandSettings(cmd))
	writeFlags(&b, cmd)
	_, _ = io.WriteString(w, b.String()) // a closed pipe is no problem of ours
}

func writeCommands(b *strings.Builder, cmd *cobra.Command) {
	b.WriteString("\nCommands:\n")
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(b, "  %-10s %s\n", sub.Name(), sub.Short)
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

func writeSettings(b *strings.Builder, settings []Setting) {
	if len(settings) == 0 {
		return
	}
	flagWidth, keyWidth := 0, 0
	for _, s := range settings {
		flagWidth, keyWidth = max(flagWidth, len(s.usage())), max(keyWidth, len(s.Key))
	}
	group := ""
	for _, s := range settings {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(b, "\n%s:\n", group)
		}
		line := fmt.Sprintf("  %-*s  %-*s  %s", flagWidth, s.usage(), keyWidth, s.Key, s.defaultText())
		fmt.Fprintf(b, "%s\n      %s\n", strings.TrimRight(line, " "), s.Help)
		if names := s.environment()[1:]; len(names) > 0 {
			fmt.Fprintf(b, "      (in the environment also %s)\n", strings.Join(names, ", "))
		}
	}
	b.WriteString("\nA setting is a flag or an environment variable; the flag wins. OTEL_* configures OpenTelemetry.\n")
}

// usage is the flag with its placeholder.
func (s Setting) usage() string {
	flag := s.Flag
	if s.Secret {
		flag = s.fileFlag()
	}
	return strings.TrimRight("--"+flag+" "+s.Value, " ")
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
func writeFlags(b *strings.Builder, cmd *cobra.Command) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SortFlags = false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Value.(*settingValue); !ok && !f.Hidden {
			flags.AddFlag(f)
		}
	})
	fmt.Fprintf(b, "\nFlags:\n%s", flags.FlagUsagesWrapped(100))
}
