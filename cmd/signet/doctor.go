package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/doctor"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/internal/testissuer"
)

func (a *app) doctorCommand() *cobra.Command {
	var r doctor.Resource
	var claims, junit string
	cmd := &cobra.Command{
		Use:   "doctor URL",
		Short: "Check an issuer, or a resource server, from the outside",
		Long: `Check an issuer, or a resource server, from the outside.

URL is an issuer, of any make: its discovery, key set, cache headers, algorithms, clock,
rotation and TLS are looked at.

With --test-issuer, URL is a request of a resource server that needs a token, and doctor
is the issuer: it listens there, on this machine, for as long as it runs. Configure the
resource server to trust that issuer, start it meanwhile or before, and doctor sends it
tokens that it must refuse and tokens that it must accept. Run it against a copy for
tests only: the issuer signs whatever it is asked to.

Exits 0 when nothing failed and nothing was left out; a warning is no failure.`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&r.TestIssuer, "test-issuer", "",
		"be the issuer at this `URL`, such as http://127.0.0.1:9999, which the resource server trusts")
	f.StringVar(&r.Audience, "audience", "", "the resource server's `name` in the audience of tokens (default: the URL)")
	f.StringVar(&r.Scope, "scope", "", "the `scopes` that the request needs, separated by spaces")
	f.StringVar(&claims, "claims", "", "a `file` with a JSON object: claims that the request needs beside")
	f.StringVar(&r.Method, "method", "GET", "the request's `method`")
	f.DurationVar(&r.Wait, "wait", 30*time.Second, "how long the resource server may take to start, a `time` such as 30s")
	f.DurationVar(&r.Patience, "patience", 45*time.Second,
		"how long it may take to learn of a new key, or of a revoked one, a `time`")
	f.StringVar(&junit, "junit", "", "write the results to this `file` as JUnit XML, for CI")
	cmd.RunE = action(func(ctx context.Context, args []string) error {
		if r.TestIssuer == "" {
			for _, name := range []string{"audience", "scope", "claims", "method", "wait", "patience"} {
				if f.Changed(name) {
					return misusef("--%s is for a resource server; give --test-issuer as well", name)
				}
			}
		}
		report, err := a.examine(ctx, args[0], r, claims)
		var invalid *testissuer.InvalidError
		if errors.As(err, &invalid) {
			return misusef("--test-issuer: %s", invalid.Reason)
		}
		if err != nil {
			return err
		}
		if junit != "" {
			if err := writeJUnit(junit, report); err != nil {
				return err
			}
		}
		return a.showExamination(report)
	})
	return cmd
}

// examine examines a resource server if it has a test issuer, and else an issuer.
func (a *app) examine(ctx context.Context, address string, r doctor.Resource, claims string) (doctor.Report, error) {
	if err := checkExamined(address); err != nil {
		return doctor.Report{}, err
	}
	if r.TestIssuer != "" {
		return a.examineResource(ctx, address, r, claims)
	}
	report, err := doctor.Issuer{URL: address, Now: a.now}.Run(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("the issuer %s cannot be examined: %s; check the URL", address, networkReason(err))
	}
	return report, err
}

// checkExamined refuses what is no URL, and one with a password: errors and reports repeat the URL, so
// what is refused here is not shown.
func checkExamined(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return misusef("what is given as URL is no URL; write it with https:// or http://")
	case u.User != nil:
		return misusef("URL holds a user name or a password; leave them out: they would be shown, and doctor sends none")
	}
	return nil
}

func (a *app) examineResource(ctx context.Context, address string, r doctor.Resource, claims string) (doctor.Report,
	error) {
	if _, err := http.NewRequest(r.Method, address, nil); err != nil {
		return doctor.Report{}, misusef("no request can be made of URL and --method; give a whole URL, and a method such as GET")
	}
	if r.Wait <= 0 || r.Patience <= 0 {
		return doctor.Report{}, misusef("--wait and --patience are times above zero, such as 30s")
	}
	r.URL = address
	if r.Audience == "" {
		r.Audience = address
	}
	if claims != "" {
		text, err := a.readInput(claims, 64<<10)
		if err != nil {
			return doctor.Report{}, err
		}
		if err := strictjson.Unmarshal(text, &r.Claims, strictjson.IgnoreUnknown); err != nil {
			return doctor.Report{}, fmt.Errorf("%s does not hold a JSON object of claims: %w", claims, err)
		}
	}
	if !a.asJSON {
		fmt.Fprintf(a.err, "The test issuer listens on %s while this runs; it takes up to two minutes.\n", r.TestIssuer)
	}
	report, err := r.Run(ctx)
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "listen" {
		err = fmt.Errorf("the test issuer cannot listen on %s: %s; name a free port of this machine with --test-issuer, "+
			"and configure the resource server to trust that", r.TestIssuer, networkReason(err))
	}
	return report, err
}

func writeJUnit(name string, report doctor.Report) error {
	text, err := report.JUnit()
	if err != nil {
		return err
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		return fmt.Errorf("the file %s cannot be written: %s", name, configs.FileReason(err))
	}
	return nil
}

// showExamination prints a report; it is a failure if something failed.
func (a *app) showExamination(report doctor.Report) error {
	if a.asJSON {
		if err := a.printJSON(struct {
			doctor.Report
			Passed bool `json:"passed"`
		}{report, report.Passed()}); err != nil {
			return err
		}
	} else {
		if err := a.showChecks(report); err != nil {
			return err
		}
	}
	if !report.Passed() {
		return &failure{}
	}
	return nil
}

// showChecks prints the table, and below it what each finding means.
func (a *app) showChecks(report doctor.Report) error {
	fmt.Fprintf(a.out, "The %s %s: %s\n\n", report.Kind, report.Subject, report.Summary())
	marks := map[doctor.Verdict]string{doctor.OK: "✓", doctor.Warning: "!", doctor.Failed: "✗", doctor.Skipped: "-"}
	var rows [][]string
	for _, c := range report.Checks {
		rows = append(rows, []string{marks[c.Verdict], c.ID, c.Sent, c.Answered})
	}
	if err := a.table(nil, rows); err != nil {
		return err
	}
	for _, c := range report.Checks {
		if c.Verdict == doctor.Failed || c.Verdict == doctor.Warning {
			fmt.Fprintf(a.out, "\n%s %s: %s.\n  Expected: %s. Answered: %s.\n  %s.\n", marks[c.Verdict], c.ID, upper(c.Sent),
				c.Expected, printable.Text(c.Answered), upper(c.Why))
		}
	}
	return nil
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
