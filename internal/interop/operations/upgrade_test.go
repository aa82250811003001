//go:build interop

package operations

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// The timeline of keys is short enough to rotate them within the test.
var timeline = []string{"SIGNET_KEYS_PROPAGATION=10s", "SIGNET_KEYS_JWKS_MAX_AGE=1s", "SIGNET_CLOCK_SKEW=4s",
	"SIGNET_KEYS_ALGORITHMS=RS256,EdDSA"}

// besides is for how long both versions serve at once (UPGRADE_TIME), for which everything is done again
// and again; 0: it is done once.
func besides(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("UPGRADE_TIME")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		t.Fatalf("UPGRADE_TIME is %q; give a time such as 10m", text)
	}
	return d
}

// F-34: v0.1.0 serves, the schema is migrated under it, this version starts beside it, clients go
// through both, the old one leaves, and comes back. What people began at one version they finish at the
// other.
func TestF34ThePreviousVersionBesideThisOne(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	u, s, old := newUpgrade(t, database)
	s.env = append(s.env, "SIGNET_KEYS_ENCRYPTION_KEY_FILE="+s.newKEK(t, "kek"))

	t.Log("v0.1.0 alone")
	u.replicas[0] = s.start(t, "the old replica", old, nil, "--migrate")
	u.settle(t)
	atOld := u.begin(t, u.replicas[0].address)
	if _, said, err := s.try(programs.signet, nil, "serve"); err == nil || !strings.Contains(said, "signet migrate up") {
		t.Errorf("this version started on the schema of before: %v %s", err, said)
	}

	t.Log("the schema is migrated while it serves")
	before := u.loadUntil(t, func() {
		s.run(t, programs.signet, nil, "migrate", "up")
		if status := s.run(t, programs.signet, nil, "migrate", "status"); !strings.Contains(status, "0019_dpop") {
			t.Errorf("migrate status: %s", status)
		}
	})
	t.Logf("%d requests meanwhile, none failed", before)
	u.months(t, database)

	t.Log("both at once")
	u.replicas[1] = s.start(t, "the new replica", programs.signet, nil)
	rounds := 0
	both := u.loadUntil(t, func() {
		u.realClients(t)
		for end := time.Now().Add(besides(t)); rounds == 0 || time.Now().Before(end); rounds++ {
			for a := range 2 {
				u.crosswise(t, a, 1-a)
			}
			for a := range 2 {
				u.rotate(t, a)
			}
			u.finish(t, u.begin(t, u.next), u.next)
		}
	})
	t.Logf("%d requests and %d rounds meanwhile, none failed; %d answers asked to wait", both, rounds, busy.Load())

	t.Log("this version alone")
	s.end(t, u.replicas[0])
	u.goOn(t, u.replicas[1])
	u.finish(t, atOld, u.replicas[1].address)
	atNew := u.begin(t, u.replicas[1].address)
	t.Log("v0.1.0 beside it once more, then alone")
	u.replicas[0] = s.start(t, "the old replica again", old, nil)
	u.crosswise(t, 0, 1)
	s.end(t, u.replicas[1])
	u.goOn(t, u.replicas[0])
	u.finish(t, atNew, u.replicas[0].address)
	s.end(t, u.replicas[0])
	for _, one := range u.replicas {
		noErrors(t, one)
	}
}

// A database that this version made, on which nobody did anything yet but log in, serves v0.1.0.
func TestF34BackToThePreviousVersion(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	u, s, old := newUpgrade(t, database)
	s.env = append(s.env, "SIGNET_KEYS_ENCRYPTION_KEY_FILE="+s.newKEK(t, "kek"))
	u.replicas[1] = s.start(t, "the new replica", programs.signet, nil, "--migrate")
	u.settle(t)
	atNew := u.begin(t, u.replicas[1].address)
	s.end(t, u.replicas[1])
	if _, said, err := s.try(old, nil, "migrate", "up"); err != nil {
		t.Errorf("v0.1.0 has nothing to migrate, and fails: %v %s", err, said)
	}
	u.replicas[0] = s.start(t, "the old replica", old, nil, "--migrate")
	u.goOn(t, u.replicas[0])
	u.finish(t, atNew, u.replicas[0].address)

	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer conn.Close(t.Context())
	var written int
	must(t, conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM audit_events_%s WHERE at > $1`,
		u.began.UTC().Format("2006_01")), time.Now().Add(-time.Minute).UnixMicro()).Scan(&written))
	if written == 0 && time.Now().UTC().Month() == u.began.UTC().Month() {
		t.Error("v0.1.0 writes no entry into this month's part of the audit log")
	}
	u.replicas[1] = s.start(t, "the new replica again", programs.signet, nil)
	u.crosswise(t, 0, 1)
	u.crosswise(t, 1, 0)
	s.end(t, u.replicas[0])
	s.end(t, u.replicas[1])
	noErrors(t, u.replicas[0])
	noErrors(t, u.replicas[1])
}

// F-34: the file of v0.1.0 goes on under this version, and back.
func TestF34AFileOfThePreviousVersion(t *testing.T) {
	t.Parallel()
	u, s, old := newUpgrade(t, "")
	u.replicas[0] = s.start(t, "the old server", old, nil, "--migrate")
	u.settle(t)
	if _, said, err := s.try(programs.signet, nil, "serve"); err == nil || !strings.Contains(said, "another server uses") {
		t.Errorf("this version started beside the old one on one file: %v %s", err, said)
	}
	atOld := u.begin(t, u.replicas[0].address)
	s.end(t, u.replicas[0])
	keys := s.run(t, old, nil, "keys", "export")
	u.replicas[1] = s.start(t, "the new server", programs.signet, nil, "--migrate")
	if now := s.run(t, programs.signet, nil, "keys", "export"); now != keys {
		t.Errorf("the key set was %s and is %s", keys, now)
	}
	u.goOn(t, u.replicas[1])
	u.finish(t, atOld, u.replicas[1].address)
	atNew := u.begin(t, u.replicas[1].address)
	s.end(t, u.replicas[1])
	u.replicas[0] = s.start(t, "the old server again", old, nil)
	u.goOn(t, u.replicas[0])
	u.finish(t, atNew, u.replicas[0].address)
	s.end(t, u.replicas[0])
	noErrors(t, u.replicas[0])
	noErrors(t, u.replicas[1])
}
