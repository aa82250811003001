//go:build unix

package sqlstore_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/faultproxy"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// twoHosts returns an address that names two proxies before one database.
func twoHosts(t *testing.T, address, parameters string) (first, second *faultproxy.Proxy, several string) {
	t.Helper()
	before := func() (*faultproxy.Proxy, *url.URL) {
		p, text, err := faultproxy.BeforePostgres(address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return p, u
	}
	first, u := before()
	second, _ = before()
	u.Host = first.Addr() + "," + second.Addr()
	u.RawQuery += parameters
	return first, second, u.String()
}

var blackHole = faultproxy.Faults{Hold: map[faultproxy.Direction]bool{faultproxy.ToTarget: true, faultproxy.ToClient: true}}

// The first host of the address hangs: nothing is refused, and nothing is answered. The next host is
// found, and from then on tried first.
func TestF03TheFirstOfSeveralHostsHangs(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{"as it is": "", "with what libpq needs": "&target_session_attrs=read-write"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second, address := twoHosts(t, sqltest.PostgresURL(t), parameters)
			db := open(t, address, sqlstore.Options{MaxConns: 2})
			u, _ := create(t, db)
			if n := second.Accepted(); n != 0 {
				t.Fatalf("the second host took %d connections while the first one answered", n)
			}
			first.Set(blackHole)
			unavailable(t, "a call on an open connection", db.SetActive(t.Context(), u.ID, false, now))
			ready(t, db)
			if err := db.SetActive(t.Context(), u.ID, false, now); err != nil {
				t.Errorf("a call on a connection to the second host: %v", err)
			}
			tried := first.Accepted()
			for range 3 {
				second.Reset()
				ready(t, db)
			}
			if n := first.Accepted(); n != tried {
				t.Errorf("the host that hangs was tried %d times more", n-tried)
			}
			second.Set(faultproxy.Faults{Refuse: true}) // and back again
			second.Reset()
			first.Heal()
			ready(t, db)
			if _, err := db.UserByID(t.Context(), u.ID); err != nil {
				t.Error(err)
			}
		})
	}
}

// A store whose address names several hosts migrates over the one that takes writes.
func TestSeveralHostsOfWhichOneAnswers(t *testing.T) {
	t.Parallel()
	first, _, address := twoHosts(t, sqltest.PostgresURL(t), "&target_session_attrs=read-write")
	first.Set(faultproxy.Faults{Refuse: true})
	db := open(t, address, sqlstore.Options{MaxConns: 2})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, db)
}

// A connection whose answers, or requests, vanish is given up and closed, and its place is taken by
// another one, long before the kernel notices.
func TestF09HalfOpenConnections(t *testing.T) {
	t.Parallel()
	for name, direction := range map[string]faultproxy.Direction{"requests vanish": faultproxy.ToTarget, "answers vanish": faultproxy.ToClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, address, err := faultproxy.BeforePostgres(sqltest.PostgresURL(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			db := open(t, address, sqlstore.Options{MaxConns: 2})
			u, _ := create(t, db)
			before := p.Accepted()
			p.Set(faultproxy.Faults{Hold: map[faultproxy.Direction]bool{direction: true}})
			within(t, "a call", 9*time.Second, func() {
				_, err := db.UserByID(t.Context(), u.ID)
				unavailable(t, "a call", err)
			})
			unavailable(t, "ping", db.Ping(t.Context()))
			within(t, "until the connections are free", 30*time.Second, func() {
				for db.Stats().InUse > 0 {
					time.Sleep(10 * time.Millisecond)
				}
			})
			p.Heal()
			ready(t, db)
			if _, err := db.UserByID(t.Context(), u.ID); err != nil {
				t.Error(err)
			}
			if p.Accepted() == before {
				t.Error("no new connection was made")
			}
		})
	}
}
