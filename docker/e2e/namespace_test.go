//go:build e2e

package e2e_test

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Addresses in the namespace besides 127.0.0.1, on its loopback interface. Transmission takes no peer of 127.0.0.0/8 seriously.
const (
	ourIP   = "10.77.0.1"
	theirIP = "10.77.0.2"
)

// Of a test binary that runs in a namespace: it is told so, and where the commands lie.
const namespaceEnv = "SNAPSWARM_E2E_NAMESPACE_BIN"

func inNamespace() bool { return os.Getenv(namespaceEnv) != "" }

// runInNamespace runs the calling test once more, in a namespace whose network is nothing but a loopback interface: no program
// can reach anything from there, whatever its defaults are.
func runInNamespace(t *testing.T) {
	t.Helper()
	unshare, ip := need(t, "unshare"), need(t, "ip")
	flags := []string{"--net", "--pid", "--fork", "--kill-child"} // nothing outlives it
	if os.Getuid() != 0 {
		flags = append(flags, "--map-root-user")
	}
	run := func(script string, args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), unshare, append(append(flags, "--", "sh", "-euc", script, "sh"), args...)...)
	}
	if out, err := run(ip + " link set lo up").CombinedOutput(); err != nil {
		t.Logf("%s", out)
		missing(t, "network namespaces")
	}
	setup := strings.NewReplacer("IP", ip).Replace("IP link set lo up; IP address add " + ourIP + "/24 dev lo; IP address add " + theirIP + `/24 dev lo; exec "$@"`)
	pattern := "^" + t.Name() + "$"
	if _, part, ok := strings.Cut(flag.Lookup("test.run").Value.String(), "/"); ok {
		pattern += "/" + part
	}
	cmd := run(setup, os.Args[0], "-test.run="+pattern, "-test.v=true", "-test.parallel=8", "-test.timeout="+(limit+time.Minute).String())
	cmd.Env = append(os.Environ(), namespaceEnv+"="+bin)
	out, err := cmd.CombinedOutput()
	t.Logf("in the namespace:\n%s", out)
	if err != nil {
		t.Error(err)
	}
}
