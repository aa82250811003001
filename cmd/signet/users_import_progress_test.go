package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// A program that reads --json gets nothing on standard error for a long import; a log does.
func TestProgressOfAnImport(t *testing.T) {
	for asJSON, want := range map[bool]string{false: "signet: 7 accounts\n", true: ""} {
		var said bytes.Buffer
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		a := &app{err: &said, asJSON: asJSON, now: func() time.Time { return now }}
		p := a.newProgress(0)
		p.Watch(strings.NewReader(""))
		now = now.Add(time.Minute)
		p.Show(7)
		p.Hide()
		if said.String() != want {
			t.Errorf("--json %t: %q, want %q", asJSON, &said, want)
		}
	}
}
