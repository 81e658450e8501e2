// Package s3test runs a real S3 server inside this process: versitygw over a directory, with signatures, multipart
// uploads, checksums and a bucket that everybody may read, which makes it a webseed. Tests use it where others use a
// fake; the demo uses it as its object storage.
//
// # Two properties of the embedded server to know about
//
// There can be one server per process at a time. A second [Start] fails with [ErrRunning]; [New] waits for its turn.
// Tests that only need separation take different buckets or prefixes of one server.
//
// While it runs, the process's working directory is the server's own (its backend resolves object names relative to
// it); Close changes back. So resolve relative paths before Start, and read testdata before it or with an absolute name.
package s3test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// ErrRunning is what Start returns while another server of this process runs.
var ErrRunning = errors.New("an S3 server runs in this process already, and it allows only one")

// turn is held by the running server. It is the one guard of the process; its buffer is the permission.
var turn = make(chan struct{}, 1) //nolint:gochecknoglobals // mirrors a limit of the embedded server

// Config says where the server keeps its data and how it is reached. Only Dir is required.
type Config struct {
	// Dir holds everything: objects below Dir/data, their metadata below Dir/meta, so that no file system attributes
	// are needed. It is made if missing. A server started again on the same Dir has the same objects.
	Dir string
	// Addr is host:port; a random free port of 127.0.0.1 if empty.
	Addr string
	// AccessKey and SecretKey are the credentials of the one account. If empty, they are those of the last server on
	// Dir, or else random.
	AccessKey string
	// SecretKey belongs to AccessKey.
	SecretKey string
	// Bucket is made at start if missing, readable by everybody; "snapshots" if empty.
	Bucket string
}

// Server is a running S3 server.
type Server struct {
	// Endpoint is http://host:port.
	Endpoint string
	// Region is what clients have to sign for.
	Region string
	// AccessKey and SecretKey are the credentials.
	AccessKey string
	// SecretKey belongs to AccessKey.
	SecretKey string
	// Bucket is the public bucket made at start.
	Bucket string

	addr   string
	cancel context.CancelFunc
	done   chan error
	before string // working directory to return to

	closing sync.Once
	closed  error // what Close returns; set by closing
}

const (
	region       = "us-east-1"
	readyTimeout = 20 * time.Second
	bindAttempts = 10
)

// Start starts a server and returns when it answers and its bucket exists. The server lives until Close, also when ctx
// ends before.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	select {
	case turn <- struct{}{}:
	default:
		return nil, ErrRunning
	}
	s, err := startHolding(ctx, cfg)
	if err != nil {
		<-turn
		return nil, fmt.Errorf("start S3 server: %w", err)
	}
	return s, nil
}

// startHolding is Start with the turn taken.
func startHolding(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	before, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	s, err := cfg.listen(ctx)
	if err == nil {
		s.before = before
		if err = s.AddBucket(ctx, cfg.Bucket); err == nil {
			return s, nil
		}
		err = errors.Join(err, s.stop())
	}
	return nil, errors.Join(err, os.Chdir(before))
}

// complete fills in what is missing and makes the folders.
func (c Config) complete() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("no directory given")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, err
	}
	c.Dir = dir
	if c.Bucket == "" {
		c.Bucket = "snapshots"
	}
	if err := errors.Join(os.MkdirAll(c.data(), 0o755), os.MkdirAll(c.meta(), 0o755)); err != nil {
		return c, err
	}
	return c.withAccount()
}

// withAccount keeps the credentials, because the buckets belong to the account that made them.
func (c Config) withAccount() (Config, error) {
	file := filepath.Join(c.Dir, "account")
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return c, err
	}
	if last := strings.Fields(string(text)); c.AccessKey == "" && c.SecretKey == "" && len(last) == 2 {
		c.AccessKey, c.SecretKey = last[0], last[1]
		return c, nil
	}
	if c.AccessKey == "" {
		c.AccessKey = "AK" + rand.Text()[:18]
	}
	if c.SecretKey == "" {
		c.SecretKey = rand.Text() + rand.Text()[:14]
	}
	return c, os.WriteFile(file, []byte(c.AccessKey+" "+c.SecretKey+"\n"), 0o600) //nolint:gosec // the caller chose the folder
}

func (c Config) data() string { return filepath.Join(c.Dir, "data") }
func (c Config) meta() string { return filepath.Join(c.Dir, "meta") }

// listen starts the server on its address. The embedded server cannot tell which port it got, so a free one is chosen
// first, and another one when somebody was faster.
func (c Config) listen(ctx context.Context) (*Server, error) {
	for attempt := 1; ; attempt++ {
		addr := c.Addr
		if addr == "" {
			var err error
			if addr, err = freeAddr(ctx); err != nil {
				return nil, err
			}
		}
		s, err := c.serve(ctx, addr)
		if err == nil || c.Addr != "" || attempt == bindAttempts || !strings.Contains(err.Error(), "address already in use") {
			return s, err
		}
	}
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// serve runs the gateway in the background and waits until it listens or has failed.
func (c Config) serve(ctx context.Context, addr string) (*Server, error) {
	store, err := meta.NewSideCar(c.meta())
	if err != nil {
		return nil, err
	}
	// SideCarDir stays empty: it only makes the backend print a line.
	backend, err := posix.New(c.data(), store, posix.PosixOpts{CopyObjectThreshold: 5 << 30, ForceNoTmpFile: true})
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		Endpoint: "http://" + addr, Region: region, AccessKey: c.AccessKey, SecretKey: c.SecretKey, Bucket: c.Bucket,
		addr: addr, cancel: cancel, done: make(chan error, 1),
	}
	ready := make(chan struct{})
	go func() { s.done <- embedgw.RunVersityGW(run, backend, c.gateway(addr, func() { close(ready) })) }()
	select {
	case <-ready:
		return s, nil
	case err := <-s.done:
		cancel()
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	case <-time.After(readyTimeout):
		return nil, errors.Join(fmt.Errorf("listen on %s: not ready after %v", addr, readyTimeout), s.stop())
	}
}

// gateway is the embedded server's configuration. Its zero limits are refused or mean "none at all".
func (c Config) gateway(addr string, ready func()) *embedgw.Config {
	return &embedgw.Config{
		RootUserAccess:      c.AccessKey,
		RootUserSecret:      c.SecretKey,
		Region:              region,
		Ports:               []string{addr},
		MaxConnections:      4096,
		MaxRequests:         4096,
		AdminMaxConnections: 16,
		AdminMaxRequests:    16,
		MultipartMaxParts:   10_000,
		Quiet:               true,
		// No KeepAlive: with it, connections of aborted uploads hold the shutdown up for its full ten seconds.
		IAMService: oneAccount{
			auth.NewIAMServiceSingle(auth.Account{Access: c.AccessKey, Secret: c.SecretKey, Role: auth.RoleAdmin}),
		},
		S3Options: []s3api.Option{s3api.WithOnListen(ready)},
	}
}

// oneAccount answers for an unknown key as S3 does. The wrapped service says something of its own, with a status of 404.
type oneAccount struct{ auth.IAMService }

func (o oneAccount) GetUserAccount(access string) (auth.Account, error) {
	account, err := o.IAMService.GetUserAccount(access)
	if err != nil {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return account, nil
}

// AddBucket makes a bucket that everybody may read from; an existing one is made readable.
func (s *Server) AddBucket(ctx context.Context, name string) error {
	client, err := minio.New(s.addr, &minio.Options{
		Creds:        credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region:       s.Region,
		BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return err
	}
	err = client.MakeBucket(ctx, name, minio.MakeBucketOptions{})
	if code := minio.ToErrorResponse(err).Code; err != nil && code != "BucketAlreadyOwnedByYou" {
		return fmt.Errorf("make bucket %s: %w", name, err)
	}
	if err := client.SetBucketPolicy(ctx, name, publicRead(name)); err != nil {
		return fmt.Errorf("make bucket %s public: %w", name, err)
	}
	return nil
}

// publicRead lets everybody get objects, and nothing else.
func publicRead(bucket string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"PublicRead","Effect":"Allow","Principal":"*",`+
		`"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/*"]}]}`, bucket)
}

// PublicURL is the address under which everybody can read the bucket made at start.
func (s *Server) PublicURL() string { return s.Endpoint + "/" + s.Bucket }

// Close stops the server, waits until it is gone, and changes back to the working directory of before. It may be called
// more than once.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.closed = errors.Join(s.stop(), os.Chdir(s.before))
		<-turn
	})
	return s.closed
}

func (s *Server) stop() error {
	s.cancel()
	return <-s.done
}
