package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds the three binaries of the module that the working directory is in, as "make build" does, and returns
// the folder that they lie in: bin at the top of the module.
func Build(ctx context.Context) (bin string, err error) {
	out, err := run(ctx, "", "go", "env", "GOMOD")
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	mod := strings.TrimSpace(out)
	if mod == "" || mod == os.DevNull {
		return "", errors.New("find the module: the working directory is in none; run this in the checkout")
	}
	root := filepath.Dir(mod)
	bin = filepath.Join(root, "bin")
	if _, err := run(ctx, root, "go", "build", "-trimpath", "-o", bin+string(filepath.Separator), "./producer", "./mirror", "./gateway"); err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	return bin, nil
}

// run returns the standard output of a command; its error has what it wrote to stderr.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
