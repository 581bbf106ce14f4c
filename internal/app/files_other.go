//go:build !linux && !darwin

package app

import "log/slog"

// RaiseFiles does nothing: this system has no such limit, or we do not know it.
func RaiseFiles(*slog.Logger) {}
