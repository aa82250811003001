//go:build unix

package sqlstore_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

func newSession(u userstore.User) userstore.BrowserSession {
	s := userstore.BrowserSession{ID: rand.Text(), UserID: u.ID, AuthTime: now, AMR: []string{"pwd"}, CreatedAt: now,
		LastUsedAt: now, ExpiresAt: now.Add(720 * time.Hour)}
	rand.Read(s.Hash[:])
	return s
}

func newCode(s userstore.BrowserSession) userstore.Code {
	c := userstore.Code{ClientID: userstore.FirstPartyClientID, UserID: s.UserID, BrowserSession: s.ID,
		RedirectURI: "https://a.test/cb", CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Scopes: []string{"openid", "profile", "email"}, Nonce: "nonce", AuthTime: now, AMR: []string{"pwd"}, CreatedAt: now,
		ExpiresAt: now.Add(time.Minute)}
	rand.Read(c.Hash[:])
	return c
}

func redemption(u userstore.User, c userstore.Code) userstore.Redeem {
	g := newGrant(u)
	g.Scopes, g.BrowserSession = c.Scopes, c.BrowserSession
	return userstore.Redeem{Hash: c.Hash, Grant: g, Now: now}
}

// beginning returns a code with which a grant begins.
func beginning(u userstore.User, s userstore.BrowserSession, id userstore.GrantID) userstore.Code {
	c := newCode(s)
	c.Hash = sha256.Sum256(id[:])
	g := newGrant(u)
	g.ID, g.SessionID, g.Generation, g.BrowserSession = id, fmt.Sprintf("%x", id), 0, s.ID
	c.Begins = &userstore.BegunGrant{Grant: g}
	return c
}

// goingOn returns the redemption of that code.
func goingOn(u userstore.User, s userstore.BrowserSession, id userstore.GrantID, at time.Time) userstore.Redeem {
	c := beginning(u, s, id)
	r := redemption(u, c)
	r.Grant, r.Begun, r.Now = c.Begins.Grant, true, at
	r.Grant.Generation = 1
	return r
}

// inBrowser returns a user with a browser session and a code that may be redeemed.
func inBrowser(tb testing.TB, db *sqlstore.DB) (userstore.User, userstore.BrowserSession, userstore.Code) {
	tb.Helper()
	u := newUser()
	s := newSession(u)
	c := newCode(s)
	for _, err := range []error{db.CreateUser(tb.Context(), u),
		db.StartSession(tb.Context(), userstore.StartSession{Session: s, PasswordHash: u.PasswordHash}),
		db.SaveCode(tb.Context(), c, nil, time.Time{})} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return u, s, c
}

// T-04: replicas with pools of their own.
func TestT04OneCodeAtThreeReplicas(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{"sqlite": sqltest.SQLitePath(t), "postgres": sqltest.PostgresURL(t)} {
		t.Run(engine, func(t *testing.T) {
			storetest.RedeemAtOnce(t, open(t, url, sqlstore.Options{}), open(t, url, sqlstore.Options{}),
				open(t, url, sqlstore.Options{}))
		})
	}
}

// Replicas with pools of their own give a user one subject for each sector.
func TestOneSubjectAtThreeReplicas(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{"sqlite": sqltest.SQLitePath(t), "postgres": sqltest.PostgresURL(t)} {
		t.Run(engine, func(t *testing.T) {
			storetest.SubjectsAtOnce(t, open(t, url, sqlstore.Options{}), open(t, url, sqlstore.Options{}),
				open(t, url, sqlstore.Options{}))
		})
	}
}

// A client is deleted in steps, however many rows it has.
func TestDeletingAClientWithManyGrants(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{})
	admin := session(t, url)
	psql(t, admin,
		`INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at) VALUES ('big', '', TRUE, TRUE, '[]', '[]', '[]', '', 7, 0, 7)`,
		`INSERT INTO users SELECT 'u'||n, 'e'||n, 'e'||n, TRUE, '', '', '{}', '[]', TRUE, FALSE, n, n, 1, 0, '', 'h' FROM generate_series(1, 2500) n`,
		`INSERT INTO grants SELECT decode(md5(n::text), 'hex'), 1, n, 0, 0, 0, n, n, n, 1, CASE WHEN n % 5 = 0 THEN 'signet' ELSE 'big' END, 'u'||n, 's'||n, '[]', '[]', '[]', '', '', '', '' FROM generate_series(1, 2500) n`,
		`INSERT INTO consents SELECT 'u'||n, CASE WHEN n % 5 = 0 THEN 'signet' ELSE 'big' END, '', n, n, '[]' FROM generate_series(1, 2500) n`)
	if err := db.DeleteClient(t.Context(), "big"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"grants", "consents"} {
		if n := one[int64](t, admin, `SELECT count(*) FROM `+table); n != 500 {
			t.Errorf("%d %s are left, want those 500 of another client", n, table)
		}
	}
	// An interrupted deletion leaves the client disabled, and a second one goes on.
	psql(t, admin, `UPDATE clients SET disabled_at = 0 WHERE id = 'signet'`,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = 'P0001'; END $$`,
		`CREATE TRIGGER fail BEFORE DELETE ON consents FOR EACH ROW EXECUTE FUNCTION fail()`)
	unavailable(t, "deletion", db.DeleteClient(t.Context(), "signet"))
	c, err := db.ClientByID(t.Context(), "signet")
	if err != nil || c.DisabledAt.IsZero() {
		t.Fatalf("the client afterwards: %+v, %v", c, err)
	}
	psql(t, admin, `DROP TRIGGER fail ON consents`)
	if err := db.DeleteClient(t.Context(), "signet"); err != nil {
		t.Fatal(err)
	}
	if n := one[int64](t, admin, `SELECT count(*) FROM consents`); n != 0 {
		t.Errorf("%d consents are left", n)
	}
}

// The migration to the provider leaves older rows unchanged and sets how their clients
// authenticate.
func TestMigrationToTheProvider(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c, err := db.ClientByID(t.Context(), userstore.FirstPartyClientID)
		if err != nil || c.AuthMethod != userstore.AuthNone || c.Version != 1 || !c.UpdatedAt.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
		// A row that an older binary inserts is readable.
		old := `INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg, epoch, disabled_at, created_at)
			VALUES ('old', '', ` + yes(db) + `, ` + yes(db) + `, '[]', '[]', '[]', '', 1, 0, 0)`
		if err := sqlstore.Exec(t.Context(), db, old); err != nil {
			t.Fatal(err)
		}
		if c, err := db.ClientByID(t.Context(), "old"); err != nil || c.Version != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
