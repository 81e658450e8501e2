package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// defaultGrace is how long a process may take after SIGTERM before it is killed.
	defaultGrace = 10 * time.Second
	// pollEvery is the pause between two looks at a process that is not ready.
	pollEvery = 50 * time.Millisecond
	// tailLines are shown of the log of a process that failed.
	tailLines = 15
)

// Process is a running binary of the swarm.
type Process struct {
	// Name is unique in its Stack.
	Name string
	// DataDir is its DATA_DIR.
	DataDir string
	// LogFile has all that it wrote to stdout and stderr.
	LogFile string
	// PeerAddr is where peers and the DHT reach it.
	PeerAddr string
	// OpsURL is the base of /readyz, /livez and /metrics.
	OpsURL string

	grace time.Duration
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended; then err is set
	err   error
}

// ErrExited is wrapped by errors about a process that ended.
var ErrExited = errors.New("process ended")

// launch starts a command whose output goes to its log file and, line by line, to out. Its signals are its own: a
// Ctrl-C at the terminal reaches it through Stop, in order.
func launch(p *Process, cmd *exec.Cmd, out io.Writer) error {
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	both := io.MultiWriter(log, out)
	cmd.Stdout, cmd.Stderr = both, both // one writer, so exec copies in one goroutine
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = p.grace
	p.cmd, p.done = cmd, make(chan struct{})
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.Name, err), log.Close())
	}
	go func() {
		err := cmd.Wait()
		p.err = errors.Join(err, log.Close())
		close(p.done)
	}()
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID is the process's number in the system, also after its end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// ExitCode is the code that the process ended with: -1 while it runs and after a signal.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// ExitError says that a process ended, and why, as far as its last line tells.
type ExitError struct {
	Name    string
	State   string // such as "exit status 1" or "signal: killed"
	Last    string // last line of the log
	LogFile string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended (%s), its last line: %s (more in %s)", e.Name, e.State, strings.TrimSpace(e.Last), e.LogFile)
}

// Unwrap makes it an [ErrExited].
func (e *ExitError) Unwrap() error { return ErrExited }

// Exit waits for the process to end and describes that.
func (p *Process) Exit() *ExitError {
	<-p.done
	return &ExitError{Name: p.Name, State: p.cmd.ProcessState.String(), Last: p.LastLine(), LogFile: p.LogFile}
}

// Wait waits for a process that ends by itself: nil if with code 0, else an [*ExitError].
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.done:
	}
	if p.ExitCode() != 0 {
		return p.Exit()
	}
	return nil
}

// Tail is the end of the log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n  ")
}

// LastLine is the newest whole line of the log, empty if there is none.
func (p *Process) LastLine() string {
	f, err := os.Open(p.LogFile)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	const enough = 4 << 10
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-enough), enough))
	if err != nil {
		return ""
	}
	lines := strings.Split(string(b), "\n")
	return lines[max(0, len(lines)-2)]
}

// Stop asks the process to end, and kills it when that takes too long. One that has ended is no error; one that did not end as
// asked with code 0 is.
func (p *Process) Stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-p.done:
	case <-time.After(p.grace):
		return errors.Join(fmt.Errorf("stop %s: still running after %v, killed", p.Name, p.grace), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("stop %s: %w: %w", p.Name, p.err, p.Exit())
	}
	return nil
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}

// Signal sends a signal and does not wait for what it does.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Pause freezes the process, as a machine that hangs would be.
func (p *Process) Pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Ready waits until the process says at /readyz that it can do its job. It fails when ctx or the process ends before.
func (p *Process) Ready(ctx context.Context) error {
	return p.Until(ctx, "ready", func(ctx context.Context) bool {
		status, _, err := p.get(ctx, "/readyz")
		return err == nil && status == http.StatusOK
	})
}

// Until polls until what is true of the process. It fails when ctx or the process ends before.
func (p *Process) Until(ctx context.Context, what string, is func(context.Context) bool) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !is(ctx) {
		select {
		case <-p.done:
			return fmt.Errorf("wait until %s is %s: %w", p.Name, what, p.Exit())
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is %s: %w; its last line is %q", p.Name, what, context.Cause(ctx), p.LastLine())
		case <-tick.C:
		}
	}
	return nil
}

// Status is what the process says about itself at /readyz?verbose.
func (p *Process) Status(ctx context.Context) (string, error) {
	_, body, err := p.get(ctx, "/readyz?verbose")
	return body, err
}

// Metrics is what the process says at /metrics, in Prometheus' text format.
func (p *Process) Metrics(ctx context.Context) (string, error) {
	_, body, err := p.get(ctx, "/metrics")
	return body, err
}

// maxAnswer is far more than health and metrics need.
const maxAnswer = 8 << 20

func (p *Process) get(ctx context.Context, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.OpsURL+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, string(b), err
}
