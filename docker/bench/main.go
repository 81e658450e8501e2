package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measurement is one part of the report.
type measurement struct {
	name string
	with string // another name that chooses it, too
	// run may use the empty folder dir, which is removed afterwards, as the servers are stopped that it has started.
	run func(ctx context.Context, b *bench, dir string) (section, error)
}

// measurements are all there are, in the order of the report.
func measurements() []measurement {
	return []measurement{
		{name: "publish", run: measurePublish},
		{name: "swarm", run: measureSwarm},
		{name: "mirrors", with: "swarm", run: measureShared},
		{name: "crowd", run: measureCrowd},
		{name: "gateway", run: measureGateway},
		{name: "pointer", run: measurePointer},
		{name: "restart", run: measureRestart},
		{name: "resume", run: measureResume},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds   int
	scale    float64
	patience time.Duration
	dir      string
	bin      string
	only     string
	plot     string
	names    []string
}

func run(ctx context.Context, out, log io.Writer) error {
	o, err := parse()
	if len(o.names) == 2 && (o.names[0] == encodeAlone || o.names[0] == encodeHash) {
		return runEncode(o.names[1], o.names[0] == encodeHash, out)
	}
	if len(o.names) > 0 && o.names[0] == adoptHuge {
		return runAdopt(ctx, o.names[1:])
	}
	if len(o.names) > 0 && o.names[0] == webseedClient {
		return runWebseed(ctx, o.names[1:], out)
	}
	if err == nil {
		err = o.check()
	}
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, log)
	if err != nil {
		return err
	}
	defer b.close()
	report := newReport(ctx)
	for _, m := range measurements() {
		if !slices.Contains(o.names, m.name) && !slices.Contains(o.names, m.with) {
			continue
		}
		s, err := b.run(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		report.sections = append(report.sections, s)
	}
	return report.write(out)
}

// parse reads the command line.
func parse() (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: bench [flags] [measurement...]\nMeasurements: %s; default all\n", strings.Join(names(), ", "))
		f.PrintDefaults()
	}
	f.IntVar(&o.rounds, "rounds", 3, "how often each program runs, or more where a run is short")
	f.Float64Var(&o.scale, "scale", 1, "size of the data as a part of the full size, for which the bars are set")
	f.DurationVar(&o.patience, "patience", 5*time.Minute, "how long to wait for a quiet machine and to repeat disturbed runs, in all")
	f.StringVar(&o.dir, "dir", "", "folder for temporary data (default: the system's)")
	f.StringVar(&o.bin, "bin", "", "folder with the programs producer, mirror and gateway (default: they are built)")
	f.StringVar(&o.only, "only", "", "regular expression of the rows to measure, where a measurement has many (default: all)")
	f.StringVar(&o.plot, "plot", "", "file for the picture of the crowd measurement, an SVG")
	err := f.Parse(os.Args[1:])
	o.names = f.Args()
	return o, err
}

// names are those of all measurements.
func names() []string {
	var all []string
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

// check refuses what cannot be measured, and fills in what is the default.
func (o *options) check() error {
	all := names()
	if len(o.names) == 0 {
		o.names = all
	}
	for _, name := range o.names {
		if !slices.Contains(all, name) {
			return fmt.Errorf("no measurement is named %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	if o.rounds < 1 || o.scale <= 0 || o.scale > 1 {
		return errors.New("want at least one round and a scale above 0, at most 1")
	}
	return nil
}

// bench is what the measurements share.
type bench struct {
	options
	work    string // the temporary folder
	log     io.Writer
	began   time.Time
	servers []*server // that run now
}

// newBench makes the temporary folder and builds the programs into it. The caller closes the bench.
func newBench(ctx context.Context, o options, log io.Writer) (b *bench, err error) {
	b = &bench{options: o, log: log, began: time.Now()}
	if b.work, err = os.MkdirTemp(o.dir, "snapswarm-bench-"); err != nil {
		return nil, err
	}
	if b.work, err = filepath.Abs(b.work); err != nil {
		return nil, err
	}
	if b.bin == "" {
		b.bin = filepath.Join(b.work, "bin")
		err = b.build(ctx)
	} else {
		b.bin, err = filepath.Abs(b.bin)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// run does one measurement.
func (b *bench) run(ctx context.Context, m measurement) (s section, err error) {
	b.logf("== %s", m.name)
	dir, err := b.folder(m.name)
	if err != nil {
		return section{}, err
	}
	defer func() {
		b.stopServers()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	return m.run(ctx, b, dir)
}

// build makes the programs as make build does.
func (b *bench) build(ctx context.Context) error {
	b.logf("building")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.bin+"/", "snapswarm/producer", "snapswarm/mirror", "snapswarm/gateway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// close ends what runs and removes all data.
func (b *bench) close() {
	b.stopServers()
	if err := os.RemoveAll(b.work); err != nil {
		b.logf("remove the temporary data: %v", err)
	}
}

// folder makes a new folder below the temporary one.
func (b *bench) folder(pattern string) (string, error) { return os.MkdirTemp(b.work, pattern+"-") }

// program is the path of one of ours.
func (b *bench) program(name string) string { return filepath.Join(b.bin, name) }

// size scales the full size of some data.
func (b *bench) size(full int64) int64 { return max(1<<20, int64(float64(full)*b.scale)) }

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.log, "%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}
