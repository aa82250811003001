package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/issuer"
)

// serveFiles are the contents of the files that the server reads once, at its start.
type serveFiles struct {
	stylesheet, logo, cas []byte
	software              [][]byte // keys of the members of oauth.software_statements; nil: at an address
}

// readServeFiles reads the configured files that only the server needs. It reports all their faults
// at once, as faults of the configuration.
func readServeFiles(c configs.Config) (f serveFiles, err error) {
	var faults []configs.Fault
	type file struct {
		key, path string
		to        *[]byte
		check     func([]byte) error
	}
	f.software = make([][]byte, len(c.OAuth.SoftwareStatements))
	files := []file{
		{"pages.stylesheet", c.Pages.Stylesheet, &f.stylesheet, web.CheckStylesheet},
		{"pages.logo", c.Pages.Logo, &f.logo, web.CheckLogo},
		{"outbound.ca_file", c.Outbound.CAFile, &f.cas, checkCAs},
	}
	for i, s := range c.OAuth.SoftwareStatements {
		files = append(files, file{"oauth.software_statements", s.JWKSFile, &f.software[i], issuer.CheckSoftwareKeys})
	}
	for _, file := range files {
		if file.path == "" {
			continue
		}
		text, err := configs.ReadSmallFile(file.path)
		reason := ""
		if err != nil {
			reason = ": " + configs.FileReason(err)
		} else if err := file.check(text); err != nil {
			reason = " " + err.Error()
		}
		if reason != "" {
			faults = append(faults, configs.Fault{Key: file.key, Where: c.Source(file.key), Reason: file.path + reason})
		}
		*file.to = text
	}
	if len(faults) > 0 {
		return f, &configs.Error{Faults: faults}
	}
	return f, nil
}

// plainPEM returns PEM without byte order marks. A file that was joined from several files may have
// one before each part, and the block after a mark would not be found.
func plainPEM(pem []byte) []byte { return bytes.ReplaceAll(pem, []byte("\ufeff"), nil) }

func checkCAs(pem []byte) error {
	if !x509.NewCertPool().AppendCertsFromPEM(plainPEM(pem)) {
		return errors.New("holds no PEM certificate; name the file of the authorities")
	}
	return nil
}

// softwareIssuers returns those whose software statements are believed.
func softwareIssuers(c configs.Config, f serveFiles) (list []issuer.SoftwareIssuer) {
	for i, s := range c.OAuth.SoftwareStatements {
		list = append(list, issuer.SoftwareIssuer{
			Issuer: s.Issuer, JWKS: f.software[i], JWKSURI: s.JWKSURI, SoftwareIDs: s.SoftwareIDs,
		})
	}
	return list
}

func newOutbound(c configs.Config, f serveFiles) (*outbound.Client, error) {
	return outbound.New(outbound.Options{AllowHosts: c.Outbound.AllowHosts, CAs: plainPEM(f.cas)})
}

// openFile opens a file that a person named.
func openFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s; check the path", name)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the file %s may not be read by this user; change its owner or mode", name)
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return nil, fmt.Errorf("the named file cannot be opened: %w", pathError.Err) // the name is not repeated: it may be a secret
	}
	return f, err
}
