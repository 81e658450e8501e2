//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"snapswarm/docker/stack"
)

// publisherEnv are the settings of a producer that is run by a shell.
func (w *world) publisherEnv() stack.Env {
	return stack.Env{
		"AUTHORITY_KEY_FILE": w.KeyFile, "DHT_SALT": w.Channel.Salt,
		"BUCKET": "s3://" + w.S3.Bucket, "S3_ENDPOINT": w.S3.Endpoint, "S3_REGION": w.S3.Region,
		"S3_ACCESS_KEY_ID": w.S3.AccessKey, "S3_SECRET_ACCESS_KEY": w.S3.SecretKey,
		"DHT_BOOTSTRAP": w.Bootstrap(), "LISTEN_ADDR": "127.0.0.1:0", "ALLOW_PRIVATE": "true",
	}
}

// shell runs a script in dir, with the commands and everything of env in its environment, and nothing of ours but where
// programs are.
func (w *world) shell(dir, script string, env stack.Env) ended {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, "sh", "-eu", "-c", script)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir}
	for name, value := range env {
		if name == "PATH" {
			value += ":" + bin + ":" + os.Getenv("PATH")
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &stdout, &stderr, time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) || w.ctx.Err() != nil {
		w.t.Fatalf("%s\n%v %v\n%s%s", script, err, context.Cause(w.ctx), stdout.String(), stderr.String())
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
