package sqlstore_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

func TestUnreachablePostgresIsOneSentence(t *testing.T) {
	absent, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	absent.Path = "/nonesuch"
	for _, row := range []struct {
		name, url string
		want      []string
	}{
		{"nothing listens", "postgres://u:hunter2@127.0.0.1:1/d?sslmode=prefer",
			[]string{"PostgreSQL at 127.0.0.1:1 cannot be reached: nothing listens there; check"}},
		{"two hosts", "postgres://u:hunter2@127.0.0.1:1,127.0.0.1:2/d?sslmode=prefer",
			[]string{"at 127.0.0.1:1 or 127.0.0.1:2 cannot"}},
		{"no socket", "postgres://u:hunter2@/d?host=/nonexistent",
			[]string{"at /nonexistent/.s.PGSQL.5432 cannot", "no such socket"}},
		{"no such host", "postgres://u:hunter2@nonesuch.invalid/d",
			[]string{"at nonesuch.invalid:5432 cannot", "in database_url"}},
		{"no such database", absent.String(), []string{`it has no database "nonesuch"; make it`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := sqlstore.Open(t.Context(), row.url, sqlstore.Options{})
			says(t, err, row.want...)
			var u *sqlstore.UnreachableError
			if !errors.As(err, &u) || !errors.Is(err, userstore.ErrUnavailable) || u.Cause == nil {
				t.Fatalf("%#v", err)
			}
			if text := err.Error(); strings.ContainsAny(text, "\n\t") || strings.Contains(text, "hunter2") {
				t.Errorf("not one sentence, or one with a secret: %q", text)
			}
		})
	}
}
