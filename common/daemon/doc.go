// Package daemon is the edge of a process: settings, exit codes, signals, the log, the progress line, health and
// metrics endpoints. The commands share it, so that all of them are configured, stopped and watched in the same way.
//
// A command declares its settings as one flat struct and gets flags, environment, --help and the table of its README
// from it:
//
//	type Config struct {
//		daemon.Common
//		Retain time.Duration `env:"RETAIN" envDefault:"7d" group:"Mirror" help:"how long old versions are kept"`
//	}
//
//	func main() { daemon.Main(command()) }
//
//	func command() *cobra.Command {
//		var cfg Config
//		cmd := &cobra.Command{
//			Use:   "mirror",
//			Short: "Follow a channel, keep its newest snapshot, share it.",
//			RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), cfg) },
//		}
//		daemon.AddSettings(cmd, &cfg)
//		return cmd
//	}
//
// # Settings
//
// Every field with an env tag is a setting: METRICS_ADDR in the environment is --metrics-addr on the command line. The
// flag wins over the environment, the environment over the default; an empty value means the default. The tags are:
//
//	env         the name in the environment
//	envDefault  the default, as the user would write it
//	help        one line for --help and the README
//	value       the placeholder in --help, where that of the type does not say enough ("FILE")
//	alias       other names in the environment, separated by commas, looked up when the first one is not set
//	group       the heading that this and the following fields stand under
//
// A Secret has no flag with its value, since command lines are public on most machines: it comes from KEY, or from the
// file that KEY_FILE or --key-file names.
//
// # Exit codes and signals
//
// Main prints one line to stderr for an error, "mirror: what was wrong: what to do", and ends the process with the code
// that WithCode attached, see Exit. SIGINT and SIGTERM end the command's context; a second one ends the process at
// once. Whether a stop by signal is a success is for the command to say: a daemon that stopped as asked returns nil
// (Graceful helps) and exits 0, a one-shot that was cut short returns the context's error and exits 130.
package daemon
