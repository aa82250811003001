package admin_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func TestPagesOfUsersAreStable(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		for i := range 7 { // all of one instant, so that only ids order them
			s.SignUp(fmt.Sprintf("user%d", i))
		}
		seen, cursor := map[string]int{}, ""
		for page := 0; ; page++ {
			var p userPage
			s.Do(apitest.Request{Path: "/v1/admin/users?limit=3" + cursor, Token: admin.Access,
				Replica: page % 2}).Want(200, "").JSON(&p)
			for _, u := range p.Users {
				seen[u.Email]++
			}
			if page == 0 { // somebody comes and somebody goes between the pages
				gone := p.Users[2] // where the page ended
				if gone.Sub == root.ID {
					gone = p.Users[1]
				}
				s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + gone.Sub, Token: admin.Access}).Want(204, "")
				s.Advance(time.Second)
				s.SignUp("late")
			}
			if p.Next == "" {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(p.Next)
		}
		if len(seen) != 9 {
			t.Errorf("seen %d of 9: %v", len(seen), seen)
		}
		for email, n := range seen {
			if n != 1 {
				t.Errorf("%s was listed %d times", email, n)
			}
		}
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// halting is a store whose searches give up after each user that they have read.
type halting struct{ apitest.Store }

func (h halting) ListUsers(ctx context.Context, q userstore.UserQuery) (userstore.UserPage, error) {
	searched := q.Text
	q.Text, q.Limit = "", 1
	page, err := h.Store.ListUsers(ctx, q)
	page.Users = slices.DeleteFunc(slices.Clone(page.Users), func(u userstore.User) bool {
		return !strings.Contains(u.Email, searched)
	})
	return page, err
}

// A page of a search that gives up may be short, or empty, and says where to go on all the same.
func TestASearchThatGivesUpGoesOn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		for _, name := range []string{"alice", "bob", "carol", "bobby"} {
			s.SignUp(name)
			s.Advance(time.Second)
		}
		var pages []string
		for cursor := "?search=bob"; cursor != ""; {
			var p userPage
			s.Do(apitest.Request{Path: "/v1/admin/users" + cursor, Token: admin.Access}).Want(200, "").JSON(&p)
			pages, cursor = append(pages, p.emails()), ""
			if p.Next != "" {
				cursor = "?search=bob&cursor=" + url.QueryEscape(p.Next)
			}
		}
		if got, want := strings.Join(pages, "|"), "||bob||bobby|"; got != want {
			t.Errorf("pages %q, want %q", got, want)
		}
	}, func(o *apitest.Options) { o.Store = func(db *sqlstore.DB) apitest.Store { return halting{db} } })
}

func TestCursorsAreMadeHereOnly(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		s.SignUp("alice")
		s.SignUp("bob")
		next := func(path string) string {
			var p userPage
			s.Do(apitest.Request{Path: path, Token: admin.Access}).Want(200, "").JSON(&p)
			if p.Next == "" {
				t.Fatalf("%s has one page", path)
			}
			return p.Next
		}
		cursor, filtered, log := next("/v1/admin/users?limit=1"), next("/v1/admin/users?limit=1&search=example"),
			next("/v1/admin/audit?limit=1")
		get := func(s *apitest.Server, path, cursor string) *apitest.Response {
			return s.Do(apitest.Request{Path: path + "&cursor=" + url.QueryEscape(cursor), Token: admin.Access})
		}
		get(s, "/v1/admin/users?limit=1", cursor).Want(200, "")
		get(s, "/v1/admin/users?limit=2", cursor).Want(200, "") // a page may be larger than the one before
		get(s, "/v1/admin/users?search=example", filtered).Want(200, "")
		get(s, "/v1/admin/audit?limit=9", log).Want(200, "")

		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			t.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		second := apitest.New(t, apitest.Options{})
		_, stranger := second.Admin("root")
		second.SignUp("x")
		var p userPage
		second.Do(apitest.Request{Path: "/v1/admin/users?limit=1", Token: stranger.Access}).Want(200, "").JSON(&p)
		for _, row := range []struct{ name, path, cursor string }{
			{"cut off", "/v1/admin/users?limit=1", cursor[:len(cursor)-4]},
			{"longer", "/v1/admin/users?limit=1", encode(append(raw[:len(raw):len(raw)], 'A'))},
			{"nothing but a signature", "/v1/admin/users?limit=1", encode(raw[:32])},
			{"without a signature", "/v1/admin/users?limit=1", encode(raw[32:])},
			{"signed with nothing", "/v1/admin/users?limit=1", encode(append(make([]byte, 32), raw[32:]...))},
			{"padded", "/v1/admin/users?limit=1", cursor + "="},
			{"with a line feed", "/v1/admin/users?limit=1", cursor[:10] + "\n" + cursor[10:]},
			{"text", "/v1/admin/users?limit=1", "2026-11-21T12:00:00Z"},
			{"a number", "/v1/admin/users?limit=1", "2"},
			{"SQL", "/v1/admin/users?limit=1", "' OR '1'='1"},
			{"250 characters", "/v1/admin/users?limit=1", strings.Repeat("A", 250)},
			{"of the audit log", "/v1/admin/users?limit=1", log},
			{"of the users, at the audit log", "/v1/admin/audit?limit=1", cursor},
			{"with a condition that it was not made with", "/v1/admin/users?limit=1&role=admin", cursor},
			{"without the condition that it was made with", "/v1/admin/users?limit=1", filtered},
			{"with another value of the condition", "/v1/admin/users?limit=1&search=alice", filtered},
			{"of another issuer", "/v1/admin/users?limit=1", p.Next},
		} {
			t.Run(row.name, func(t *testing.T) {
				if res := get(s.With(t), row.path, row.cursor).Want(400, "validation_error"); res.Faults() != "cursor:invalid" {
					t.Error(res.Faults())
				}
			})
		}
		t.Run("one bit flipped, anywhere", func(t *testing.T) {
			s := s.With(t)
			for i := range raw {
				forged := append([]byte{}, raw...)
				forged[i] ^= 1 << (i % 8)
				get(s, "/v1/admin/users?limit=1", encode(forged)).Want(400, "validation_error")
			}
		})
	})
}

// TestS04WhatAListIsNotAskedFor: there is no order to inject into, and nothing unknown is passed
// over.
func TestS04WhatAListIsNotAskedFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		for path, faults := range map[string]string{
			"users?order=email;drop":                   "", // a semicolon is no separator any more: the query cannot be read
			"users?order=email%3Bdrop":                 "order:unknown_field",
			"users?order=(select%20password_hash)":     "order:unknown_field",
			"users?sort=email":                         "sort:unknown_field",
			"users?sort_by=email&order_by=1&filter=x":  "filter:unknown_field order_by:unknown_field sort_by:unknown_field",
			"users?Search=x":                           "Search:unknown_field",
			"users?search%5B%5D=x":                     ":unknown_field",
			"users?%3Cscript%3E=x":                     ":unknown_field",
			"users?id=x":                               "id:unknown_field",
			"users?search=a&search=b":                  "search:duplicate_field",
			"users?status=Active":                      "status:invalid",
			"users?status=active'":                     "status:invalid",
			"users?status=":                            "status:invalid",
			"users?role=":                              "role:invalid",
			"users?cursor=":                            "cursor:invalid",
			"users?limit=0":                            "limit:invalid",
			"users?limit=-1":                           "limit:invalid",
			"users?limit=501":                          "limit:invalid",
			"users?limit=1e3":                          "limit:invalid",
			"users?limit=+1":                           "limit:invalid",
			"users?limit=%2B1":                         "limit:invalid",
			"users?limit=01":                           "limit:invalid",
			"users?limit=99999999999999999999":         "limit:invalid",
			"users?limit=1&limit=2":                    "limit:duplicate_field",
			"users?search=" + strings.Repeat("x", 257): "search:too_long",
			"users?search=%zz":                         "",
			"audit?order=at":                           "order:unknown_field",
			"audit?event=login":                        "event:invalid",
			"audit?event=login_failed'":                "event:invalid",
			"audit?from=yesterday":                     "from:invalid",
			"audit?from=2026-11-21":                    "from:invalid",
			"audit?from=2026-11-21T12:00:00":           "from:invalid",
			"audit?from=2026-11-21T12:00:00+02:00":     "from:invalid", // a + is a space here
			"audit?to=2026-13-21T12:00:00Z":            "to:invalid",
			"audit?to=1":                               "to:invalid",
			"audit?from=2026-11-21T12:00:00Z&to=2026-11-21T12:00:00Z": "to:invalid",
			"audit?actor=":                              "actor:invalid",
			"audit?target=a&target=b":                   "target:duplicate_field",
			"audit?limit=x&from=x":                      "from:invalid limit:invalid",
			"users/AAAAAAAAAAAAAAAAAAAAAA?dry_run=true": "dry_run:unknown_field",
		} {
			t.Run("S-04 "+path[:min(len(path), 50)], func(t *testing.T) {
				s := s.With(t)
				code := "validation_error"
				if faults == "" {
					code = "invalid_request"
				}
				if res := s.Do(apitest.Request{Path: "/v1/admin/" + path,
					Token: admin.Access}).Want(400, code); res.Faults() != faults {
					t.Errorf("%s, want %s", res.Faults(), faults)
				}
			})
		}
		t.Run("S-04 a parameter of a write is not passed over either", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			s.Unchanged(func() {
				for _, q := range s.AdminRoutes(bob.ID, "x", "editor") {
					if q.Method != "GET" {
						q.Path, q.Token, q.Body = q.Path+"?dry_run=1", admin.Access, apitest.Fields{}
						s.Do(q).Want(400, "validation_error")
					}
				}
			})
		})
	})
}
