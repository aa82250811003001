package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/signet-id/signet/internal/jose"
)

func TestWhatAVersionSays(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef01234567"
	stamped := []debug.BuildSetting{{Key: "vcs.revision", Value: hash}, {Key: "vcs.time", Value: "2026-11-26T18:46:18Z"}}
	build := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	rest := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ", RSA by " + jose.RSAImplementation()
	for _, row := range []struct {
		name                        string
		version, commit, commitTime string // of the linker
		info                        *debug.BuildInfo
		want                        string
	}{
		{"nothing is known", "", "", "", nil, "signet devel"},
		{"no repository and no version", "", "", "", build("(devel)"), "signet devel"},
		{"a tag", "", "", "", build("v0.1.0", stamped...), "signet v0.1.0 (commit 0123456789ab of 2026-11-26T18:46:18Z)"},
		{"a tree with changes", "", "", "", build("v0.1.0+dirty", append(stamped[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})...),
			"signet v0.1.0+dirty (commit 0123456789ab of 2026-11-26T18:46:18Z, modified)"},
		{"an image, built without the repository", "v0.2.0", "fedcba9876543210", "2026-12-01T00:00:00Z", build("(devel)"),
			"signet v0.2.0 (commit fedcba987654 of 2026-12-01T00:00:00Z)"},
		{"an image of which only the version is known", "v0.2.0", "", "", build("(devel)"), "signet v0.2.0"},
		{"a short commit without its time", "", "fedcba9", "", build("(devel)"), "signet devel (commit fedcba9)"},
		{"the linker does not contradict the repository", "v0.2.0", "fedcba9876543210", "2026-12-01T00:00:00Z", build("v0.1.0", stamped...),
			"signet v0.2.0 (commit 0123456789ab of 2026-11-26T18:46:18Z)"},
	} {
		version, commit, commitTime = row.version, row.commit, row.commitTime
		if got, want := versionOf(row.info).String(), row.want+rest; got != want {
			t.Errorf("%s: %q, want %q", row.name, got, want)
		}
	}
	version, commit, commitTime = "", "", ""
}
