package processes_test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"

	"github.com/jackc/pgx/v5"
)

// A server whose store takes no writes is not ready. It still answers reads, and recovers without a
// restart. It does not start on such a store.
func TestTheStoreTakesNoWrites(t *testing.T) {
	t.Parallel()
	address := sqltest.PostgresURL(t)
	env := []string{"SIGNET_DATABASE_URL=" + address, "SIGNET_KEYS_ENCRYPTION_KEY=" + jose.NewKEK()}
	p := start(t, nil, env...)
	admin, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	psql := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	// A full disk fails the writes of every user, superusers included.
	psql(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`)
	psql(`CREATE TRIGGER full_disk BEFORE UPDATE ON write_probe FOR EACH ROW EXECUTE FUNCTION full_disk()`)
	p.until(t, "it is not ready", func() bool { return p.status("/readyz") == http.StatusServiceUnavailable })

	check := exec.Command("signet", "healthcheck")
	check.Dir, check.Env = p.dir, p.cmd.Env
	if text, err := check.CombinedOutput(); err == nil ||
		!strings.Contains(string(text), "not ready (503): The store takes no writes; the server's log says why.") {
		t.Errorf("the healthcheck does not say why: %v %s", err, text)
	}
	if got := p.status("/.well-known/jwks.json"); got != http.StatusOK {
		t.Errorf("the key set: %d", got)
	}
	if log := p.errOut.String(); !strings.Contains(log, "disk is full") {
		t.Errorf("the log does not say why:\n%s", log)
	}

	another := exec.Command("signet", "serve")
	another.Dir, another.Env = t.TempDir(), append(append([]string{}, p.cmd.Env...), "SIGNET_LISTEN=127.0.0.1:0")
	ended := make(chan struct{})
	time.AfterFunc(20*time.Second, func() {
		select {
		case <-ended:
		default:
			_ = another.Process.Kill()
		}
	})
	text, err := another.CombinedOutput()
	close(ended)
	if err == nil || another.ProcessState.ExitCode() != 1 ||
		!strings.Contains(string(text), "PostgreSQL's disk is full: make room where its data lies") {
		t.Errorf("a server on a store that takes no writes: %v\n%s", err, text)
	}

	psql(`DROP TRIGGER full_disk ON write_probe`)
	p.until(t, "it is ready again", func() bool { return p.status("/readyz") == http.StatusOK })
}
