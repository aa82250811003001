package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// billOfMaterials returns the CycloneDX document of a binary, which cyclonedx-gomod makes of what
// the Go command wrote into it: the modules that are linked, with their versions and hashes.
//
// The serial number follows from the binary and the time from the commit. The hashes of the tool's
// own binary are left out: they differ from machine to machine.
func billOfMaterials(ctx context.Context, source, binary, version string, at time.Time) ([]byte, error) {
	program, err := os.ReadFile(binary) //nolint:gosec // we have just built it
	if err != nil {
		return nil, err
	}
	// The tool names the file that it reads.
	named := filepath.Join(filepath.Dir(binary), "bom", "signet")
	if err := os.MkdirAll(filepath.Dir(named), 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(filepath.Dir(named))
	if err := os.WriteFile(named, program, 0o600); err != nil {
		return nil, err
	}
	text, err := run(ctx, source, append(os.Environ(), "GOFLAGS=-trimpath", "GOWORK=off"),
		"go", "tool", "-modfile=internal/tools/sbom.mod", "cyclonedx-gomod", "bin", "-json", "-std", "-version", version,
		"-serial", serial(program), "-notimestamp", named)
	if err != nil {
		return nil, err
	}
	var bom map[string]any
	if err := json.Unmarshal([]byte(text), &bom); err != nil {
		return nil, fmt.Errorf("cyclonedx-gomod: %w", err)
	}
	metadata, ok := bom["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("cyclonedx-gomod wrote no metadata")
	}
	metadata["timestamp"] = at.Format(time.RFC3339)
	tools, _ := metadata["tools"].([]any)
	for _, t := range tools {
		if tool, ok := t.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out) // sorts the members of objects
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(bom)
	return out.Bytes(), err
}

// serial returns the UUID of a binary: a hash of it, in the form of RFC 9562 version 8.
func serial(program []byte) string {
	h := sha256.Sum256(program)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
