//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"snapswarm/docker/stack"
)

// readme is a document whose commands are run as they stand there, except for what a reader has to fill in.
type readme struct {
	*world
	file    string
	source  string
	gateway string // its HTTP address
	newest  published
	env     stack.Env
	shims   string
}

// blocks are the fenced shell commands of a document.
var blocks = regexp.MustCompile("(?s)\n```sh\n(.*?\n)```\n")

// TestReadmeCommands runs every command of the READMEs.
func TestReadmeCommands(t *testing.T) {
	for _, file := range []string{"README.md", "producer/README.md", "mirror/README.md", "gateway/README.md"} {
		t.Run(file, func(t *testing.T) {
			r := newReadme(t, file)
			text, err := os.ReadFile(filepath.Join(root, file))
			r.ok(err)
			found := blocks.FindAllSubmatch(text, -1)
			if len(found) == 0 {
				t.Error("there is no command in it")
			}
			for i, block := range found {
				r.run(i+1, string(block[1]))
			}
		})
	}
}

// makeTargets are what a line such as "make demo" names; they take long and are run by themselves.
var makeTargets = regexp.MustCompile(`(?m)^make +([a-z0-9-]+).*$`)

func (r *readme) run(number int, text string) {
	r.t.Helper()
	makefile := r.text(root, "Makefile")
	for _, target := range makeTargets.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(makefile, "\n"+target[1]+":") {
			r.t.Errorf("%s: there is no %q", r.file, target[0])
		}
	}
	script := strings.NewReplacer(r.places(number)...).Replace(makeTargets.ReplaceAllString(text, ""))
	if open := regexp.MustCompile(`\.\.\.|…|my-bucket|\bexample\b`).FindString(script); open != "" {
		r.t.Errorf("%s: command block %d has a place to fill in that this test does not know (%q):\n%s", r.file, number, open, script)
		return
	}
	dir := r.t.TempDir()
	r.ok(os.Symlink(r.shims, filepath.Join(dir, "bin")))
	if e := r.shell(dir, script, r.env); e.code != 0 || strings.Contains(e.stderr, "error") {
		r.t.Errorf("%s: command block %d fails:\n%s\n%s", r.file, number, script, e)
	}
}

// newReadme is a world in which what the documents name exists: a published snapshot, a bucket, a folder of a web server.
func newReadme(t *testing.T, file string) *readme {
	t.Helper()
	for _, program := range []string{"curl", "aria2c", "sha256sum"} {
		need(t, program)
	}
	r := &readme{world: newWorldOf(t, "daily"), file: file, shims: t.TempDir()}
	chain := filepath.Join(t.TempDir(), "chain")
	r.write(chain, random(1, 3<<20), 0o644) // a million bytes are asked for in the middle
	producer, pub := r.produce(chain, stack.Env{"NAME": "chain.zst"})
	r.ok(producer.Ready(r.ctx))
	var err error
	r.gateway, err = stack.FreeAddr(r.ctx)
	r.ok(err)
	r.newest, r.source = pub, r.ledger(100<<10)
	r.env = stack.Env{
		"PATH": r.shims, "DHT_BOOTSTRAP": r.Bootstrap(), "LISTEN_ADDR": "127.0.0.1:0", "ALLOW_PRIVATE": "true",
		"HTTP_ADDR": r.gateway, "BUCKET_URL": r.BucketURL(), "SEED_PEERS": r.SeedPeers(), "LOG_FORMAT": "text",
	}
	if strings.HasPrefix(file, "producer/") {
		r.env["S3_ENDPOINT"] = r.S3.Endpoint // the document's example is on AWS, which needs none
	}
	r.makeShims()
	return r
}

// places are what stands in a command block and what is filled in, in turn. Each block has folders and a bucket of its own.
func (r *readme) places(block int) []string {
	r.t.Helper()
	data, www := r.t.TempDir(), r.t.TempDir()
	web := httptest.NewServer(http.FileServer(http.Dir(www)))
	r.t.Cleanup(web.Close)
	secret := filepath.Join(r.t.TempDir(), "secret")
	r.write(secret, []byte(r.S3.SecretKey+"\n"), 0o600)
	return []string{
		"/var/lib/node/data", r.source, "/var/lib/node/ledger", r.source, "/var/lib/node/copy", filepath.Join(data, "copy"),
		"DATA_DIR=/data", "DATA_DIR=" + filepath.Join(data, "mirror"), "/var/lib/producer", filepath.Join(data, "producer"),
		"/var/lib/gateway", filepath.Join(data, "gateway"), "/srv/www", www, "https://snapshots.example.org", web.URL,
		"s3://my-bucket", fmt.Sprintf("s3://%s/block-%d", r.S3.Bucket, block), "https://s3.example", r.S3.Endpoint, "eu-central-1", r.S3.Region,
		"S3_ACCESS_KEY_ID=...", "S3_ACCESS_KEY_ID=" + r.S3.AccessKey, "S3_SECRET_ACCESS_KEY_FILE=...", "S3_SECRET_ACCESS_KEY_FILE=" + secret,
		"AWS_ACCESS_KEY_ID=...", "AWS_ACCESS_KEY_ID=" + r.S3.AccessKey, "AWS_SECRET_ACCESS_KEY=...", "AWS_SECRET_ACCESS_KEY=" + r.S3.SecretKey,
		"magnet:?xs=urn:btpk:...&s=...", r.Channel.String(), "magnet:?xs=urn:btpk:…&s=…", r.Channel.String(), "CHANNEL=…", "CHANNEL='" + r.Channel.String() + "'",
		"HTTP_ADDR=:8080", "HTTP_ADDR=" + r.gateway, "localhost:8080", r.gateway, "127.0.0.1:8080", r.gateway,
		"20261120T060000Z", r.newest.version(), "latest/FILE", "latest/" + r.newest.file(),
	}
}

// makeShims puts programs into the way that run the real ones, and see to it that one that would run for ever gets ready, and
// ends as asked; the gateway stays until the end, because the next commands want it.
func (r *readme) makeShims() {
	pids := filepath.Join(r.t.TempDir(), "pids")
	for _, name := range []string{"producer", "mirror", "gateway"} {
		ops, err := stack.FreeAddr(r.ctx)
		r.ok(err)
		r.write(filepath.Join(r.shims, name), fmt.Appendf(nil, `#!/bin/sh -eu
case "%[1]s $*" in
*--once*|*--help*|"producer keygen"*|"producer publish"*|"producer status"*) exec %[2]s/%[1]s "$@" ;;
esac
METRICS_ADDR=%[3]s %[2]s/%[1]s "$@" >%[4]s.%[1]s.log 2>&1 &
pid=$!
echo $pid >>%[4]s
tries=0
until curl -sf http://%[3]s/readyz >/dev/null; do
	tries=$((tries + 1))
	kill -0 $pid 2>/dev/null && test $tries -lt 600 || { cat %[4]s.%[1]s.log >&2; exit 1; }
	sleep 0.05
done
test %[1]s != gateway || exit 0
kill -TERM $pid
wait $pid
`, name, bin, ops, pids), 0o755)
	}
	aria2c := need(r.t, "aria2c")
	r.write(filepath.Join(r.shims, "aria2c"), fmt.Appendf(nil, "#!/bin/sh\nexec %s %s \"$@\"\n", aria2c, strings.Join(aria2Alone, " ")), 0o755)
	r.write(filepath.Join(r.shims, "mdb_copy"), []byte("#!/bin/sh\nexec cp -r \"$@\"\n"), 0o755) // LMDB's tool makes a copy of a database
	r.t.Cleanup(func() {
		for line := range strings.Lines(r.text(filepath.Split(pids))) {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				continue
			}
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
	})
}
