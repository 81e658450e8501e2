package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	gatewaySize    = 1 << 30
	gatewayReaders = 8
)

//go:embed nginx.conf
var nginxConf string

// measureGateway compares our HTTP server with nginx; both serve the same complete file.
func measureGateway(ctx context.Context, b *bench, dir string) (section, error) {
	if unlessInstalled("curl") != "" {
		return section{title: "gateway", notes: []string{"curl is not installed."}}, nil
	}
	g, err := b.startGateway(ctx, dir, b.size(gatewaySize))
	if err != nil {
		return section{}, err
	}
	noNginx := unlessInstalled("nginx")
	nginx := ""
	if noNginx == "" {
		if nginx, err = b.startNginx(ctx, dir, g.path); err != nil {
			return section{}, err
		}
	}
	results, err := b.compare(ctx, 4*b.rounds-1, []contestant{
		{name: "gateway, whole file", run: b.curl(g.url, g.size, 1)},
		{name: "nginx, whole file", missing: noNginx, run: b.curl(nginx, g.size, 1)},
		{name: fmt.Sprintf("gateway, %d ranges at once", gatewayReaders), run: b.curl(g.url, g.size, gatewayReaders)},
		{name: fmt.Sprintf("nginx, %d ranges at once", gatewayReaders), missing: noNginx, run: b.curl(nginx, g.size, gatewayReaders)},
	})
	if err != nil {
		return section{}, err
	}
	bodies, traced := b.traceWrites(ctx, g, dir)
	return section{
		title: fmt.Sprintf("gateway: %d MiB that is complete, from the page cache, with curl", g.size>>20),
		notes: []string{
			"nginx sends the gateway's own file with sendfile. CPU s is that of curl, server CPU s that of the server, for one whole file; which of the",
			"two the kernel charges for a packet on the loopback interface is partly chance, so that their sum is the better figure.",
			fmt.Sprintf("The gateway's peak memory since its start was %s.", orUnknown(g.server.memory())),
		},
		table: tabulate(results, standard(g.size, figure("server CPU s", "%.3f", serverSeconds))),
		bars: []bar{
			beside("wall time of the gateway, of nginx: whole file", results[0], results[1], wallSeconds),
			beside("wall time, ranges", results[2], results[3], wallSeconds),
			beside("server's CPU time, whole file", results[0], results[1], serverSeconds),
			beside("server's CPU time, ranges", results[2], results[3], serverSeconds),
			beside("both sides' CPU time, whole file", results[0], results[1], bothSeconds),
			beside("both sides' CPU time, ranges", results[2], results[3], bothSeconds),
			bodies,
		},
		after: traced,
	}, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// served is a gateway that has a complete file.
type served struct {
	server *server
	url    string // of the file
	path   string // where it lies
	size   int64
	sha256 string
}

// startGateway lets a gateway fetch a file from a seed, which then goes away.
func (b *bench) startGateway(ctx context.Context, dir string, size int64) (*served, error) {
	s, err := b.startSeed(ctx, dir, size)
	if s != nil {
		defer s.close()
	}
	if err != nil {
		return nil, err
	}
	addr, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	g := &served{size: size, sha256: s.sha256, url: "http://" + addr + "/" + salt + "/" + filepath.Base(filepath.Dir(s.torrent)) + "/" + swarmFile}
	data := filepath.Join(dir, "gateway")
	g.path = filepath.Join(data, salt, filepath.Base(filepath.Dir(s.torrent)), swarmFile)
	g.server, err = b.serve(ctx, "gateway", addr, b.command(ctx, map[string]string{
		"CHANNEL": s.link, "BUCKET_URL": s.url, "SEED_PEERS": s.addr, "ORIGIN_POLICY": "never", "DATA_DIR": data,
		"LISTEN_ADDR": "127.0.0.1:0", "HTTP_ADDR": addr,
	}, b.program("gateway")))
	if err != nil {
		return nil, err
	}
	known := func() bool { return found(ctx, g.url) }
	if err := g.server.await(ctx, "does not know the snapshot", known); err != nil {
		return nil, err
	}
	b.logf("the gateway fetches the file")
	out := filepath.Join(dir, "check")
	if err := b.command(ctx, nil, "curl", "-sSf", "-o", out, g.url).Run(); err != nil {
		return nil, fmt.Errorf("curl %s: %w", g.url, err)
	}
	b.stopServer(b.servers[0]) // the seed: what is measured now is the gateway alone
	return g, errors.Join(checkData(out, s.sha256), checkData(g.path, s.sha256), os.Remove(out), os.RemoveAll(s.data))
}

// found reports whether a HEAD request is answered with success.
func found(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, url, http.NoBody)
	if err != nil {
		return false
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// startNginx serves the file at path; it returns its URL.
func (b *bench) startNginx(ctx context.Context, dir, path string) (string, error) {
	addr, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	user := ""
	if os.Geteuid() == 0 { // its workers would become nobody, who may not enter the temporary folder
		user = "user root;"
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("@USER@", user, "@DIR@", dir, "@ADDR@", addr, "@ROOT@", filepath.Dir(path)).Replace(nginxConf)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", err
	}
	_, err = b.serve(ctx, "nginx", addr, b.command(ctx, nil, "nginx", "-p", dir, "-c", conf, "-e", filepath.Join(dir, "nginx.log")))
	return "http://" + addr + "/" + filepath.Base(path), err
}

// curl reads the file once, in as many ranges at once as there are readers. Its bytes are counted, not hashed: at this rate the
// hash would be what is measured.
func (b *bench) curl(url string, size, readers int64) func(context.Context, string) (usage, error) {
	return func(ctx context.Context, _ string) (usage, error) {
		var commands []*exec.Cmd
		for i := range readers {
			args := []string{"-sSf", "-o", os.DevNull, "-w", "%{size_download}\n", url}
			if readers > 1 {
				args = append(args, "-r", fmt.Sprintf("%d-%d", size*i/readers, size*(i+1)/readers-1))
			}
			commands = append(commands, b.command(ctx, nil, "curl", args...))
		}
		u, err := b.measure(commands...)
		if err != nil {
			return u, err
		}
		var got int64
		for line := range strings.FieldsSeq(string(u.stdout)) {
			n, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				return u, err
			}
			got += n
		}
		if got != size {
			err = fmt.Errorf("%d of %d bytes came", got, size)
		}
		return u, err
	}
}

// beside is a ratio that is shown.
func beside(what string, r, base result, m metric) bar {
	if all := r.ratios(base, m); len(all) > 0 {
		return bar{what: what, measured: fmt.Sprintf("%.2f x", median(all))}
	}
	return bar{what: what, measured: "not measured"}
}
