package archive

import (
	"fmt"
	"io"
	"runtime"
)

// Sizes of the format, in bytes of raw data unless said otherwise.
const (
	DefaultChunk = 4 << 20  // raw bytes per frame; see the package doc for the figures
	MinChunk     = 4 << 10  // one page; chunks are multiples of it
	MaxChunk     = 16 << 20 // what a reader must be ready to hold per frame
	MaxFrames    = 4 << 20  // 16 TiB at the default chunk; bounds the table that a reader holds to 32 MiB
	MaxEntries   = 1 << 20  // files and directories of one tree; bounds the plan of a source
)

// memoryBudget is what the buffers of one Write or Extract may take. Go's collector may let the heap grow to twice of it,
// which keeps a process under 512 MiB with room for everything else.
const memoryBudget = 192 << 20

// The chunks that a Write has beyond that, so that a disk that stops for a moment stops no encoder.
const (
	slackChunks = 2
	slackMemory = 16 << 20 // at most, raw and packed side
)

// Level says how hard the encoder tries. The names are the ones that klauspost/compress records.
type Level string

// The levels. See the package doc for what each costs and saves.
const (
	Fastest      Level = "fastest"
	Balanced     Level = "default" // about zstd -3
	Better       Level = "better"  // about zstd -7
	Best         Level = "best"
	DefaultLevel       = Better
)

// ParseLevel returns the level of that name; the empty name is DefaultLevel.
func ParseLevel(name string) (Level, error) {
	switch l := Level(name); l {
	case "":
		return DefaultLevel, nil
	case Fastest, Balanced, Better, Best:
		return l, nil
	}
	return "", fmt.Errorf("compression level %q: want fastest, default, better or best", name)
}

// Options of Write and Copy. The zero value is the recommended one. Workers, Also and Progress never change the bytes.
type Options struct {
	ChunkSize int64 // raw bytes per frame, a multiple of MinChunk up to MaxChunk; 0 = DefaultChunk
	Level     Level // "" = DefaultLevel
	Workers   int   // encoders at once; 0 = one per core. Fewer run where more would exceed the memory bound.

	// Also, if not nil, gets the same bytes as the writer, in order, from a goroutine of its own: a hash beside a file. Its
	// first error ends what it gets, and is returned in the end.
	Also io.Writer

	// Progress, if not nil, is called after every chunk, never at once from two goroutines, with raw bytes packed and
	// archive bytes written so far. It must return quickly.
	Progress func(raw, written int64)
}

// Result describes what was written.
type Result struct {
	Size, RawSize     int64 // bytes of the archive and of what is inside
	SHA256, RawSHA256 [32]byte
	Chunk             int64  // raw bytes per frame; 0 from Copy
	Encoder           string // see Encoder; empty from Copy
	Level             string // empty from Copy
}

func (o Options) withDefaults() (Options, error) {
	if o.ChunkSize == 0 {
		o.ChunkSize = DefaultChunk
	}
	if o.ChunkSize < MinChunk || o.ChunkSize > MaxChunk || o.ChunkSize%MinChunk != 0 {
		return o, fmt.Errorf("chunk of %d bytes: want a multiple of %d up to %d", o.ChunkSize, MinChunk, MaxChunk)
	}
	var err error
	if o.Level, err = ParseLevel(string(o.Level)); err != nil {
		return o, err
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	o.Workers = boundWorkers(o.Workers, encoderMemory(o.Level, o.ChunkSize)+jobMemory(o.ChunkSize))
	return o, nil
}

// boundWorkers is the number of workers asked for (0 = one per core), as far as the memory budget goes.
func boundWorkers(asked int, perWorker int64) int {
	if asked <= 0 {
		asked = runtime.GOMAXPROCS(0)
	}
	return max(1, min(asked, int(memoryBudget/perWorker)))
}

// jobsFor is how many chunks are in flight: some spare ones let workers go on while the output or the input is slow.
func jobsFor(workers int) int { return workers + workers/2 + 1 }

// jobMemory is what the chunks in flight cost per worker: raw and packed side of one and a half jobs.
func jobMemory(chunk int64) int64 { return 3 * chunk }
