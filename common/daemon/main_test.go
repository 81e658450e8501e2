package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"snapswarm/common/daemon"
)

// childMode makes the test binary behave as the small command of testCommand, so that signals and exit codes are those
// of a real process.
const childMode = "DAEMON_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childMode) != "" {
		cmd := testCommand(&testConfig{})
		cmd.SetOut(os.Stdout)
		daemon.Main(cmd)
	}
	goleak.VerifyTestMain(m)
}

type testConfig struct {
	daemon.Common
	Retain   time.Duration `env:"RETAIN" envDefault:"7d" group:"Test" help:"how long old versions are kept"`
	Cache    daemon.Bytes  `env:"CACHE_SIZE" envDefault:"0" help:"size of the cache"`
	Upload   daemon.Rate   `env:"UPLOAD_LIMIT" group:"Network" help:"limit of the upload"`
	Slots    int           `env:"SLOTS" envDefault:"4" group:"Test" help:"how many at once"`
	Password daemon.Secret `env:"S3_SECRET_ACCESS_KEY" alias:"AWS_SECRET_ACCESS_KEY" help:"secret of the bucket"`
}

func (c *testConfig) Validate() error {
	if c.Slots == 13 {
		return errors.New("SLOTS must not be 13")
	}
	return nil
}

// testCommand prints on stdout what a test waits for.
func testCommand(cfg *testConfig) *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "Does things."}
	serve := &cobra.Command{Use: "serve", Short: "Serve until stopped.", RunE: func(cmd *cobra.Command, _ []string) error {
		cmd.Println("ready")
		<-cmd.Context().Done()
		return daemon.Graceful(cmd.Context(), cmd.Context().Err())
	}}
	once := &cobra.Command{Use: "once", Short: "Do it once.", RunE: func(cmd *cobra.Command, _ []string) error {
		cmd.Println("ready")
		<-cmd.Context().Done()
		return fmt.Errorf("fetch piece 7: %w", cmd.Context().Err())
	}}
	stuck := &cobra.Command{Use: "stuck", Short: "Ignore the first signal.", RunE: func(cmd *cobra.Command, _ []string) error {
		cmd.Println("ready")
		<-cmd.Context().Done()
		cmd.Println("stopping")
		select {}
	}}
	publish := &cobra.Command{
		Use: "publish PATH", Short: "Publish PATH.", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return daemon.WithCode(daemon.ExitSource, fmt.Errorf("read %s: no such file\nnor directory\x1b[31m: check the path", args[0]))
		},
	}
	daemon.AddSettings(serve, cfg)
	root.AddCommand(serve, once, stuck, publish)
	return root
}

func runTool(t *testing.T, args ...string) (code daemon.Exit, stdout, stderr string, cfg testConfig) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(daemon.Interrupt{Signal: "SIGTERM"}) // serve ends at once
	return runToolContext(ctx, args...)
}

func runToolContext(ctx context.Context, args ...string) (code daemon.Exit, stdout, stderr string, cfg testConfig) {
	cmd := testCommand(&cfg)
	var out, errOut bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs(append([]string{}, args...))
	code = daemon.Run(ctx, cmd, &errOut)
	return code, out.String(), errOut.String(), cfg
}

func TestRunSaysWhatWasWrongInOneLine(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		code daemon.Exit
		want string
	}{
		{"error with a code, several lines and escapes", []string{"publish", "x"}, 3, "tool: read x: no such file; nor directory [31m: check the path\n"},
		{"no command", nil, 2, "tool: no command given: one of once, publish, serve, stuck, see tool --help\n"},
		{"unknown command", []string{"pubish"}, 2, "tool: unknown command \"pubish\": one of once, publish, serve, stuck, see tool --help\n"},
		{"unknown flag", []string{"serve", "--colour"}, 2, "tool: unknown flag: --colour: see tool serve --help\n"},
		{"flag without value", []string{"serve", "--slots"}, 2, "tool: flag needs an argument: --slots: see tool serve --help\n"},
		{"too few arguments", []string{"publish"}, 2, "tool: accepts 1 arg(s), received 0: usage: tool publish PATH [flags]\n"},
		{"argument where none belongs", []string{"serve", "now"}, 2, "tool: unexpected argument \"now\": see tool serve --help\n"},
		{"bad duration", []string{"serve", "--retain=soon"}, 2, "tool: --retain \"soon\": want a duration such as \"90s\", \"10m\", \"14d\" or a number of seconds\n"},
		{"bad number", []string{"serve", "--slots=many"}, 2, "tool: --slots \"many\": want a number\n"},
		{"bad level", []string{"serve", "--log-level=loud"}, 2, "tool: --log-level \"loud\": want debug, info, warn or error\n"},
		{"two bad values", []string{"serve", "--slots=99999999999", "--allow-private=maybe"}, 2, "tool: --allow-private \"maybe\": want true or false; --slots \"99999999999\": the number is out of range\n"},
		{"refused by Validate", []string{"serve", "--slots=13"}, 2, "tool: SLOTS must not be 13\n"},
		{"secret on the command line", []string{"serve", "--s3-secret-access-key=hunter2"}, 2, "tool: --s3-secret-access-key: command lines are public: put the secret into S3_SECRET_ACCESS_KEY or a file named by --s3-secret-access-key-file\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, _, stderr, _ := runTool(t, tc.args...)
			if code != tc.code || stderr != tc.want {
				t.Errorf("exit %d, stderr:\n%swant exit %d:\n%s", code, stderr, tc.code, tc.want)
			}
		})
	}
}

func TestRunInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		code daemon.Exit
		want string
	}{
		{"nil is a graceful stop", nil, 0, ""},
		{"cut short", fmt.Errorf("fetch: %w", context.Canceled), 130, "tool: interrupted by SIGTERM\n"},
		{"cut short, with a code", daemon.WithCode(20, fmt.Errorf("fetch: %w", context.Canceled)), 130, "tool: interrupted by SIGTERM\n"},
		{"an error that forgot to wrap", errors.New("use of closed connection"), 130, "tool: interrupted by SIGTERM: use of closed connection\n"},
		{"a real error while stopping", fmt.Errorf("write state: %w", syscall.ENOSPC), 30, "tool: write state: no space left on device: free some space, or choose another DATA_DIR\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(daemon.Interrupt{Signal: "SIGTERM"})
			cmd := &cobra.Command{Use: "tool", RunE: func(*cobra.Command, []string) error { return tc.err }}
			cmd.SetArgs([]string{})
			var stderr bytes.Buffer
			if code := daemon.Run(ctx, cmd, &stderr); code != tc.code || stderr.String() != tc.want {
				t.Errorf("exit %d, %q, want %d, %q", code, stderr.String(), tc.code, tc.want)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _, _ := runTool(t, "--version")
	if code != 0 || !strings.HasPrefix(stdout, "tool ") || !strings.Contains(stdout, "revision") || !strings.Contains(stdout, "go1.") {
		t.Errorf("exit %d, %q", code, stdout)
	}
}

func TestSignals(t *testing.T) {
	for _, tc := range []struct {
		name    string
		command string
		signals []syscall.Signal
		code    int
		want    string // on stderr
	}{
		{"daemon stops well at SIGTERM", "serve", []syscall.Signal{syscall.SIGTERM}, 0, ""},
		{"daemon stops well at SIGINT", "serve", []syscall.Signal{syscall.SIGINT}, 0, ""},
		{"one-shot is interrupted", "once", []syscall.Signal{syscall.SIGINT}, 130, "tool: interrupted by SIGINT\n"},
		{"one-shot is terminated", "once", []syscall.Signal{syscall.SIGTERM}, 130, "tool: interrupted by SIGTERM\n"},
		{"second signal ends at once", "stuck", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, 130, "tool: second signal: stopped at once\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, stderr := signalChild(t, tc.command, tc.signals)
			if code != tc.code || stderr != tc.want {
				t.Errorf("exit %d, stderr %q, want %d, %q", code, stderr, tc.code, tc.want)
			}
		})
	}
}

// signalChild runs a command as a process, and sends it one signal after each line that it prints.
func signalChild(t *testing.T, command string, signals []syscall.Signal) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], command)
	cmd.Env = append(os.Environ(), childMode+"=1")
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for _, s := range signals {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.Copy(io.Discard, lines)
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), errOut.String()
}
