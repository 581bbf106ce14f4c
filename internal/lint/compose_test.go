package lint

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// TestCompose loads docker-compose.yml with the parser Docker itself uses and
// checks what a start would trip over.
func TestCompose(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yml", Content: b}},
		Environment: types.Mapping{"BLUETICK_META_APP_SECRET": "x", "BLUETICK_META_VERIFY_TOKEN": "y"},
	})
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
