package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"snapswarm/common/snapshot"
)

const (
	sharedSize = 256 << 20
	originRate = 32 << 20 // bytes per second, over all mirrors
)

// gathering is mirrors, or other clients, that fetch one snapshot at the same time from an origin and from each other.
type gathering struct {
	name    string
	mirrors int
	program sharer // default: mirror
	liars   int    // further peers that claim to have everything
	// What happens to the last mirror when the origin has sent disturbAt of a copy.
	killed, late bool
	slow         bool // the last mirror's uplink is slowUplink
}

const (
	disturbAt  = 0.3
	slowUplink = "512KiB/s"
)

// publication is a published file and the origin that it can be had from.
type publication struct {
	*channel
	origin  *slowOrigin
	torrent *snapshot.Torrent
	path    string // of the torrent's file
	sha256  string
}

// publishShared publishes noise for mirrors.
func (b *bench) publishShared(ctx context.Context, dir string) (*publication, error) {
	size := b.size(sharedSize)
	p := &publication{}
	var err error
	if p.channel, err = b.newChannel(ctx, dir); err != nil {
		return nil, err
	}
	p.close() // the slow origin takes its place
	p.origin = newSlowOrigin(p.bucket, swarmFile, originRate)
	if p.url, p.close, err = serveHTTP(ctx, p.origin); err != nil {
		return nil, err
	}
	source := filepath.Join(dir, swarmFile)
	if p.sha256, err = writeData(ctx, source, size, noise()); err != nil {
		return p, err
	}
	publish := b.publish(ctx, p.channel, source, p.url, "none")
	if out, err := publish.CombinedOutput(); err != nil {
		return p, fmt.Errorf("publish: %w: %s", err, tail(string(out)))
	}
	archive, err := p.file(swarmFile)
	if err != nil {
		return p, err
	}
	p.path = archive + ".torrent"
	p.torrent, err = readTorrent(p.path)
	return p, err
}

// member is one mirror of a gathering.
type member struct {
	*server

	program sharer
	dir     string
	command *exec.Cmd
	began   time.Time
	took    time.Duration // 0: not complete
	lost    bool
	sha256  string // expected
}

// complete looks into the output for the end of the download.
func (m *member) complete() bool {
	if m.took == 0 && m.program.complete(m.output.String()) {
		m.took = time.Since(m.began)
	}
	return m.took > 0
}

// gather runs g once. The wall time is that until the last mirror is complete, since its own start.
func (b *bench) gather(ctx context.Context, p *publication, g gathering, dir string) (usage, error) {
	liars, err := startLiars(ctx, p.torrent, g.liars)
	defer func() {
		for _, l := range liars {
			l.close()
		}
	}()
	if err != nil {
		return usage{}, err
	}
	members, err := b.members(ctx, p, g, liars, dir)
	if err != nil {
		return usage{}, err
	}
	p.origin.sent.Store(0)
	meter := startMeter(nil)
	err = b.play(ctx, p, g, members)
	sent := p.origin.sent.Load()
	for _, m := range members {
		if m.server != nil {
			b.stopServer(m.server)
		}
	}
	u := meter.stop().with("copies", float64(sent)/float64(p.torrent.Length))
	if err == nil {
		err = account(&u, members)
	}
	return u, err
}

// account adds up what the members took, and checks what they have got.
func account(u *usage, members []*member) error {
	var errs []error
	u.wall = 0
	for _, m := range members {
		u.cpu += m.cmd.ProcessState.UserTime() + m.cmd.ProcessState.SystemTime()
		u.memory = max(u.memory, peakMemory(m.cmd.ProcessState))
		if !m.lost {
			u.wall = max(u.wall, m.took)
			errs = append(errs, m.check())
		}
	}
	return errors.Join(errs...)
}

// members are the mirrors, not started yet. All of them know all addresses.
func (b *bench) members(ctx context.Context, p *publication, g gathering, liars []*liar, dir string) ([]*member, error) {
	var addrs, others []string
	for range g.mirrors {
		addr, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	for _, l := range liars {
		others = append(others, l.addr())
	}
	members := make([]*member, g.mirrors)
	for i, addr := range addrs {
		peers := slices.Concat(others, addrs[:i], addrs[i+1:])
		m := &member{program: g.program, dir: filepath.Join(dir, strconv.Itoa(i)), sha256: p.sha256}
		if err := os.Mkdir(m.dir, 0o755); err != nil {
			return nil, err
		}
		var err error
		if m.command, err = b.sharer(ctx, g.program, p, m.dir, addr, peers); err != nil {
			return nil, err
		}
		if g.slow && i == g.mirrors-1 {
			m.command.Env = append(m.command.Env, "UPLOAD_LIMIT="+slowUplink)
		}
		members[i] = m
	}
	return members, nil
}

// play starts the members and waits until those that stay are complete.
func (b *bench) play(ctx context.Context, p *publication, g gathering, members []*member) error {
	last := members[len(members)-1]
	for _, m := range members {
		if m == last && g.late {
			continue
		}
		if err := b.enter(m); err != nil {
			return err
		}
	}
	pending := g.killed || g.late
	const patience, pause = 10 * time.Minute, 10 * time.Millisecond
	for deadline := time.Now().Add(patience); pending || !allComplete(members); {
		if pending && float64(p.origin.sent.Load()) >= disturbAt*float64(p.torrent.Length) {
			pending = false
			if err := b.disturb(g, last); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not complete after %v: %s", g.name, patience, tail(last.output.String()))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return nil
}

// disturb kills a mirror, or lets it come.
func (b *bench) disturb(g gathering, m *member) error {
	if g.late {
		return b.enter(m)
	}
	m.lost = true
	return m.cmd.Process.Kill()
}

// allComplete looks at all, so that each gets its own time.
func allComplete(members []*member) bool {
	all := true
	for _, m := range members {
		all = (m.lost || m.complete()) && all
	}
	return all
}

// enter starts a mirror.
func (b *bench) enter(m *member) error {
	var err error
	m.began = time.Now()
	m.server, err = b.start(string(m.program), m.command)
	return err
}

// check compares what a mirror has got with its source.
func (m *member) check() error {
	paths, err := filepath.Glob(filepath.Join(m.dir, m.program.path()))
	if err != nil || len(paths) != 1 {
		return fmt.Errorf("want one file in %s, got %d", m.dir, len(paths))
	}
	return checkData(paths[0], m.sha256)
}
