package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Main runs cmd with the arguments of the process, and ends the process with the exit code of what it returned. It is
// the only place that does. The context of the command ends at SIGINT or SIGTERM, see Interrupt; a second signal ends
// the process at once with ExitInterrupted.
func Main(cmd *cobra.Command) {
	ctx, stop := notify(context.Background(), func() {
		fmt.Fprintf(os.Stderr, "%s: second signal: stopped at once\n", cmd.Name())
		os.Exit(int(ExitInterrupted))
	})
	cmd.SetArgs(os.Args[1:])
	code := Run(ctx, cmd, os.Stderr)
	stop()
	os.Exit(int(code))
}

// notify returns a context that ends with an Interrupt as cause at the first signal, and calls second at the next one.
func notify(parent context.Context, second func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		first := true
		for {
			select {
			case s := <-signals:
				if !first {
					second()
				}
				first = false
				cancel(Interrupt{signalName(s)})
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

func signalName(s os.Signal) string {
	if s == syscall.SIGTERM {
		return "SIGTERM"
	}
	return "SIGINT"
}

// Run executes cmd, prints the one line of an error to stderr, and returns the exit code. It is Main for tests and for
// programs that embed a command.
func Run(ctx context.Context, cmd *cobra.Command, stderr io.Writer) Exit {
	prepareRoot(cmd)
	code, text := verdict(ctx, cmd.ExecuteContext(ctx))
	if text != "" {
		fmt.Fprintf(stderr, "%s: %s\n", cmd.Name(), text)
	}
	return code
}

// prepareRoot gives a tree of commands our errors, help and version in the place of cobra's.
func prepareRoot(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.Version = ReadBuild().String()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	prepareArgs(root)
}

func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) { // its own text repeats the value, which may be a secret
		return Usagef("--%s: %w", invalid.GetFlag().Name, errors.Unwrap(invalid))
	}
	return Usagef("%w: see %s --help", err, cmd.CommandPath())
}

// prepareArgs makes every complaint about positional arguments a usage error.
func prepareArgs(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		prepareArgs(sub)
	}
	if !cmd.Runnable() && cmd.HasSubCommands() {
		cmd.Args = wrongCommand
		cmd.RunE = func(*cobra.Command, []string) error { return nil } // wrongCommand has spoken before
		return
	}
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check == nil {
			if len(args) == 0 {
				return nil
			}
			return Usagef("unexpected argument %q: see %s --help", args[0], cmd.CommandPath())
		}
		if err := check(cmd, args); err != nil {
			return Usagef("%w: usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// wrongCommand is the error of a command that only groups others.
func wrongCommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			names = append(names, sub.Name())
		}
	}
	known := fmt.Sprintf("one of %s, see %s --help", strings.Join(names, ", "), cmd.CommandPath())
	if len(args) == 0 {
		return Usagef("no command given: %s", known)
	}
	return Usagef("unknown command %q: %s", args[0], known)
}
