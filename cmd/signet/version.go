package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/jose"
)

// What a build without a repository, such as the Dockerfile's, cannot find out by itself can be set
// at link time: -ldflags "-X main.version=v1.2.3 -X main.commit=… -X main.commitTime=…". What the Go
// command has put into the binary comes first where it is the commit, for it was not typed.
var version, commit, commitTime string

type versionInfo struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	CommitTime string `json:"commit_time,omitempty"` // RFC 3339
	Modified   bool   `json:"modified,omitempty"`    // built from a working tree with changes
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	RSA        string `json:"rsa"` // what makes RSA signatures: jose.RSAImplementation
}

// revision returns the commit as it is usually shortened.
func (v versionInfo) revision() string { return v.Commit[:min(12, len(v.Commit))] }

func (v versionInfo) String() string {
	text := "signet " + v.Version
	if v.Commit != "" {
		text += " (commit " + v.revision()
		if v.CommitTime != "" {
			text += " of " + v.CommitTime
		}
		if v.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return text + " " + v.Go + " " + v.Platform + ", RSA by " + v.RSA
}

func buildVersion() versionInfo {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
}

// versionOf returns what a binary with this build information is. info may be nil.
func versionOf(info *debug.BuildInfo) versionInfo {
	v := versionInfo{
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, RSA: jose.RSAImplementation(),
	}
	if info != nil {
		v.Version = cmp.Or(v.Version, info.Main.Version)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.CommitTime = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	if v.Commit == "" {
		v.Commit, v.CommitTime = commit, commitTime
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = "devel"
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is, of which commit, and what makes its RSA signatures",
		Args:  cobra.NoArgs,
		RunE: action(func(context.Context, []string) error {
			v := buildVersion()
			if a.asJSON {
				return a.printJSON(v)
			}
			_, err := fmt.Fprintln(a.out, v)
			return err
		}),
	}
}
