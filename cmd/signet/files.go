package main

import (
	"bytes"
	"crypto/x509"
	"errors"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/outbound"
)

// serveFiles are what the server reads once, at its start.
type serveFiles struct {
	stylesheet, logo, cas []byte
}

// readServeFiles reads the files that the configuration names for the server alone; what is wrong with them
// is told like any other fault of the configuration, all at once.
func readServeFiles(c configs.Config) (f serveFiles, err error) {
	var faults []configs.Fault
	for _, file := range []struct {
		key, path string
		to        *[]byte
		check     func([]byte) error
	}{
		{"pages.stylesheet", c.Pages.Stylesheet, &f.stylesheet, web.CheckStylesheet},
		{"pages.logo", c.Pages.Logo, &f.logo, web.CheckLogo},
		{"outbound.ca_file", c.Outbound.CAFile, &f.cas, checkCAs},
	} {
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

// plainPEM is PEM without marks of an encoding, of which there may be one before each of several
// files that were put together: behind one, a block is not found.
func plainPEM(pem []byte) []byte { return bytes.ReplaceAll(pem, []byte("\ufeff"), nil) }

func checkCAs(pem []byte) error {
	if !x509.NewCertPool().AppendCertsFromPEM(plainPEM(pem)) {
		return errors.New("holds no PEM certificate; name the file of the authorities")
	}
	return nil
}

func newOutbound(c configs.Config, f serveFiles) (*outbound.Client, error) {
	return outbound.New(outbound.Options{AllowHosts: c.Outbound.AllowHosts, CAs: plainPEM(f.cas)})
}
