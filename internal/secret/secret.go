// Package secret reads what a setting stands for: "env:NAME" is an environment
// variable, "file:PATH" what a file holds, anything else the secret itself. It
// knows no setting, keeps nothing and touches the world only through Sources.
package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

const (
	envForm  = "env:"
	fileForm = "file:"
)

// Sources are where secrets may stand.
type Sources struct {
	// Env returns an environment variable, empty if it is not set.
	Env func(name string) string
	// File returns what a file holds and who may read it.
	File func(path string) ([]byte, fs.FileMode, error)
}

// OS takes files from the disk, and environment variables from env.
func OS(env func(string) string) Sources { return Sources{Env: env, File: readFile} }

func readFile(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	b, err := os.ReadFile(path)
	return b, info.Mode(), err
}

// Literal reports whether value is the secret itself and not where it stands.
// An empty value is no secret.
func Literal(value string) bool {
	return value != "" && !strings.HasPrefix(value, envForm) && !strings.HasPrefix(value, fileForm)
}

// InAddress reports whether value is a literal address, such as a DSN, with a
// password in it.
func InAddress(value string) bool {
	if !Literal(value) {
		return false
	}
	_, rest, _ := strings.Cut(value, "://")
	user := rest[:max(strings.LastIndex(rest, "@"), 0)]
	_, password, _ := strings.Cut(user, ":")
	return password != "" || strings.Contains(rest, "password=")
}

// Resolve returns what value stands for. A file's last line may end with a line
// break, as editors and echo write it; everything else in it is the secret.
// warning, if not empty, says who else can read it. Error and warning name the
// setting and the source, never the secret.
func Resolve(setting, value string, from Sources) (text, warning string, err error) {
	if name, ok := strings.CutPrefix(value, envForm); ok {
		if text = from.Env(name); text == "" {
			return "", "", fmt.Errorf("%s: environment variable %s is empty or not set", setting, name)
		}
		return text, "", nil
	}
	path, ok := strings.CutPrefix(value, fileForm)
	if !ok {
		return value, "", nil
	}
	b, mode, err := from.File(path)
	if err != nil {
		var p *fs.PathError // says the path a second time
		if errors.As(err, &p) {
			err = p.Err
		}
		return "", "", fmt.Errorf("%s: file %s: %w", setting, path, err)
	}
	text = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", "", fmt.Errorf("%s: file %s is empty", setting, path)
	}
	if Exposed(mode) {
		warning = fmt.Sprintf("%s: others may read file %s: chmod 600 %s", setting, path, path)
	}
	return text, warning, nil
}

// Exposed reports whether others than owner and group may read a file. The group
// is left alone: orchestrators mount secrets for a group.
func Exposed(mode fs.FileMode) bool { return mode.Perm()&0o004 != 0 }
