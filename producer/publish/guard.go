package publish

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// guardScript waits for the end of its standard input, that is, of the process that holds the other end of the pipe, and
// then ends its own process group, itself included. It does not listen to SIGTERM, so as to be there for the second part.
const guardScript = `trap "" TERM; read -r _; kill -TERM 0; sleep 10; kill -KILL 0` // 10: commandGrace

// guard is a process group whose members do not outlive this process, however it ends: after a SIGKILL or a crash nobody
// is left here to stop a command that copies a database, and the next start would begin a second one beside it. The
// kernel's parent-death signal is no replacement: it reaches the shell but not the programs that the shell has started,
// comes when the thread that started them ends, and exists on Linux only.
type guard struct {
	process *exec.Cmd // its leader
	alive   *os.File  // nobody writes to it; it closes with this process
}

func newGuard() (*guard, error) {
	stdin, alive, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guard of the snapshot command: %w", err)
	}
	process := exec.Command("sh", "-c", guardScript, "snapshot-command-guard") //nolint:noctx // released by its owner, after the group was signalled
	process.Env = []string{"PATH=" + os.Getenv("PATH")}
	process.Stdin = stdin
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = process.Start()
	_ = stdin.Close() // the guard has its own
	if err != nil {
		return nil, errors.Join(fmt.Errorf("guard of the snapshot command: %w", err), alive.Close())
	}
	return &guard{process, alive}, nil
}

// member makes a process start in the group.
func (g *guard) member() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pgid: g.process.Process.Pid}
}

// signal sends s to all members.
func (g *guard) signal(s syscall.Signal) error { return syscall.Kill(-g.process.Process.Pid, s) }

// release ends the guard alone. The group must not be signalled after it.
func (g *guard) release() {
	_ = g.process.Process.Kill()
	_ = g.process.Wait() // it was killed
	_ = g.alive.Close()
}
