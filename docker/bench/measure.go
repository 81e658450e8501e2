package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// usage is what one run of a program took.
type usage struct {
	wall   time.Duration
	cpu    time.Duration // of the processes that were measured
	server time.Duration // CPU time of the servers they used meanwhile
	memory int64         // the largest process's peak, in bytes
	others float64       // what everybody else took of the machine, 0 to 1; negative: unknown
	stdout []byte
	stderr []byte
	detail map[string]float64 // figures that only one program has
}

// disturbed is the part of the machine that others may take during a run.
const disturbed = 0.1

// contestant is a program in a comparison.
type contestant struct {
	name    string
	missing string // the program that would have to be installed, empty if all is there
	writes  int64  // about how many bytes it writes
	// run does the work once. dir is empty, and removed afterwards.
	run func(ctx context.Context, dir string) (usage, error)
}

// result is what was measured of a contestant.
type result struct {
	name    string
	missing string  // a program that is not installed; then there are no runs
	runs    []usage // one for each round
}

// compare lets the contestants take turns.
func (b *bench) compare(ctx context.Context, rounds int, contestants []contestant) ([]result, error) {
	results := make([]result, len(contestants))
	for i, c := range contestants {
		results[i] = result{name: c.name, missing: c.missing}
	}
	for round := range rounds {
		for i, c := range contestants {
			if results[i].missing != "" {
				continue
			}
			u, err := b.undisturbed(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			b.logf("round %d of %d  %-28s %6.2f s, CPU %.2f s, others %.0f %%", round+1, rounds, c.name, u.wall.Seconds(), u.cpu.Seconds(), 100*u.others)
			results[i].runs = append(results[i].runs, u)
		}
	}
	return results, nil
}

// undisturbed repeats a run that others got in the way of, and returns the one that they disturbed least. What the run itself
// took plays no part in that choice.
func (b *bench) undisturbed(ctx context.Context, c contestant) (best usage, err error) {
	const tries = 3
	for try := range tries {
		began := time.Now()
		u, err := b.once(ctx, c)
		if err != nil {
			return usage{}, err
		}
		if try == 0 || u.others < best.others {
			best = u
		}
		if best.others <= disturbed || b.patience <= 0 {
			break
		}
		b.patience -= time.Since(began)
	}
	return best, nil
}

func (b *bench) once(ctx context.Context, c contestant) (u usage, err error) {
	dir, err := b.folder("run")
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	syscall.Sync() // what the run before has written must not be paid for by this one
	if err := prefault(dir, c.writes); err != nil {
		return usage{}, err
	}
	if err := b.quiet(ctx); err != nil {
		return usage{}, err
	}
	return c.run(ctx, dir)
}

// prefault uses memory once for every byte of c's output. In a virtual machine memory that the host has yet to provide costs
// some milliseconds for each MiB when it is used first, ten times what it takes to write the same bytes into memory that is
// there; which of the contestants has to pay would be chance. The bytes never reach the disk.
func prefault(dir string, size int64) (err error) {
	f, err := os.Create(filepath.Join(dir, "prefault"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// quiet waits until most of the machine is idle, for some time and while there is patience.
func (b *bench) quiet(ctx context.Context) error {
	const look, most = 500 * time.Millisecond, 20 * time.Second
	for deadline := time.Now().Add(min(most, b.patience)); time.Now().Before(deadline); b.patience -= look {
		m := startMeter(nil)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(look):
		}
		if m.stop().others <= disturbed {
			return nil
		}
	}
	return ctx.Err()
}

// unlessInstalled is the program's name if it is missing, else empty.
func unlessInstalled(program string) string {
	if _, err := exec.LookPath(program); err != nil {
		return program
	}
	return ""
}

// measure runs the commands, all at once, until the last of them has ended.
func (b *bench) measure(commands ...*exec.Cmd) (usage, error) {
	type output struct{ stdout, stderr bytes.Buffer }
	outputs := make([]output, len(commands))
	m := startMeter(b.servers)
	var errs []error
	started := 0
	for i, cmd := range commands {
		cmd.Stdout, cmd.Stderr = &outputs[i].stdout, &outputs[i].stderr
		if err := cmd.Start(); err != nil {
			errs = append(errs, err)
			break
		}
		started++
	}
	for i, cmd := range commands[:started] {
		if err := cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w: %s", cmd.Args[0], err, tail(outputs[i].stderr.String()+outputs[i].stdout.String())))
		}
	}
	u := m.stop()
	for i, cmd := range commands[:started] {
		u.stdout = append(u.stdout, outputs[i].stdout.Bytes()...)
		u.stderr = append(u.stderr, outputs[i].stderr.Bytes()...)
		u.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		u.memory = max(u.memory, peakMemory(cmd.ProcessState))
	}
	return u, errors.Join(errs...)
}

func tail(s string) string {
	const most = 2000
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-most):]
}

// peakMemory is what wait4 said, in bytes.
func peakMemory(s *os.ProcessState) int64 {
	ru, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return ru.Maxrss
	}
	return ru.Maxrss * 1024
}

// meter watches the machine during a run.
type meter struct {
	servers []*server
	began   time.Time
	server  time.Duration
	busy    time.Duration
	ours    time.Duration
	known   bool
}

func startMeter(servers []*server) *meter {
	m := &meter{servers: servers, server: cpuOf(servers), ours: ownCPU()}
	m.busy, m.known = busyTime()
	m.began = time.Now()
	return m
}

// stop returns wall time, the servers' CPU time and what others took. The children that are measured have been waited for.
func (m *meter) stop() usage {
	u := usage{wall: time.Since(m.began), server: cpuOf(m.servers) - m.server, others: -1}
	if busy, ok := busyTime(); ok && m.known && u.wall > 0 {
		others := busy - m.busy - (ownCPU() - m.ours) - u.server
		u.others = max(0, others.Seconds()/u.wall.Seconds()/float64(runtime.NumCPU()))
	}
	return u
}

// ownCPU is the CPU time of this process and of the children that have ended.
func ownCPU() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var ru syscall.Rusage
		if err := syscall.Getrusage(who, &ru); err == nil {
			total += time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		}
	}
	return total
}
