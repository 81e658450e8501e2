package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/producer/publish"
)

// ChannelConfig says which channel is published on.
type ChannelConfig struct {
	AuthorityKey daemon.Secret `env:"AUTHORITY_KEY" alias:"DHT_PRIVATE_KEY" group:"Channel" help:"the channel's signing key, 32 or 64 bytes in hex, as keygen makes it"`
	Channel      string        `env:"CHANNEL" value:"LINK" help:"the channel's link; it must belong to the key, and is another way to give DHT_SALT"`
	DHTSalt      string        `env:"DHT_SALT" envDefault:"daily" value:"NAME" help:"the channel's short name"`
}

// BucketConfig says where snapshots are made public.
type BucketConfig struct {
	Bucket            string        `env:"BUCKET" group:"Bucket" value:"URL" help:"s3://name/prefix, or file:///dir of a web server"`
	PublicURL         string        `env:"PUBLIC_URL" value:"URL" help:"where everybody can read the bucket; default for s3://: its endpoint and name"`
	ProbeTimeout      time.Duration `env:"PROBE_TIMEOUT" envDefault:"2m" help:"how long PUBLIC_URL may take to show what was stored, before the publication fails"`
	S3Endpoint        string        `env:"S3_ENDPOINT" alias:"AWS_ENDPOINT_URL_S3,AWS_ENDPOINT_URL" value:"URL" help:"S3 server; default: AWS"`
	S3Region          string        `env:"S3_REGION" alias:"AWS_REGION,AWS_DEFAULT_REGION" value:"NAME" help:"region of the bucket"`
	S3AccessKeyID     string        `env:"S3_ACCESS_KEY_ID" alias:"AWS_ACCESS_KEY_ID" value:"ID" help:"name of the credentials; on AWS the machine's role does without"`
	S3SecretAccessKey daemon.Secret `env:"S3_SECRET_ACCESS_KEY" alias:"AWS_SECRET_ACCESS_KEY" help:"secret of the credentials"`
	S3SessionToken    daemon.Secret `env:"S3_SESSION_TOKEN" alias:"AWS_SESSION_TOKEN" help:"token of temporary credentials"`
}

// SnapshotConfig says how snapshots are made.
type SnapshotConfig struct {
	Name          string        `env:"NAME" group:"Snapshot" help:"download name, the same for all versions; default: the source's with .zst or .tar.zst"`
	Compression   Compression   `env:"COMPRESSION" envDefault:"better" value:"LEVEL" help:"fastest, default, better or best; none publishes a file as it is"`
	PieceLength   daemon.Bytes  `env:"PIECE_LENGTH" envDefault:"0" help:"size of BitTorrent pieces, a power of two from 256KiB to 32MiB; 0: by the size of the source"`
	TorrentFormat TorrentFormat `env:"TORRENT_FORMAT" envDefault:"v1" value:"FORMAT" help:"v1, which all clients can read; hybrid: v1 and v2, not for Transmission 3 and the peers of aria2"`
	PointerTTL    time.Duration `env:"POINTER_TTL" envDefault:"14d" help:"how long the pointer is valid when nobody renews it"`
	Retention     int           `env:"SNAPSHOT_RETENTION_COUNT" envDefault:"7" help:"how many versions stay, the newest included"`
}

// NetworkConfig says how the process takes part in the swarm.
type NetworkConfig struct {
	daemon.Network
	peer.Courtesy
}

// PublishConfig is everything that the command publish can be told.
type PublishConfig struct {
	ChannelConfig
	BucketConfig
	SnapshotConfig
	Height uint64 `env:"HEIGHT" envDefault:"0" help:"block height of the snapshot, which must not go back; 0: none"`
	NetworkConfig
	daemon.Process
}

// ServeConfig is everything that the command serve can be told.
type ServeConfig struct {
	ChannelConfig
	BucketConfig
	SnapshotConfig
	SnapshotSource  string        `env:"SNAPSHOT_SOURCE" group:"Schedule" value:"PATH" help:"file or directory to publish; none: only keep alive what is published"`
	SnapshotCommand string        `env:"SNAPSHOT_COMMAND" value:"COMMAND" help:"shell command to run before each publication, such as one that copies a database; a line HEIGHT=number that it prints is the block height"`
	PublishEvery    time.Duration `env:"PUBLISH_EVERY" envDefault:"0" help:"time between two publications; 0: when the source changes"`
	PollInterval    time.Duration `env:"POLL_INTERVAL" envDefault:"10m" help:"how often the source is looked at for changes"`
	NetworkConfig
	peer.Care
	daemon.Process
}

// StatusConfig is everything that the command status can be told.
type StatusConfig struct {
	ChannelConfig
	AuthorityPubkey string `env:"AUTHORITY_PUBKEY" value:"HEX" help:"public key of the channel, where there is neither key nor link"`
	BucketConfig
	Retention int `env:"SNAPSHOT_RETENTION_COUNT" envDefault:"7" group:"Snapshot" help:"how many versions stay, the newest included"`
	daemon.Network
	daemon.Process
}

// WithdrawConfig is everything that the command withdraw can be told.
type WithdrawConfig struct {
	ChannelConfig
	BucketConfig
	PointerTTL time.Duration `env:"POINTER_TTL" envDefault:"14d" group:"Snapshot" help:"how long the pointer is valid when nobody renews it"`
	daemon.Network
	daemon.Process
}

// Validate implements what package daemon calls before the command runs.
func (c *WithdrawConfig) Validate() error {
	if c.PointerTTL < time.Second {
		return errors.New("POINTER_TTL must be at least 1s")
	}
	return errors.Join(c.check(), c.apart(c.DataDir))
}

// RetainConfig is everything that the command retain can be told.
type RetainConfig struct{ StatusConfig }

// Validate implements what package daemon calls before the command runs.
func (c *RetainConfig) Validate() error {
	if c.Retention < 1 {
		return errors.New("SNAPSHOT_RETENTION_COUNT must be at least 1")
	}
	return errors.Join(c.check(), c.apart(c.DataDir))
}

// Validate implements what package daemon calls before the command runs.
func (c *PublishConfig) Validate() error {
	return errors.Join(c.BucketConfig.check(), c.SnapshotConfig.check(), c.CheckCourtesy(), c.apart(c.DataDir))
}

// Validate implements what package daemon calls before the command runs.
func (c *ServeConfig) Validate() error {
	if c.SnapshotSource == "" && (c.SnapshotCommand != "" || c.PublishEvery != 0) {
		return errors.New("SNAPSHOT_COMMAND and PUBLISH_EVERY need a SNAPSHOT_SOURCE")
	}
	if c.PollInterval <= 0 {
		return errors.New("POLL_INTERVAL must be more than 0")
	}
	return errors.Join(c.BucketConfig.check(), c.SnapshotConfig.check(), c.CheckCourtesy(), c.apart(c.DataDir))
}

func (c *BucketConfig) check() error {
	if c.Bucket == "" {
		return errors.New("BUCKET is not set: give s3://name/prefix, or file:///dir of a directory that a web server makes public")
	}
	if c.PublicURL != "" {
		if _, err := bucket.ParseBase(c.PublicURL); err != nil {
			return fmt.Errorf("PUBLIC_URL: %w", err)
		}
	}
	return nil
}

func (c *SnapshotConfig) check() error {
	if c.Name != "" {
		if err := publish.CheckName(c.Name); err != nil {
			return err
		}
	}
	if err := publish.CheckPieceLength(int64(c.PieceLength)); err != nil {
		return fmt.Errorf("PIECE_LENGTH: %w", err)
	}
	if c.PointerTTL < time.Second || c.Retention < 1 {
		return errors.New("POINTER_TTL must be at least 1s, SNAPSHOT_RETENTION_COUNT at least 1")
	}
	return nil
}

// apart refuses a data directory that a web server would make public, and a bucket inside of the private one.
func (c *BucketConfig) apart(dataDir string) error {
	dir, ok := strings.CutPrefix(c.Bucket, "file://")
	if !ok {
		return nil
	}
	data, err := filepath.Abs(dataDir)
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	if within(data, dir) || within(dir, data) {
		return fmt.Errorf("DATA_DIR %s and BUCKET %s lie within each other: keep the private and the public folder apart", data, c.Bucket)
	}
	return nil
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// store is the configuration of package bucket.
func (c *BucketConfig) store() bucket.Config {
	return bucket.Config{
		URL: c.Bucket, Endpoint: c.S3Endpoint, Region: c.S3Region, AccessKeyID: c.S3AccessKeyID,
		SecretAccessKey: c.S3SecretAccessKey.Reveal(), SessionToken: c.S3SessionToken.Reveal(),
	}
}

// Compression is a level of package archive, or "none".
type Compression string

// UnmarshalText accepts the known levels.
func (c *Compression) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	if s != "none" {
		if _, err := archive.ParseLevel(s); err != nil {
			return errors.New("want none, fastest, default, better or best")
		}
	}
	*c = Compression(s)
	return nil
}

// TorrentFormat is "v1" or "hybrid".
type TorrentFormat string

// UnmarshalText accepts the two formats.
func (f *TorrentFormat) UnmarshalText(text []byte) error {
	switch s := TorrentFormat(strings.ToLower(strings.TrimSpace(string(text)))); s {
	case "v1", "hybrid":
		*f = s
		return nil
	}
	return errors.New("want v1 or hybrid")
}
