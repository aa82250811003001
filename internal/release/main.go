// Command release builds what strangers download: for each platform an archive with the binary, the
// licences of everything that is in it, its bill of materials and the example configurations, and
// the checksums of all of them.
//
//	go run ./internal/release -out dist      (make release)
//
// Two people who release one commit with one version of Go get the same bytes, whatever their
// folders, caches, clocks and umasks are. So it builds the commit and not the folder: it clones the
// repository into a temporary folder and builds there. What is not committed cannot get in, and
// the Go command writes version, commit and time of the commit into each binary. Nothing else names
// a time: members of archives, and bills of materials, have the time of the commit.
//
// The files of this package: main.go is the order of the steps, build.go runs Go, archive.go packs,
// licences.go collects the licences, sbom.go has the bill of materials made, modules.go sees that strangers
// can get the modules beside Signet's own.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	out := flag.String("out", "dist", "the `folder` for the files; it must be empty or absent")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64", "`list` of platforms")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := release(ctx, ".", *out, strings.Split(*platforms, ","), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release: "+err.Error())
		stop()
		os.Exit(1)
	}
}

// release builds HEAD of the repository at root for the platforms, such as linux/amd64.
func release(ctx context.Context, root, out string, platforms []string, say io.Writer) error {
	if err := refuseChanges(ctx, root); err != nil {
		return err
	}
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s has files in it; remove it first (make clean), so that no file of another release is among these", out)
	}
	scratch, err := os.MkdirTemp("", "signet-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	source := filepath.Join(scratch, "source")
	if err := clone(ctx, root, source); err != nil {
		return err
	}
	at, err := commitTime(ctx, source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // the folder is for everybody
		return err
	}
	var written []string
	for _, platform := range platforms {
		files, err := releaseFor(ctx, scratch, source, out, platform, at)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		fmt.Fprintln(say, files[0])
		written = append(written, files...)
	}
	return writeSums(out, written)
}

// releaseFor writes the archive and the bill of materials of one platform, and returns their names.
func releaseFor(ctx context.Context, scratch, source, out, platform string, at time.Time) ([]string, error) {
	t, err := parseTarget(platform)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(scratch, "signet-"+t.os+"-"+t.arch)
	if err := t.build(ctx, source, binary); err != nil {
		return nil, err
	}
	version, err := versionOf(binary)
	if err == nil {
		err = checkModules(ctx, source, version)
	}
	if err != nil {
		return nil, err
	}
	licences, err := t.licences(ctx, source)
	if err != nil {
		return nil, err
	}
	bom, err := billOfMaterials(ctx, source, binary, version, at)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("signet-%s-%s-%s", version, t.os, t.arch)
	program, err := os.ReadFile(binary) //nolint:gosec // we have just built it
	if err != nil {
		return nil, err
	}
	members := []member{
		{"signet", 0o755, program},
		{"signet.cdx.json", 0o644, bom},
		{"third-party-licenses.txt", 0o644, licences},
	}
	for _, path := range enclosed {
		text, err := os.ReadFile(filepath.Join(source, path)) //nolint:gosec // a name of the list below
		if err != nil {
			return nil, err
		}
		members = append(members, member{path, 0o644, text})
	}
	if err := writeArchive(filepath.Join(out, name+".tar.gz"), name, at, members); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(out, name+".cdx.json"), bom, 0o644); err != nil { //nolint:gosec // public
		return nil, err
	}
	return []string{name + ".tar.gz", name + ".cdx.json"}, nil
}

// enclosed are the files of the repository that an archive has beside the binary.
var enclosed = []string{
	"CHANGELOG.md",
	"LICENSE",
	"README.md",
	"configs/signet.example.yaml",
	"configs/signet.postgres.example.yaml",
	"configs/systemd/signet.service",
	"configs/systemd/signet.service.d/postgres.conf",
}

// writeSums writes SHA256SUMS, which `sha256sum --check` and `shasum --check` read.
func writeSums(out string, names []string) error {
	if len(names) == 0 {
		return errors.New("there is no platform")
	}
	slices.Sort(names)
	var sums strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(out, name)) //nolint:gosec // we have just written it
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), name)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644) //nolint:gosec // public
}
