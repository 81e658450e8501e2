package daemon

import "time"

// Common is the settings that all commands have. A command embeds it before its own; one that needs only a part (such
// as producer status) embeds that.
type Common struct {
	Channels
	Network
	Process
}

// Channels says which channels a command works on and where their pointers are read besides the DHT. Package snapshot
// parses the links.
type Channels struct {
	Channel         List          `env:"CHANNEL" group:"Channel" value:"LINK" help:"the channel: magnet:?xs=urn:btpk:...&s=...; mirror and gateway take a list"`
	AuthorityPubkey string        `env:"AUTHORITY_PUBKEY" value:"HEX" help:"public key of the channel; with DHT_SALT in the place of CHANNEL"`
	DHTSalt         string        `env:"DHT_SALT" envDefault:"daily" value:"NAME" help:"short name of the channel, used with AUTHORITY_PUBKEY"`
	BucketURL       List          `env:"BUCKET_URL" value:"URL,..." help:"public bases to read the pointer and torrents from: a bucket, or a gateway"`
	PollInterval    time.Duration `env:"POLL_INTERVAL" envDefault:"10m" help:"how often a newer pointer is looked for"`
}

// Network says how a process takes part in the swarm.
type Network struct {
	ListenAddr   Addr      `env:"LISTEN_ADDR" envDefault:":6881" group:"Network" help:"where peers (TCP) and the DHT (UDP) reach this process; port 0: any"`
	DHTBootstrap HostPorts `env:"DHT_BOOTSTRAP" help:"DHT nodes to start from, or none; default: the public routers"`
	SeedPeers    HostPorts `env:"SEED_PEERS" help:"peers to connect to in any case, such as the producer"`
	AllowPrivate bool      `env:"ALLOW_PRIVATE" envDefault:"false" help:"also dial private and loopback addresses learned from others (tests, closed networks)"`
}

// Process says where a process keeps its state and how it is watched.
type Process struct {
	DataDir     string       `env:"DATA_DIR" envDefault:"data" group:"Process" value:"DIR" help:"everything this process keeps: snapshots, state, caches"`
	MetricsAddr OptionalAddr `env:"METRICS_ADDR" envDefault:"none" help:"where /metrics, /livez and /readyz are served, such as :9090"`
	LogLevel    LogLevel     `env:"LOG_LEVEL" envDefault:"info" value:"LEVEL" help:"debug, info, warn or error"`
	LogFormat   LogFormat    `env:"LOG_FORMAT" envDefault:"auto" value:"FORMAT" help:"auto, pretty, text or json; auto: pretty on a terminal, else text"`
}
