//go:build interop

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/configs"
	highavailability "github.com/signet-id/signet/docs/high-availability"
)

const unitFolder = "../../configs/systemd"

// exposed is the most that `systemd-analyze security` may find, of 10. What is left of it is that
// the service is on the network, at addresses that no unit of ours can know.
const exposed = 1.1

func TestSystemdReadsTheUnit(t *testing.T) {
	t.Parallel()
	for name, dropIns := range map[string][]string{"embedded": nil, "on PostgreSQL": {"postgres.conf"}} {
		t.Run(name, func(t *testing.T) {
			unit := unitHere(t, dropIns)
			if out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
			out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", unit).CombinedOutput()
			if err != nil {
				t.Fatalf("systemd-analyze security: %v\n%s", err, out)
			}
			m := regexp.MustCompile(`Overall exposure level for \S+: ([\d.]+)`).FindSubmatch(out)
			if m == nil {
				t.Fatalf("no score:\n%s", out)
			}
			t.Logf("exposure %s of 10, %s", m[1], name)
			if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > exposed {
				t.Errorf("the service is exposed by %s, want %v at most:\n%s", m[1], exposed, out)
			}
		})
	}
}

// systemd reads the unit of docs/high-availability.md, whose program is elsewhere here.
func TestSystemdReadsPatronisUnit(t *testing.T) {
	t.Parallel()
	text, err := highavailability.Files.ReadFile("patroni.service")
	if err != nil {
		t.Fatal(err)
	}
	const program = "ExecStart=/opt/patroni/bin/patroni "
	if strings.Count(string(text), program) != 1 {
		t.Fatal("the unit starts something else")
	}
	patroni, err := exec.LookPath("patroni")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "patroni.service")
	if err := os.WriteFile(unit, []byte(strings.Replace(string(text), program, "ExecStart="+patroni+" ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// unitHere copies the unit, and drop-ins beside it, and gives the server a path that is here.
func unitHere(t *testing.T, dropIns []string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unitFolder, "signet.service"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unit := filepath.Join(dir, "signet.service")
	const start = "ExecStart="
	if strings.Count(string(text), start+"/usr/local/bin/signet ") != 1 {
		t.Fatal("the unit starts something else")
	}
	here := strings.Replace(string(text), start+"/usr/local/bin/signet ", start+binaries.signet+" ", 1)
	if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range dropIns {
		text, err := os.ReadFile(filepath.Join(unitFolder, "signet.service.d", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(unit+".d", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(unit+".d", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return unit
}

// What the unit and its drop-in give the server is a configuration that loads without a warning.
func TestTheUnitConfiguresTheServer(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile(filepath.Join(unitFolder, "signet.service"))
	if err != nil {
		t.Fatal(err)
	}
	dropIn, err := os.ReadFile(filepath.Join(unitFolder, "signet.service.d/postgres.conf"))
	if err != nil {
		t.Fatal(err)
	}
	state, credentials := t.TempDir(), t.TempDir()
	kek := database(t, postgres)["keys.encryption_key"]
	for name, secret := range map[string]string{"database_url": "postgres://signet:x@localhost/signet", "encryption_key": kek} {
		if !strings.Contains(string(dropIn), "\nLoadCredential="+name+":/etc/signet/"+name+"\n") {
			t.Errorf("the drop-in has no credential %s", name)
		}
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(secret), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	load := func(text string) configs.Config {
		t.Helper()
		var env []string
		for _, m := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(text, -1) {
			env = append(env, strings.Fields(strings.NewReplacer("%S", state, "%d", credentials).Replace(m[1]))...)
		}
		c, warnings, err := configs.Load(configs.Input{Env: env})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%q: %v %q", env, err, warnings)
		}
		return c
	}
	c := load(string(unit))
	if c.IsPostgres() || c.DataDir != filepath.Join(state, "signet") || !strings.Contains(string(unit), "\nStateDirectory=signet\n") {
		t.Errorf("data go to %s", c.DataDir)
	}
	// 10s for what is under way, and a second before and after (listen.go of cmd/signet).
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\S+)$`).FindStringSubmatch(string(unit))
	if limit, err := time.ParseDuration(stop[1]); err != nil || limit < c.HTTP.DrainNotice+12*time.Second {
		t.Errorf("the server is killed after %s, and gives notice for %s", stop[1], c.HTTP.DrainNotice)
	}
	if c = load(string(unit) + string(dropIn)); !c.IsPostgres() || c.Keys.EncryptionKey.Reveal() != kek {
		t.Error("database and key-encryption key do not come from the credentials")
	}
}
