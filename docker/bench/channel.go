package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// salt is the short name of the channels that are made here.
const salt = "bench"

// channel is a new channel whose bucket is a directory behind a web server.
type channel struct {
	link   string
	key    string // file
	bucket string // folder
	data   string // the producer's own folder
	url    string // of the bucket
	close  func()
}

// newChannel makes a key, a bucket and its web server below dir.
func (b *bench) newChannel(ctx context.Context, dir string) (*channel, error) {
	ch := &channel{key: filepath.Join(dir, "key"), bucket: filepath.Join(dir, "bucket"), data: filepath.Join(dir, "data")}
	if err := os.MkdirAll(ch.bucket, 0o755); err != nil {
		return nil, err
	}
	out, err := b.command(ctx, nil, b.program("producer"), "keygen", "--out", ch.key, "--dht-salt", salt).Output()
	if err != nil {
		return nil, fmt.Errorf("keygen: %w", err)
	}
	ch.link = strings.TrimSpace(string(out))
	ch.url, ch.close, err = serveHTTP(ctx, http.FileServer(http.Dir(ch.bucket)))
	return ch, err
}

// publish is the command that publishes path on the channel. Without an address of the bucket, only peers have the data.
func (b *bench) publish(ctx context.Context, ch *channel, path, publicURL, compression string) *exec.Cmd {
	return b.command(ctx, map[string]string{
		"AUTHORITY_KEY_FILE": ch.key, "DHT_SALT": salt, "BUCKET": "file://" + ch.bucket, "PUBLIC_URL": publicURL,
		"DATA_DIR": ch.data, "COMPRESSION": compression, "LISTEN_ADDR": "127.0.0.1:0",
	}, b.program("producer"), "publish", path)
}

// files are the paths that match a pattern below the channel's only version.
func (c *channel) file(name string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(c.bucket, salt, "2*", name))
	if err != nil || len(paths) != 1 {
		return "", fmt.Errorf("want one version with %s in %s, got %d", name, c.bucket, len(paths))
	}
	return paths[0], nil
}

// command is one of ours or a foreign program in an environment that holds nothing but these settings, so that the user's
// own do not leak in. The public DHT is never asked.
func (b *bench) command(ctx context.Context, settings map[string]string, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.work, "TMPDIR=" + b.work, "LC_ALL=C.UTF-8",
		"DHT_BOOTSTRAP=none", "ALLOW_PRIVATE=true", "LOG_FORMAT=json",
	}
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Dir = b.work
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// serveHTTP runs a web server in this process.
func serveHTTP(ctx context.Context, h http.Handler) (url string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // returns when it is closed
	}()
	return "http://" + l.Addr().String(), func() {
		_ = server.Close() // nobody reads any more
		<-done
	}, nil
}
