package daemon_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/daemon"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSettingsPrecedence(t *testing.T) {
	t.Setenv("RETAIN", "3h")
	t.Setenv("SLOTS", "")                      // empty: the default
	t.Setenv("AWS_SECRET_ACCESS_KEY", "alias") // the other name
	t.Setenv("UPLOAD_LIMIT", "8Mbit/s")
	t.Setenv("DHT_BOOTSTRAP", "none")
	_, _, stderr, cfg := runTool(t, "serve", "--upload-limit", "2MiB", "--channel=a", "--channel=b,c", "--allow-private")
	if stderr != "" {
		t.Fatal(stderr)
	}
	type values struct {
		Retain, Poll time.Duration
		Slots        int
		Upload       daemon.Rate
		Password     string
		Channel      daemon.List
		Bootstrap    daemon.HostPorts
		Seeds        daemon.HostPorts
		Listen       daemon.Addr
		Private      bool
	}
	got := values{cfg.Retain, cfg.PollInterval, cfg.Slots, cfg.Upload, cfg.Password.Reveal(), cfg.Channel, cfg.DHTBootstrap, cfg.SeedPeers, cfg.ListenAddr, cfg.AllowPrivate}
	want := values{3 * time.Hour, 10 * time.Minute, 4, 2 << 20, "alias", daemon.List{"a", "b", "c"}, daemon.HostPorts{}, nil, ":6881", true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestSettingsFromEnvironmentAreCheckedAndNamed(t *testing.T) {
	var cfg testConfig
	err := daemon.Load(&cfg, map[string]string{"POLL_INTERVAL": "often", "METRICS_ADDR": "9090"})
	want := `METRICS_ADDR "9090": want an address such as "127.0.0.1:8080" or ":8080", or "none"`
	if daemon.ExitOf(err) != daemon.ExitUsage || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `POLL_INTERVAL "often"`) {
		t.Errorf("Load = %v, want exit 2 and %s", err, want)
	}
}

func TestRequiredSetting(t *testing.T) {
	var cfg struct {
		Bucket string `env:"BUCKET,required" help:"where to write"`
	}
	err := daemon.Load(&cfg, nil)
	if want := "BUCKET is not set: give it in the environment or as --bucket"; err == nil || err.Error() != want {
		t.Errorf("Load = %v, want %s", err, want)
	}
}

func TestLoadWithoutEnvironmentIgnoresThatOfTheProcess(t *testing.T) {
	t.Setenv("SLOTS", "9")
	var cfg testConfig
	if err := daemon.Load(&cfg, nil); err != nil || cfg.Slots != 4 {
		t.Errorf("Slots = %d, %v, want the default 4", cfg.Slots, err)
	}
}

func TestSecretSources(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty, big := file("good", " from-file \n"), file("empty", "\n"), file("big", strings.Repeat("x", 100<<10))
	for _, tc := range []struct {
		name string
		env  map[string]string
		want string
		err  string
	}{
		{"value", map[string]string{"S3_SECRET_ACCESS_KEY": "direct"}, "direct", ""},
		{"file", map[string]string{"S3_SECRET_ACCESS_KEY_FILE": good}, "from-file", ""},
		{"file before alias", map[string]string{"S3_SECRET_ACCESS_KEY_FILE": good, "AWS_SECRET_ACCESS_KEY": "x"}, "from-file", ""},
		{"both", map[string]string{"S3_SECRET_ACCESS_KEY_FILE": good, "S3_SECRET_ACCESS_KEY": "x"}, "", "keep one"},
		{"missing file", map[string]string{"S3_SECRET_ACCESS_KEY_FILE": dir + "/none"}, "", "no such file"},
		{"empty file", map[string]string{"S3_SECRET_ACCESS_KEY_FILE": empty}, "", "is empty"},
		{"wrong file", map[string]string{"S3_SECRET_ACCESS_KEY_FILE": big}, "", "larger than 64 KiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var cfg testConfig
			err := daemon.Load(&cfg, tc.env)
			if got := cfg.Password.Reveal(); got != tc.want || (err == nil) != (tc.err == "") {
				t.Errorf("secret = %q, %v, want %q", got, err, tc.want)
			}
			if got := cfg.Password.File(); err == nil && got != tc.env["S3_SECRET_ACCESS_KEY_FILE"] {
				t.Errorf("file = %q, want the one in the environment", got)
			}
			if err != nil && (!strings.Contains(err.Error(), tc.err) || daemon.ExitOf(err) != daemon.ExitUsage) {
				t.Errorf("error = %v, want exit 2 and %q", err, tc.err)
			}
		})
	}
	_, _, stderr, cfg := runTool(t, "serve", "--s3-secret-access-key-file", good)
	if stderr != "" || cfg.Password.Reveal() != "from-file" || cfg.Password.File() != good {
		t.Errorf("secret by flag = %q of %q, %s", cfg.Password.Reveal(), cfg.Password.File(), stderr)
	}
}

// allVerbs is a variable, so that go vet does not object to %d.
var allVerbs = "%v %+v %#v %s %q %x %d"

func TestSecretIsNeverShown(t *testing.T) {
	secret := daemon.NewSecret("hunter2")
	type hidden struct{ Key, private daemon.Secret }
	holder := hidden{secret, secret}
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", secret, "config", holder, "pointer", &holder)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", secret, "config", holder, "pointer", &holder)
	for _, text := range []string{
		fmt.Sprint(secret, &secret, holder, &holder), fmt.Sprintf(allVerbs, holder, holder, holder, holder, holder, holder, holder),
		string(encoded), log.String(),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("the secret is shown in %s", text)
		}
		if !strings.Contains(text, "[hidden]") {
			t.Errorf("nothing says that there is a secret in %s", text)
		}
	}
	if got := (daemon.Secret{}).String(); got != "" {
		t.Errorf("empty secret prints %q", got)
	}
}

func TestSettingsRefusesStructsThatCannotBeDocumented(t *testing.T) {
	type nested struct {
		Inner string `env:"INNER" help:"x"`
	}
	for name, cfg := range map[string]any{
		"no help": &struct {
			A string `env:"A"`
		}{},
		"twice": &struct {
			A string `env:"A" help:"x"`
			B string `env:"A" help:"x"`
		}{},
		"nested": &struct{ N nested }{},
	} {
		if _, err := daemon.Settings(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestHelpAndTable(t *testing.T) {
	_, stdout, _, _ := runTool(t, "serve", "--help")
	golden(t, "help.golden", stdout)
	for line := range strings.Lines(stdout) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	_, stdout, _, _ = runTool(t, "--help")
	golden(t, "help-root.golden", stdout)
	table, err := daemon.SettingsTable(&testConfig{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "table.golden", table)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
