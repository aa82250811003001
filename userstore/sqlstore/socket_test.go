//go:build unix

package sqlstore_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// libpq writes the folder of a socket as a percent-encoded host.
func TestSocketAsHost(t *testing.T) {
	address := pgtest.Start(t, pgtest.Options{}).URL(t) // whatever server the other tests use, this one has a socket
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	folder := u.Query().Get("host")
	if !strings.HasPrefix(folder, "/") {
		t.Fatalf("%s names no socket's folder", address)
	}
	q := u.Query()
	q.Del("host")
	port, user := "", u.User.String()
	if p := q.Get("port"); p != "" {
		port = ":" + p
		q.Del("port")
	}
	if name := q.Get("user"); user == "" && name != "" {
		user = url.User(name).String()
		q.Del("user")
	}
	encoded := "postgres://" + strings.TrimPrefix(user+"@", "@") + url.PathEscape(folder) + port + u.Path +
		"?" + q.Encode()
	if !strings.Contains(encoded, "%2F") {
		t.Fatalf("%s has no socket as its host", encoded)
	}
	db, err := sqlstore.Open(t.Context(), encoded, sqlstore.Options{})
	if err != nil {
		t.Fatalf("%s: %v", encoded, err)
	}
	defer db.Close()
	if _, err := db.Now(t.Context()); err != nil {
		t.Error(err)
	}

	_, err = sqlstore.Open(t.Context(), "postgres://somebody:hunter2hunter2@%2Fno%2Fsuch%2Ffolder/db", sqlstore.Options{})
	if err == nil || !strings.Contains(err.Error(), "/no/such/folder/.s.PGSQL.5432") ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a socket that is not there: %v", err)
	}
}
