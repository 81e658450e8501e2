package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// KeygenConfig is everything that the command keygen can be told.
type KeygenConfig struct {
	Out     string `env:"OUT" group:"Key" value:"FILE" help:"file to write the key to; it must not exist"`
	DHTSalt string `env:"DHT_SALT" envDefault:"daily" value:"NAME" help:"the channel's short name, for the link that is shown"`
}

func keygenCommand() *cobra.Command {
	var cfg KeygenConfig
	cmd := &cobra.Command{
		Use:   "keygen --out FILE",
		Short: "Make the signing key of a new channel.",
		RunE:  func(cmd *cobra.Command, _ []string) error { return keygen(cfg, cmd.OutOrStdout(), cmd.ErrOrStderr()) },
	}
	daemon.AddSettings(cmd, &cfg)
	return cmd
}

// keygen prints the link of the new channel, and nothing else, on out, so that scripts can take it from there; what people
// want to know goes to hints.
func keygen(cfg KeygenConfig, out, hints io.Writer) error {
	if cfg.Out == "" {
		return daemon.Usagef("no file given: producer keygen --out FILE")
	}
	if err := snapshot.CheckSalt(cfg.DHTSalt); err != nil {
		return daemon.Usagef("DHT_SALT: %w", err)
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	ch, err := snapshot.NewChannel(public, cfg.DHTSalt)
	if err != nil {
		return err
	}
	if err := writeKey(cfg.Out, key.Seed()); err != nil {
		return err
	}
	fmt.Fprintf(hints, `The key is in %[1]s. Keep it secret, and keep a copy: nobody can publish on the channel without it.
Publish:  AUTHORITY_KEY_FILE=%[1]s DHT_SALT=%[2]s BUCKET=s3://... producer publish PATH
Follow:   CHANNEL='%[3]s' mirror
The channel's link, for everybody who should follow it:
`, cfg.Out, cfg.DHTSalt, ch)
	_, err = fmt.Fprintln(out, ch)
	return err
}

// writeKey makes a file that only its owner can read. An existing one stays as it is: a key that is gone cannot be
// replaced.
func writeKey(path string, seed []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return daemon.Usagef("%s exists already: a key is never overwritten, choose another file", path)
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = fmt.Fprintf(f, "%x\n", seed)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write key: %w", err), os.Remove(path))
	}
	return durable.SyncDir(filepath.Dir(path))
}

// parseKey reads a seed of 32 bytes in hex, or a whole private key of 64: the seed and its public key.
func parseKey(secret daemon.Secret) (ed25519.PrivateKey, error) {
	if secret.IsZero() {
		return nil, daemon.Usagef("no signing key: set AUTHORITY_KEY_FILE to the file that producer keygen made")
	}
	b, err := hex.DecodeString(secret.Reveal())
	if err != nil || (len(b) != ed25519.SeedSize && len(b) != ed25519.PrivateKeySize) {
		return nil, daemon.Usagef("the signing key is not 32 or 64 bytes in hex; make one with producer keygen")
	}
	key := ed25519.NewKeyFromSeed(b[:ed25519.SeedSize])
	if len(b) == ed25519.PrivateKeySize && !bytes.Equal(key, b) {
		return nil, daemon.Usagef("the signing key's 64 bytes are not a seed and its public key; " +
			"an expanded key as libtorrent keeps it cannot be used, give the seed")
	}
	return key, nil
}

// channel joins key and name. A link, if given, has to agree with the key, and decides on the name.
func (c ChannelConfig) channel(key ed25519.PrivateKey) (snapshot.Channel, error) {
	public, _ := key.Public().(ed25519.PublicKey)
	salt := c.DHTSalt
	if c.Channel != "" {
		link, err := snapshot.ParseChannel(c.Channel)
		if err != nil {
			return link, daemon.Usagef("CHANNEL: %w", err)
		}
		if !bytes.Equal(link.Key[:], public) {
			return link, daemon.Usagef("CHANNEL belongs to the key %x, the signing key given is %x: use the one or the other", link.Key, public)
		}
		salt = link.Salt
	}
	ch, err := snapshot.NewChannel(public, salt)
	if err != nil {
		return ch, daemon.Usagef("DHT_SALT: %w", err)
	}
	return ch, nil
}

// placeholder is the channel that generated data goes to instead of this one.
func (c ChannelConfig) placeholder() (ChannelConfig, error) {
	if c.Channel == "" {
		if err := snapshot.CheckSalt(c.DHTSalt); err != nil {
			return c, daemon.Usagef("DHT_SALT: %w", err)
		}
		c.DHTSalt = publish.PlaceholderSalt(c.DHTSalt)
		return c, nil
	}
	link, err := snapshot.ParseChannel(c.Channel)
	if err != nil {
		return c, daemon.Usagef("CHANNEL: %w", err)
	}
	link.Salt = publish.PlaceholderSalt(link.Salt)
	c.Channel = link.String()
	return c, nil
}
