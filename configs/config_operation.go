package configs

import (
	"log/slog"
	"time"
)

// Metrics is the section `metrics`.
type Metrics struct {
	// Address of the listener that serves /metrics and nothing else. Keep it
	// private. Empty: no metrics. When the default address is taken the server says so
	// and runs without; an address given here must be free.
	Listen string `key:"listen"`
}

// Log is the section `log`.
type Log struct {
	// text, json, or auto: text on a terminal and JSON otherwise.
	Format string `key:"format"`

	// debug, info, warn or error.
	Level string `key:"level"`
}

// SlogLevel returns the level as slog's type.
func (l Log) SlogLevel() slog.Level {
	var v slog.Level
	if err := v.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return v
}

// Audit is the section `audit`.
type Audit struct {
	// How long entries of the audit log are kept; what is older is removed by and by.
	// From 24h to 20 years (175200h). 0: for ever.
	Retention time.Duration `key:"retention"`
}
