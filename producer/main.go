// Command producer publishes the snapshots of one channel: it packs a file or a directory, stores the archive in an
// S3-compatible bucket or a directory behind a web server, checks that everybody can read it there, signs the channel's
// pointer and puts it into the bucket and the DHT.
//
//	producer keygen --out FILE   makes the key of a new channel
//	producer publish PATH        publishes one snapshot, or lets a running serve do it; PATH - is standard input
//	producer publish --placeholder SIZE   the same with generated data, on a channel of its own
//	producer serve               publishes on a schedule or on change, shares with peers, keeps the pointer alive
//	producer withdraw VERSION    takes back the newest version
//	producer retain              removes old versions; --dry-run shows which, and why
//	producer status              shows what the world knows of the channel
//
// Settings come from the environment or as flags; README.md lists them and the exit codes.
package main

import (
	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
)

func main() { daemon.Main(newCommand()) }

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "producer",
		Short: "Publish snapshots that a swarm, a bucket and plain curl can serve.",
	}
	cmd.AddCommand(keygenCommand(), publishCommand(), serveCommand(), withdrawCommand(), retainCommand(), statusCommand())
	return cmd
}
