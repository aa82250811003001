package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore/registration"
)

// told is an event's changes, each as field:before>after.
func told(e audit.Event) string {
	var out []string
	for _, c := range e.Changes {
		out = append(out, c.Field+":"+c.Before+">"+c.After)
	}
	return strings.Join(out, " ")
}

// registerClient registers a confidential client called App, and answers its id.
func registerClient(s *apitest.Server, token string) string {
	s.T.Helper()
	var made struct {
		ID string `json:"client_id"`
	}
	s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/clients", Token: token, Body: apitest.Fields{
		"client_name": "App", "redirect_uris": []string{"https://app.test/cb"}}}).Want(201, "").JSON(&made)
	return made.ID
}

// clientSecretIn is the secret in an answer, or what no text holds.
func clientSecretIn(a *apitest.Response) string {
	var made struct {
		Secret string `json:"client_secret"`
	}
	if json.Unmarshal(a.Body, &made) != nil || made.Secret == "" {
		return "\x00"
	}
	return made.Secret
}

// TestO10EveryWriteOfAnAdminIsOneEvent goes by the list of routes: a write that this table does not
// know fails it.
func TestO10EveryWriteOfAnAdminIsOneEvent(t *testing.T) {
	const secret = "a secret password that nobody logs"
	type write struct {
		body    apitest.Fields
		event   audit.Name
		changes string
		refused apitest.Fields // a body that is refused; nil: an id that nobody has is
		again   bool           // done twice it changes nothing the second time, and is no event then
	}
	table := map[string]write{
		"POST /v1/admin/users": {
			body: apitest.Fields{"email": "new@example.test", "password": secret, "roles": []string{"editor"},
				"email_verified": true},
			event: audit.UserCreated, changes: "email_verified:false>true roles:>editor",
			refused: apitest.Fields{"email": "new2@example.test", "password": "short"},
		},
		"PATCH /v1/admin/users/{id}": {
			body:    apitest.Fields{"email": "bob2@example.test", "is_staff": true, "roles": []string{"x", "a"}, "name": "Bob"},
			event:   audit.UserUpdated,
			changes: "email:bob@example.test>bob2@example.test is_staff:false>true roles:>a x name:>Bob",
			refused: apitest.Fields{"roles": []string{"NO"}, "name": "Eve"}, again: true,
		},
		"POST /v1/admin/users/{id}/disable": {event: audit.UserUpdated,
			changes: "is_active:true>false", again: true},
		"POST /v1/admin/users/{id}/enable": {event: audit.UserUpdated,
			changes: "is_active:false>true", again: true},
		"POST /v1/admin/users/{id}/verify-email": {event: audit.UserUpdated,
			changes: "email_verified:false>true", again: true},
		"POST /v1/admin/users/{id}/invite": {event: audit.UserInvited},
		"POST /v1/admin/users/{id}/password": {body: apitest.Fields{"new_password": secret}, event: audit.PasswordSet,
			refused: apitest.Fields{"new_password": "short"}},
		"PUT /v1/admin/users/{id}/roles/{role}":    {event: audit.UserUpdated, changes: "roles:>editor", again: true},
		"DELETE /v1/admin/users/{id}/roles/{role}": {event: audit.UserUpdated, changes: "roles:editor>", again: true},
		"DELETE /v1/admin/users/{id}/factors":      {event: audit.FactorRemoved, changes: "totp:{factor}>", again: true},
		"DELETE /v1/admin/users/{id}/factors/{factor}": {event: audit.FactorRemoved, changes: "totp:{factor}>",
			again: true},
		"DELETE /v1/admin/users/{id}/sessions":       {event: audit.SessionsRevoked},
		"DELETE /v1/admin/users/{id}/sessions/{sid}": {event: audit.SessionRevoked},
		"DELETE /v1/admin/users/{id}":                {event: audit.UserDeleted},
		"POST /v1/admin/clients": {
			body:  apitest.Fields{"client_name": "New", "grant_types": []string{"client_credentials"}, "scope": "a b"},
			event: audit.ClientCreated, changes: "client_name:>New token_endpoint_auth_method:>client_secret_basic grant_types:>client_credentials scope:>a b",
			refused: apitest.Fields{"client_name": "New", "redirect_uris": []string{"javascript:alert(1)"}},
		},
		"PATCH /v1/admin/clients/{client_id}": {
			body:  apitest.Fields{"client_name": "Shop", "redirect_uris": []string{"https://shop.test/cb"}},
			event: audit.ClientUpdated, changes: "client_name:App>Shop redirect_uris:https://app.test/cb>https://shop.test/cb",
			refused: apitest.Fields{"client_name": "Shop", "pkce": "plain"}, again: true,
		},
		"POST /v1/admin/clients/{client_id}/secret": {event: audit.ClientSecretRotated},
		"POST /v1/admin/clients/{client_id}/disable": {event: audit.ClientUpdated,
			changes: "disabled:false>true", again: true},
		"POST /v1/admin/clients/{client_id}/enable": {event: audit.ClientUpdated,
			changes: "disabled:true>false", again: true},
		"DELETE /v1/admin/clients/{client_id}": {event: audit.ClientDeleted},
		"POST /v1/admin/registration-tokens": {body: apitest.Fields{"note": "the build", "uses": 2},
			event: audit.RegistrationTokenCreated, refused: apitest.Fields{"uses": -1}},
		"DELETE /v1/admin/registration-tokens/{id}": {event: audit.RegistrationTokenRevoked},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Secret(secret)
		root, admin := s.Admin("root")
		for _, r := range s.Replicas[0].API.Routes() {
			if !strings.HasPrefix(r.Path, "/v1/admin") || r.Method == "GET" {
				continue
			}
			name := r.Method + " " + r.Path
			w, known := table[name]
			if !known {
				t.Errorf("O-10 nothing is known of %s: what event is it?", name)
				continue
			}
			t.Run("O-10 "+name, func(t *testing.T) {
				s := s.With(t)
				bob := s.SignUp("bob")
				session := s.Login(bob).SessionID()
				if strings.HasSuffix(r.Path, "/invite") { // only who has no password
					var made struct {
						ID string `json:"sub"`
					}
					s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users", Token: admin.Access,
						Body: apitest.Fields{"email": "invited@example.test", "invite": true}}).Want(201, "").JSON(&made)
					bob.ID = made.ID
				}
				subject, about, factor := audit.User(bob.ID), "/v1/admin/users", ""
				if strings.HasPrefix(r.Path, "/v1/admin/clients") {
					subject, about = audit.Target{Type: audit.OnClient, ID: registerClient(s, admin.Access)}, "/v1/admin/clients"
				}
				if tokens := "/v1/admin/registration-tokens"; strings.HasPrefix(r.Path, tokens) {
					about = tokens
					row, _, err := s.Replicas[0].API.Clients.CreateRegistrationToken(t.Context(), registration.NewToken{})
					if err != nil {
						t.Fatal(err)
					}
					subject = audit.Target{Type: audit.OnRegistrationToken, ID: row.ID}
				}
				switch { // what there must be to be taken away
				case r.Path == "/v1/admin/clients/{client_id}/enable":
					s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/clients/" + subject.ID + "/disable",
						Token: admin.Access}).Want(200, "")
				case strings.HasSuffix(r.Path, "/enable"):
					s.Do(apitest.Request{Method: "POST", Path: "/v1/admin/users/" + bob.ID + "/disable",
						Token: admin.Access}).Want(200, "")
				case name == "DELETE /v1/admin/users/{id}/roles/{role}":
					s.Give(bob, "editor")
				case strings.Contains(r.Path, "/factors"):
					s.WithApp(bob)
					factor = apitest.FactorsOf(s, bob).App.ID
				}
				do := func(id string, body apitest.Fields) *apitest.Response {
					q := apitest.Request{
						Method: r.Method, Token: admin.Access, Header: http.Header{"User-Agent": {"console/1"}},
						Path: strings.NewReplacer("{id}", id, "{client_id}", id, "{sid}", session, "{role}", "editor",
							"{factor}", factor).Replace(r.Path),
					}
					if body != nil {
						q.Body = body
					}
					return s.Do(q)
				}

				var no *apitest.Response
				if w.refused != nil {
					no = do(subject.ID, w.refused)
				} else {
					no = do("AAAAAAAAAAAAAAAAAAAAAA", w.body)
				}
				if no.Status/100 != 4 {
					t.Fatalf("not refused: %d", no.Status)
				}
				if events := s.EventsOf(no); len(events) != 0 {
					t.Errorf("a refused write left %+v", events)
				}

				yes := do(subject.ID, w.body)
				if yes.Status/100 != 2 {
					t.Fatalf("%d %s", yes.Status, yes.Body)
				}
				events := s.EventsOf(yes)
				if len(events) != 1 {
					t.Fatalf("%d events: %+v", len(events), events)
				}
				e := events[0]
				if r.Path == about {
					subject.ID = strings.TrimPrefix(yes.Header.Get("Location"), about+"/")
				}
				if r.Path == "/v1/admin/registration-tokens" { // which has no page of its own
					var made struct{ ID string }
					yes.JSON(&made)
					subject.ID = made.ID
				}
				in := admin.SessionID()
				if e.Name == audit.SessionRevoked {
					in = session
				}
				want := audit.Event{
					ID: e.ID, At: s.Clock.Now(), Name: w.event, Outcome: audit.Success,
					Actor: audit.Actor{Type: audit.ByUser, ID: root.ID}, Target: subject,
					ClientID: "signet", SessionID: in, Address: "127.0.0.1", UserAgent: "console/1",
					RequestID: yes.Header.Get("X-Request-Id"), Changes: e.Changes,
				}
				if fmt.Sprint(e) != fmt.Sprint(want) || e.ID == "" {
					t.Errorf("\n got %+v\nwant %+v", e, want)
				}
				w.changes = strings.Replace(w.changes, "{factor}", factor, 1)
				if told(e) != w.changes {
					t.Errorf("changes %q, want %q", told(e), w.changes)
				}
				if text, _ := json.Marshal(e); strings.Contains(string(text), secret) ||
					strings.Contains(string(text), bob.Password) || strings.Contains(string(text), "$argon2") ||
					strings.Contains(string(text), clientSecretIn(yes)) {
					t.Errorf("a secret: %s", text)
				}
				if w.again {
					if events := s.EventsOf(do(subject.ID, w.body)); len(events) != 0 {
						t.Errorf("what changed nothing left %+v", events)
					}
				}
				if _, err := s.DB.UserByID(t.Context(), bob.ID); err == nil { // the name is used again
					s.Do(apitest.Request{Method: "DELETE", Path: "/v1/admin/users/" + bob.ID, Token: admin.Access}).Want(204, "")
				}
			})
		}
	})
}

type eventDoc struct {
	ID      string
	Time    time.Time
	Event   string
	Outcome string
	Actor   struct{ Type, ID string }
	Target  struct{ Type, ID string }
}

type eventPage struct {
	Events []eventDoc
	Next   string `json:"next_cursor"`
}

func (p eventPage) names() string {
	var out []string
	for _, e := range p.Events {
		out = append(out, e.Event)
	}
	return strings.Join(out, " ")
}

func TestAdminsReadTheAuditLog(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, admin := s.Admin("root")
		s.Advance(time.Minute)
		start := s.Clock.Now()
		bob := s.SignUp("bob")
		s.Advance(time.Second)
		s.Do(apitest.Request{Method: "PUT", Path: "/v1/admin/users/" + bob.ID + "/roles/editor",
			Token: admin.Access}).Want(200, "")
		s.Advance(time.Second)
		s.Login(bob)
		at := func(d time.Duration) string { return url.QueryEscape(start.Add(d).Format(time.RFC3339Nano)) }
		for query, want := range map[string]string{
			"?target=" + bob.ID:                         "login_succeeded user_updated user_created",
			"?target=" + bob.ID + "&actor=" + root.ID:   "user_updated",
			"?actor=" + bob.ID:                          "login_succeeded",
			"?event=user_updated&target=" + bob.ID:      "user_updated",
			"?event=users_exported":                     "",
			"?actor=nobody":                             "",
			"?target=%25":                               "",
			"?from=" + at(0):                            "login_succeeded user_updated user_created",
			"?from=" + at(1*time.Second):                "login_succeeded user_updated",
			"?from=" + at(0) + "&to=" + at(time.Second): "user_created",
			"?from=" + at(0) + "&to=" + at(time.Second+time.Microsecond): "user_updated user_created",
			"?from=" + at(time.Hour):                                     "",
			"?limit=2&target=" + bob.ID:                                  "login_succeeded user_updated",
			"?from=" + url.QueryEscape(start.In(time.FixedZone("", 7200)).Format(time.RFC3339)) +
				"&event=user_created": "user_created",
		} {
			t.Run(query[:min(len(query), 40)], func(t *testing.T) {
				var p eventPage
				s.With(t).Do(apitest.Request{Path: "/v1/admin/audit" + query, Token: admin.Access}).Want(200, "").JSON(&p)
				if p.names() != want {
					t.Errorf("%s: %q, want %q", query, p.names(), want)
				}
			})
		}
		t.Run("an entry has all that is known", func(t *testing.T) {
			var p eventPage
			s.With(t).Do(apitest.Request{Path: "/v1/admin/audit?event=user_updated&target=" + bob.ID,
				Token: admin.Access}).Want(200, "").JSON(&p)
			e := p.Events[0]
			if e.Actor.Type != "user" || e.Actor.ID != root.ID || e.Target.Type != "user" || e.Target.ID != bob.ID ||
				e.Outcome != "success" || !e.Time.Equal(start.Add(time.Second)) {
				t.Errorf("%+v", e)
			}
		})
		t.Run("reading leaves no entry", func(t *testing.T) {
			s := s.With(t)
			for _, path := range []string{"users", "audit", "users/" + bob.ID, "users/" + bob.ID + "/sessions"} {
				if events := s.EventsOf(
					s.Do(apitest.Request{Path: "/v1/admin/" + path, Token: admin.Access}).Want(200, "")); len(events) != 0 {
					t.Errorf("%s left %+v", path, events)
				}
			}
		})
	})
}

// TestTheAuditLogIsPaged while it grows: each entry once, and none of those that came meanwhile.
func TestTheAuditLogIsPaged(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		bob := s.SignUp("bob")
		for range 6 { // most of one instant
			s.Login(bob)
		}
		var whole eventPage
		s.Do(apitest.Request{Path: "/v1/admin/audit?limit=500", Token: admin.Access}).Want(200, "").JSON(&whole)
		if whole.Next != "" || len(whole.Events) < 10 {
			t.Fatalf("%d events, next %q", len(whole.Events), whole.Next)
		}
		t.Run("by cursor", func(t *testing.T) {
			s := s.With(t)
			var paged []eventDoc
			for cursor := ""; ; {
				var p eventPage
				s.Do(apitest.Request{Path: "/v1/admin/audit?limit=3" + cursor, Token: admin.Access}).Want(200, "").JSON(&p)
				paged = append(paged, p.Events...)
				if p.Next == "" {
					break
				}
				s.Advance(time.Second)
				s.Login(bob)
				cursor = "&cursor=" + p.Next
			}
			if fmt.Sprint(paged) != fmt.Sprint(whole.Events) {
				t.Errorf("\n got %v\nwant %v", paged, whole.Events)
			}
		})
		t.Run("as JSON lines, by Link", func(t *testing.T) {
			s := s.With(t)
			to := url.QueryEscape(whole.Events[0].Time.Add(time.Microsecond).Format(time.RFC3339Nano))
			var lines []eventDoc
			for path := "/v1/admin/audit?limit=4&to=" + to; path != ""; {
				res := s.Do(apitest.Request{Path: path, Token: admin.Access,
					Header: http.Header{"Accept": {"text/plain, application/x-ndjson;q=0.9"}}}).Want(200, "")
				if got := res.Header.Get("Content-Type"); got != "application/x-ndjson" {
					t.Fatalf("Content-Type %q", got)
				}
				for _, line := range strings.Split(strings.TrimSuffix(string(res.Body), "\n"), "\n") {
					var e eventDoc
					if err := json.Unmarshal([]byte(line), &e); err != nil {
						t.Fatalf("%v: %s", err, line)
					}
					lines = append(lines, e)
				}
				link := res.Header.Get("Link")
				path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
				if link != "" && !strings.HasSuffix(link, `>; rel="next"`) {
					t.Fatalf("Link %q", link)
				}
			}
			if fmt.Sprint(lines) != fmt.Sprint(whole.Events) {
				t.Errorf("\n got %v\nwant %v", lines, whole.Events)
			}
		})
		t.Run("no line of nothing", func(t *testing.T) {
			res := s.With(t).Do(apitest.Request{Path: "/v1/admin/audit?actor=nobody", Token: admin.Access,
				Header: http.Header{"Accept": {"application/x-ndjson"}}}).Want(200, "")
			if len(res.Body) != 0 || res.Header.Get("Link") != "" {
				t.Errorf("%q", res.Body)
			}
		})
		t.Run("JSON for everybody else", func(t *testing.T) {
			for _, accept := range []string{"*/*", "application/json", "application/x-ndjson;q=0", "application/*", "x", ""} {
				res := s.With(t).Do(apitest.Request{Path: "/v1/admin/audit?limit=1", Token: admin.Access,
					Header: http.Header{"Accept": {accept}}}).Want(200, "")
				if got := res.Header.Get("Content-Type"); got != "application/json" {
					t.Errorf("Accept %q: %q", accept, got)
				}
			}
		})
		t.Run("what a terminal would obey is escaped in an export", func(t *testing.T) {
			s := s.With(t)
			s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: admin.Access,
				Header: http.Header{"User-Agent": {"\u202etrick"}}, Body: apitest.Fields{"nickname": "x"}}).Want(200, "")
			res := s.Do(apitest.Request{Path: "/v1/admin/audit?limit=1&event=user_updated", Token: admin.Access,
				Header: http.Header{"Accept": {"application/x-ndjson"}}}).Want(200, "")
			if strings.Contains(string(res.Body), "\u202e") || !strings.Contains(string(res.Body), `\u202etrick`) {
				t.Errorf("%s", res.Body)
			}
		})
	})
}
