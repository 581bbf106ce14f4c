package lint

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// compose loads docker-compose.yml with a password for ClickHouse and env.
func compose(t *testing.T, env types.Mapping) (*types.Project, error) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	all := types.Mapping{"BLUETICK_META_APP_SECRET": "x", "BLUETICK_META_VERIFY_TOKEN": "y", "CLICKHOUSE_PASSWORD": "from the environment"}
	maps.Copy(all, env)
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yml", Content: b}},
		Environment: all,
	})
}

// TestComposeIsHardened: a part that is broken into, leaks memory or hangs must
// not take the machine or the others with it.
func TestComposeIsHardened(t *testing.T) {
	project, err := compose(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range project.Services {
		if s.MemLimit <= 0 {
			t.Errorf("%s has no memory limit", name)
		}
		if s.PidsLimit <= 0 {
			t.Errorf("%s may start any number of threads", name)
		}
		if len(s.CapDrop) != 1 || s.CapDrop[0] != "ALL" {
			t.Errorf("%s keeps capabilities: drops %v", name, s.CapDrop)
		}
		for _, c := range s.CapAdd {
			if !strings.Contains(" CHOWN DAC_OVERRIDE FOWNER SETGID SETUID ", " "+c+" ") || name != "clickhouse" {
				t.Errorf("%s gets the capability %s", name, c)
			}
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges: %v", name, s.SecurityOpt)
		}
		if s.HealthCheck == nil || len(s.HealthCheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s: restart %q", name, s.Restart)
		}
		if s.Privileged || s.NetworkMode == "host" || s.Pid == "host" {
			t.Errorf("%s shares the host's namespaces", name)
		}
	}
}

// TestComposePassword: there is no password that everybody knows.
func TestComposePassword(t *testing.T) {
	if _, err := compose(t, types.Mapping{"CLICKHOUSE_PASSWORD": ""}); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("without a password: %v", err)
	}
	const password = "p0"
	project, err := compose(t, types.Mapping{"CLICKHOUSE_PASSWORD": password})
	if err != nil {
		t.Fatal(err)
	}
	if got := project.Services["clickhouse"].Environment["CLICKHOUSE_PASSWORD"]; got == nil || *got != password {
		t.Errorf("ClickHouse gets %v", got)
	}
	if got := project.Services["bluetick"].Environment["BLUETICK_CLICKHOUSE_DSN"]; got == nil || !strings.Contains(*got, ":"+password+"@") {
		t.Errorf("bluetick gets %v", got)
	}
}

// TestCompose loads docker-compose.yml with the parser Docker itself uses and
// checks what a start would trip over.
func TestCompose(t *testing.T) {
	project, err := compose(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafka", "clickhouse", "bluetick"} {
		s, err := project.GetService(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Image == "" && s.Build == nil {
			t.Errorf("%s has neither image nor build", name)
		}
		if s.Image != "" && (!strings.Contains(s.Image, ":") || strings.HasSuffix(s.Image, ":latest")) {
			t.Errorf("%s: image %q is not pinned", name, s.Image)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s on %q, want loopback", name, p.Published, p.HostIP)
			}
		}
		for dependency, how := range s.DependsOn {
			d, err := project.GetService(dependency)
			if err != nil || how.Condition == types.ServiceConditionHealthy && d.HealthCheck == nil {
				t.Errorf("%s waits for the health of %s, which has no check: %v", name, dependency, err)
			}
		}
	}
	bluetick := project.Services["bluetick"]
	if !strings.Contains(bluetick.Build.DockerfileInline, "./cmd/bluetick") {
		t.Error("the image does not build ./cmd/bluetick")
	}
	if !strings.Contains(bluetick.Build.DockerfileInline, "ca-certificates") {
		t.Error("the image trusts no authority: alert webhooks over https would fail")
	}
	if check := strings.Join(project.Services["clickhouse"].HealthCheck.Test, " "); !strings.Contains(check, "--user") {
		t.Errorf("the health check of clickhouse asks as a user that the image removes: %s", check)
	}
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"data", ".git", "**/node_modules"} {
		if !strings.Contains("\n"+string(ignored), "\n"+path+"\n") {
			t.Errorf("%s would be copied into the image's build", path)
		}
	}
}
