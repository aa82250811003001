//go:build unix

package crashes_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgproxy"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// victims are replicas that are killed at a statement, and those that a client goes to afterwards.
type victims struct {
	url   string // of the store
	start func(t *testing.T) *replica
	// arm kills the replica at its n-th statement from now on, before the store has it or once it is
	// executed; 0 kills nothing, and counts.
	arm   func(t *testing.T, r *replica, n int, executed bool)
	count func(t *testing.T, r *replica) int
	// other is where the client goes after the kill. survives: it is there all the time, else it is the
	// next to be killed.
	other    func(t *testing.T) *replica
	survives bool
}

// ofPostgres has a proxy between the replica and the server: it knows one statement from the next, and
// kills the process. Another replica is there all the time.
func ofPostgres(owner *testing.T, test string) *victims {
	url := sqltest.PostgresURL(owner)
	p := pgproxy.New(owner, url)
	survivor := startReplica(owner, owner, test, url)
	return &victims{
		url:   url,
		start: func(t *testing.T) *replica { return startReplica(t, owner, test, p.URL) },
		arm: func(_ *testing.T, r *replica, n int, executed bool) {
			kill := func() { r.kill() }
			if executed {
				p.Arm(n, pgproxy.Lose, "", kill)
			} else {
				p.Arm(n, pgproxy.Cut, "", kill)
			}
		},
		count: func(*testing.T, *replica) int { seen, _ := p.Disarm(); return len(seen) },
		other: func(*testing.T) *replica { return survivor }, survives: true,
	}
}

// ofSQLite has replicas that kill themselves, for no proxy is between them and the file. The next one
// is started on the file that the dead one left.
func ofSQLite(owner *testing.T, test string) *victims {
	path := sqltest.SQLitePath(owner)
	return &victims{
		url:   path,
		start: func(t *testing.T) *replica { return startReplica(t, owner, test, path) },
		arm: func(t *testing.T, r *replica, n int, executed bool) {
			r.ask(t, fmt.Sprintf("arm %d %t", n, executed))
		},
		count: func(t *testing.T, r *replica) (n int) {
			if _, err := fmt.Sscan(r.ask(t, "count"), &n); err != nil {
				t.Fatal(err)
			}
			return n
		},
		other: func(t *testing.T) *replica {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			var found string
			if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
				t.Fatalf("integrity_check: %s, %v", found, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return startReplica(t, owner, test, path)
		},
	}
}

// act is a request that a client repeats when its replica dies.
type act struct {
	path string
	form url.Values     // nil: body
	body apitest.Fields // as JSON

	email, password, user string // of the account that it is about
}

func (a act) send(r *replica) (status int, answer map[string]any, err error) {
	kind, text := "application/x-www-form-urlencoded", a.form.Encode()
	if a.form == nil {
		b, err := json.Marshal(a.body)
		if err != nil {
			return 0, nil, err
		}
		kind, text = "application/json", string(b)
	}
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(r.url+a.path, kind, strings.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, answer, json.NewDecoder(resp.Body).Decode(&answer)
}

func (a act) want(t *testing.T, r *replica, status int) map[string]any {
	t.Helper()
	got, answer, err := a.send(r)
	if err != nil || got != status {
		t.Fatalf("%s: %d %v, %v; want %d", a.path, got, answer, err, status)
	}
	return answer
}

// sweepKills kills a replica at every statement of an act, before and after it is executed, and hands
// the act to after, with the replica that the client goes to.
func sweepKills(
	t *testing.T, test string, prepare func(*testing.T, *replica) act,
	after func(t *testing.T, v *victims, other *replica, a act),
) {
	if childReplica(t) {
		return
	}
	for name, of := range map[string]func(*testing.T, string) *victims{"sqlite": ofSQLite, "postgres": ofPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := of(t, test)
			r := v.start(t)
			prepare(t, r).send(r) // what a replica keeps in memory is there
			a := prepare(t, r)
			v.arm(t, r, 0, false)
			if status, answer, err := a.send(r); err != nil || status >= 300 {
				t.Fatalf("without a kill: %d %v %v", status, answer, err)
			}
			n := v.count(t, r)
			if n == 0 {
				t.Fatal("the act asks the store nothing")
			}
			for _, executed := range []bool{false, true} {
				for k := 1; k <= n; k++ {
					t.Run(fmt.Sprintf("statement %d of %d, executed %t", k, n, executed), func(t *testing.T) {
						prepare(t, r).send(r)
						a := prepare(t, r)
						v.arm(t, r, k, executed)
						if status, answer, err := a.send(r); err == nil {
							t.Fatalf("the replica lives on: %d %v", status, answer)
						}
						if got := r.wait(t); got != syscall.SIGKILL {
							t.Fatalf("the replica ended by %v", got)
						}
						other := v.other(t)
						after(t, v, other, a)
						if r = other; v.survives {
							r = v.start(t)
						}
					})
					if t.Failed() {
						return
					}
				}
			}
			t.Logf("%d kills", 2*n)
		})
	}
}

// store opens the store beside the replicas, to look at it.
func (v *victims) store(t *testing.T) *sqlstore.DB {
	db, err := sqlstore.Open(t.Context(), v.url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// liveGrants returns the generations of the grants of a user that are not revoked.
func (v *victims) liveGrants(t *testing.T, user string) (generations []int64) {
	db := v.store(t)
	defer db.Close()
	grants, err := db.ListGrants(t.Context(), user, childTime, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range grants {
		if g.RevokedAt.IsZero() {
			generations = append(generations, g.Generation)
		}
	}
	return generations
}

func signUpAct(*testing.T, *replica) act {
	a := act{path: "/v1/signup", email: fresh32() + "@example.test", password: apitest.GoodPassword}
	a.body = apitest.Fields{"email": a.email, "password": a.password}
	return a
}

func loginAct(a act) act {
	return act{path: "/v1/login", body: apitest.Fields{"email": a.email, "password": a.password}}
}

func refreshAct(token any) act {
	return act{path: "/v1/refresh", body: apitest.Fields{"refresh_token": token}}
}

// F-17: a client whose replica is killed at any statement of a refresh repeats it at another replica,
// and keeps its session: one lineage, whose next refresh works as well.
func TestF17KilledAtEveryStatementOfARefresh(t *testing.T) {
	sweepKills(t, "TestF17KilledAtEveryStatementOfARefresh", func(t *testing.T, r *replica) act {
		u := signUpAct(t, r)
		made := u.want(t, r, 201)
		a := refreshAct(loginAct(u).want(t, r, 200)["refresh_token"])
		a.user = made["sub"].(string)
		return a
	}, func(t *testing.T, v *victims, r *replica, a act) {
		next := a.want(t, r, 200)["refresh_token"]
		refreshAct(next).want(t, r, 200)
		if got := v.liveGrants(t, a.user); len(got) != 1 || got[0] != 3 {
			t.Errorf("the live grants have the generations %v; want one that was refreshed twice", got)
		}
	})
}

// F-17: an account whose sign-up was cut off is there as a whole or not at all: the client that
// repeats the sign-up logs in.
func TestF17KilledAtEveryStatementOfASignUp(t *testing.T) {
	sweepKills(t, "TestF17KilledAtEveryStatementOfASignUp", signUpAct, func(t *testing.T, _ *victims, r *replica, a act) {
		status, answer, err := a.send(r)
		if err != nil || status != 201 && (status != 409 || answer["code"] != "user_already_exists") {
			t.Fatalf("sent again: %d %v, %v", status, answer, err)
		}
		loginAct(a).want(t, r, 200)
	})
}

// F-18: a code whose redemption was cut off is redeemed by the repetition, or refused with no grant
// left that lives.
func TestF18KilledAtEveryStatementOfACodeExchange(t *testing.T) {
	var redeemed, refused atomic.Int64
	sweepKills(t, "TestF18KilledAtEveryStatementOfACodeExchange", func(t *testing.T, r *replica) act {
		made := strings.Fields(r.ask(t, "code"))
		return act{path: "/oauth2/token", user: made[1], form: url.Values{
			"grant_type": {"authorization_code"}, "client_id": {made[0]}, "redirect_uri": {"https://" + made[0] + ".test/cb"},
			"code": {made[2]}, "code_verifier": {apitest.Verifier}}}
	}, func(t *testing.T, v *victims, r *replica, a act) {
		status, answer, err := a.send(r)
		grants := v.liveGrants(t, a.user)
		switch {
		case err == nil && status == 200 && len(grants) == 1:
			redeemed.Add(1)
		case err == nil && status == 400 && answer["error"] == "invalid_grant" && len(grants) == 0:
			refused.Add(1)
		default:
			t.Errorf("sent again: %d %v, %v; live grants %v", status, answer, err, grants)
		}
	})
	t.Cleanup(func() {
		if !childOf() && !t.Failed() && (redeemed.Load() == 0 || refused.Load() == 0) {
			t.Errorf("%d codes were redeemed, %d refused: the kills missed a side of the commit",
				redeemed.Load(), refused.Load())
		}
	})
}
