package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refuseChanges refuses a repository with changes that are not committed: the archives would not
// hold them, although the person who runs the release expects it.
func refuseChanges(ctx context.Context, root string) error {
	changed, err := run(ctx, root, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if lines := strings.Split(strings.TrimRight(changed, "\n"), "\n"); changed != "" {
		return fmt.Errorf("a release is made of a commit, and these changes are not committed (%d):\n%s",
			len(lines), strings.Join(lines[:min(len(lines), 10)], "\n"))
	}
	return nil
}

// clone makes a repository of its own of HEAD. The Go command finds the commit in a repository, but
// not in a worktree of one; and the tags, which name the version, come along.
func clone(ctx context.Context, root, source string) error {
	head, err := run(ctx, root, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if _, err := run(ctx, root, nil, "git", "clone", "--quiet", "--no-checkout", absolute, source); err != nil {
		return err
	}
	_, err = run(ctx, source, nil, "git", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false",
		"checkout", "--quiet", strings.TrimSpace(head))
	return err
}

func commitTime(ctx context.Context, source string) (time.Time, error) {
	text, err := run(ctx, source, nil, "git", "show", "--no-patch", "--format=%ct", "HEAD")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time of the commit: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// target is a platform that is built for.
type target struct{ os, arch string }

func parseTarget(platform string) (target, error) {
	system, arch, ok := strings.Cut(platform, "/")
	if !ok || system == "" || arch == "" || strings.Contains(arch, "/") {
		return target{}, errors.New("a platform is written linux/amd64")
	}
	return target{system, arch}, nil
}

// environment fixes what could change the bytes: variables of the machine on which this runs, and
// what `go env -w` has set there. An empty GOFLAGS would leave the latter in force.
func (t target) environment() []string {
	kept := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GOEXPERIMENT=") || strings.HasPrefix(v, "GODEBUG=")
	})
	return append(kept, "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-trimpath", "GOWORK=off")
}

// build builds the binary. The Makefile's build has the same flags; here the commit is demanded.
func (t target) build(ctx context.Context, source, binary string) error {
	_, err := run(ctx, source, t.environment(), "go", "build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w",
		"-o", binary, "./cmd/signet")
	return err
}

// versionOf returns the version that the Go command has put into the binary: the tag of the commit,
// or a pseudo-version with its time and hash.
func versionOf(binary string) (string, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", err
	}
	if strings.Contains(info.GoVersion, "X:") {
		return "", fmt.Errorf("the binary is built with %s, which has experiments that `go env GOEXPERIMENT` names; unset it", info.GoVersion)
	}
	if v := info.Main.Version; strings.HasPrefix(v, "v") && !strings.HasSuffix(v, "+dirty") {
		return v, nil
	}
	return "", fmt.Errorf("the binary calls itself %s, which is no version of a commit", info.Main.Version)
}

// run runs a program and returns its standard output.
func run(ctx context.Context, dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.String(), nil
}
