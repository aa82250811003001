package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/printable"
)

func (a *app) healthcheckCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the server on this machine whether it is ready",
		Long: `Ask the server on this machine whether it is ready: GET /readyz at the configured
address. Exits 0 when it is. Made for container images, which have no curl.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			c, err := a.load(nil)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			url, err := readyURL(c)
			if err != nil {
				return err
			}
			if err := askReady(ctx, url); err != nil {
				return err
			}
			if a.asJSON {
				return a.printJSON(map[string]string{"status": "ready", "url": url})
			}
			_, err = fmt.Fprintln(a.out, "ready: "+url)
			return err
		}),
	}
	cmd.Flags().DurationVar(&wait, "timeout", 3*time.Second, "give up after this long (`DURATION`, such as 3s)")
	return cmd
}

// readyURL returns the readiness URL of the configured listener on this machine. For a listener on
// every interface it uses loopback.
func readyURL(c configs.Config) (string, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", errors.New("listen has port 0, so nobody knows where the server is; configure a port")
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if err == nil && ip.Is6() {
			host = "::1"
		}
	}
	scheme := "http"
	if c.HTTP.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/readyz", nil
}

func askReady(ctx context.Context, url string) error {
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// The certificate is for the public name, and the request goes to an address. It sends
			// no secret, and only this machine's supervisor uses the answer.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s; is `signet serve` running? (%s)", url, networkReason(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct {
		Reasons []struct {
			Message string `json:"message"`
		} `json:"reasons"`
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(body, &answer) != nil || len(answer.Reasons) == 0 {
		return fmt.Errorf("not ready: %s answered %d, and not as Signet does; is another program listening there?", url, resp.StatusCode)
	}
	var reasons []string
	for _, r := range answer.Reasons {
		reasons = append(reasons, printable.Text(r.Message))
	}
	return fmt.Errorf("not ready (%d): %s", resp.StatusCode, strings.Join(reasons, " "))
}
