//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/testport"
)

// What `signet doctor` finds in resource servers behind libraries of others, set up as they tell or as
// docs/resource-servers.md does. The document repeats it; a new version of a library may find itself
// better than it says here.
func TestTheDoctorExaminesLibrariesOfOthers(t *testing.T) {
	const audience = "https://api.example.com"
	node := func(library string) func(issuer, port string) []string {
		return func(issuer, port string) []string {
			return []string{"node", "node/resource_server.js", library, issuer, audience, port}
		}
	}
	for name, c := range map[string]struct {
		command func(issuer, port string) []string
		want    []string
	}{
		"jose": {node("jose"), []string{"warning duplicate-last", "warning revoked-key"}},
		"express-oauth2-jwt-bearer": {node("express-oauth2-jwt-bearer"), []string{"warning duplicate-last",
			"warning query", "warning revoked-key"}},
		"express-jwt with jwks-rsa": {node("express-jwt"), []string{
			"warning no-token", "failed typ-jwt", "failed typ-refresh", "failed typ-missing", "failed exp-missing",
			"failed crit",
			"warning duplicate-last", "failed unknown-kids", "warning revoked-key", "failed withdrawn-key",
		}},
		"PyJWT in Django": {func(issuer, port string) []string {
			return []string{"python/.venv/bin/python", "python/resource_server.py", issuer, audience, port}
		}, []string{"warning duplicate-last", "warning revoked-key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer, address := "http://"+testport.Address(t), testport.Address(t)
			_, port, _ := strings.Cut(address, ":")
			command := c.command(issuer, port)
			service := exec.Command(command[0], command[1:]...)
			var log bytes.Buffer
			service.Stderr = &log
			if err := service.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = service.Process.Kill()
				_ = service.Wait()
			}()
			out, err := exec.Command(binaries.signet, "doctor", "http://"+address+"/", "--test-issuer", issuer, "--audience",
				audience, "--json").Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			var report struct {
				Passed bool
				Checks []struct{ ID, Answered, Verdict string }
			}
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatalf("%v: %s\n%s", err, out, &log)
			}
			got := []string{}
			for _, check := range report.Checks {
				if check.Verdict != "ok" {
					got = append(got, check.Verdict+" "+check.ID)
				}
				t.Logf("%-8s %-22s %s", check.Verdict, check.ID, check.Answered)
			}
			if !slices.Equal(got, c.want) || report.Passed != (err == nil) {
				t.Errorf("it found\n%s\n%v %s", strings.Join(got, "\n"), err, fmt.Sprint(&log))
			}
		})
	}
}
