package userstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// recorded reads the entries of the audit log that were added since its last call.
type recorded struct {
	*throttled
	seen map[string]bool
	all  []audit.Event
}

func (r *recorded) next() []audit.Event {
	r.Helper()
	a := r.replicas[0]
	a.Throttle.Drain()
	events, err := a.Store.ListEvents(r.Context(), userstore.EventQuery{Limit: 1000})
	if err != nil {
		r.Fatal(err)
	}
	var fresh []audit.Event
	for _, e := range events {
		if !r.seen[e.ID] {
			r.seen[e.ID] = true
			fresh = append(fresh, e)
		}
	}
	r.all = append(r.all, fresh...)
	return fresh
}

// The network of all requests in these tests.
const (
	someAddress = "192.0.2.7"
	someAgent   = "Some Browser/1.0"
	someRequest = "request-0001"
)

func from(ctx context.Context, actor audit.Actor) context.Context {
	return audit.WithOrigin(ctx,
		audit.Origin{Actor: actor, Address: someAddress, UserAgent: someAgent, RequestID: someRequest})
}

// Every act on accounts leaves exactly one event that says who did what to whom, from where and
// with what outcome. Invalid input leaves none, and no event holds a secret.
func TestO10EveryActOfAccountsIsRecorded(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		r := &recorded{throttled: w, seen: map[string]bool{}}
		a := w.replicas[0]
		root := audit.Actor{Type: audit.ByOperator, ID: "root"}
		stranger, operator := from(t.Context(), audit.Actor{}), from(t.Context(), root)

		names := map[string]string{"": ""}
		self := func(id string) context.Context {
			return audit.As(stranger, audit.Actor{Type: audit.ByUser, ID: id}, userstore.FirstPartyClientID, "here")
		}
		brief := func(e audit.Event) string {
			line := fmt.Sprintf("%s %s", e.Name, e.Outcome)
			if e.Reason != "" {
				line += " (" + e.Reason + ")"
			}
			line += " by " + string(e.Actor.Type)
			switch name, known := names[e.Actor.ID]; {
			case known && name != "":
				line += " " + name
			case e.Actor.ID != "":
				line += " " + e.Actor.ID
			}
			if e.Target != (audit.Target{}) {
				name, known := names[e.Target.ID]
				if e.Target.Type != audit.OnUser || !known {
					t.Errorf("an event on %+v", e.Target)
				}
				line += " on " + name
			}
			if e.ClientID != "" {
				line += " through " + e.ClientID
			}
			if e.SessionID != "" {
				name := names[e.SessionID]
				if name == "" {
					name = e.SessionID
				}
				line += " in " + name
			}
			for _, c := range e.Changes {
				line += fmt.Sprintf(" %s:%q→%q", c.Field, c.Before, c.After)
			}
			return line
		}
		step := func(what string, err, wantErr error, want ...string) {
			t.Helper()
			if !errors.Is(err, wantErr) || wantErr == nil && err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			var got []string
			for _, e := range r.next() {
				if e.ID == "" || !e.At.Equal(w.clock.UTC()) || e.Address != someAddress || e.UserAgent != someAgent ||
					e.RequestID != someRequest {
					t.Errorf("%s: from where and when: %+v", what, e)
				}
				got = append(got, brief(e))
			}
			slices.Sort(got)
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s is recorded as\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
			w.wait(time.Second)
		}
		refused := func(what string, err error) {
			t.Helper()
			var v *userstore.ValidationError
			if !errors.As(err, &v) {
				t.Fatalf("%s: %v", what, err)
			}
			step(what, nil, nil)
		}

		// Accounts are created.
		alice, err := a.Register(stranger, userstore.NewUser{Email: "alice@x.test", Username: "alice", Password: password})
		names[alice.ID] = "alice"
		step("a sign-up", err, nil, "user_created success by anonymous on alice")
		_, err = a.Register(stranger, userstore.NewUser{Email: "alice@x.test", Password: password})
		step("a sign-up with an address that is taken", err, userstore.ErrExists,
			"signup_refused failure (user_exists) by anonymous on alice")
		_, err = a.Register(stranger, userstore.NewUser{Email: "bob@x.test", Username: "ALICE", Password: password})
		step("a sign-up with a username that is taken", err, userstore.ErrExists,
			"signup_refused failure (user_exists) by anonymous on alice")
		_, err = a.RegisterByOperator(operator,
			userstore.OperatorUser{NewUser: userstore.NewUser{Email: "alice@x.test", Password: password}})
		step("an account made by an operator that there is", err, userstore.ErrExists)
		_, err = a.Register(stranger, userstore.NewUser{Email: "alice", Password: "short"})
		refused("a sign-up that is nonsense", err)
		admin, err := a.RegisterByOperator(operator,
			userstore.OperatorUser{Roles: []string{"admin", "editor"}, EmailVerified: true,
				NewUser: userstore.NewUser{Email: "root@x.test", Password: password}})
		names[admin.ID] = "admin"
		step("an account made by an operator", err, nil,
			`user_created success by operator root on admin email_verified:"false"→"true" roles:""→"admin editor"`)
		done, err := (&userstore.Importer{Accounts: a.Accounts}).Import(operator, []userstore.User{
			{Email: "bare@x.test", IsActive: true}, {Email: "ALICE@x.test", Username: "Alice"},
			{Email: "off@x.test", PasswordHash: djangoHash, Roles: []string{"admin"}},
		}, nil)
		bare, off := done[0].User, done[2].User
		names[bare.ID], names[off.ID] = "bare", "off"
		step("an import", err, nil, "user_imported success by operator root on bare",
			`user_imported success by operator root on off is_active:"true"→"false" roles:""→"admin"`)
		_, err = (&userstore.Importer{Accounts: a.Accounts, DryRun: true}).
			Import(operator, []userstore.User{{Email: "new@x.test"}}, nil)
		step("an import that only tells", err, nil)

		// Logins. Unknown names are not recorded: people type passwords there.
		login := func(email, secret string) (string, error) {
			v, err := a.Authenticate(stranger, email, "", secret, userstore.FirstPartyClientID, nil)
			if err != nil {
				return "", err
			}
			g := userstore.Grant{SessionID: newID(), UserID: v.User.ID, ClientID: v.Client.ID, Generation: 1,
				AuthTime: *w.clock, RotatedAt: *w.clock, CreatedAt: *w.clock, ExpiresAt: w.clock.Add(time.Hour)}
			copy(g.ID[:], newID())
			names[g.SessionID] = "a new session"
			return g.SessionID, a.StartGrant(stranger, v, g, time.Time{})
		}
		first := userstore.FirstPartyClientID
		one, err := login("alice@x.test", password)
		step("a login", err, nil, "login_succeeded success by user alice on alice through "+first+" in a new session")
		_, err = login("alice@x.test", wrong)
		step("a wrong password", err, userstore.ErrInvalidCredentials,
			"login_failed failure (wrong_password) by anonymous on alice through "+first)
		_, err = login(password+"@x.test", wrong)
		step("an unknown name", err, userstore.ErrInvalidCredentials,
			"login_failed failure (unknown_user) by anonymous through "+first)
		_, err = login("bare@x.test", wrong)
		step("an account without a password", err, userstore.ErrInvalidCredentials,
			"login_failed failure (no_password) by anonymous on bare through "+first)
		_, err = login("alice@x.test", "")
		refused("no password", err)
		v, err := a.Authenticate(stranger, "alice@x.test", "", password, first, nil)
		if err == nil {
			a.Release(stranger, v)
		}
		step("a login that its caller gave up", err, nil)

		// Edits.
		_, err = a.Edit(self(alice.ID), alice.ID, func(u *userstore.User) error {
			u.Claims.GivenName, u.Claims.Address = "Alice", &userstore.Address{Country: "NZ"}
			return nil
		})
		step("an edit", err, nil, `user_updated success by user alice on alice through `+first+
			` in here given_name:""→"Alice" address.country:""→"NZ"`)
		_, err = a.Edit(self(alice.ID), alice.ID, func(*userstore.User) error { return nil })
		step("an edit that changes nothing", err, nil)
		boom := errors.New("boom")
		_, err = a.Edit(self(alice.ID), alice.ID, func(u *userstore.User) error { u.Username = "other"; return boom })
		step("an edit that fails", err, boom)
		_, err = a.Edit(self(alice.ID), alice.ID, func(u *userstore.User) error { u.Email = "root@x.test"; return nil })
		step("an edit to what is taken", err, userstore.ErrExists)
		if _, err = a.Edit(self(alice.ID), alice.ID,
			func(u *userstore.User) error { u.IsActive = false; return nil }); err == nil {
			t.Error("a user disabled themself by an edit")
		}
		step("an edit of what is not the user's own", nil, nil)
		_, err = a.EditByOperator(operator, alice.ID, func(u *userstore.User) error {
			u.IsActive, u.IsStaff, u.Roles = false, true, []string{"admin"}
			return nil
		})
		step("an operator's edit", err, nil,
			`user_updated success by operator root on alice is_active:"true"→"false" is_staff:"false"→"true" roles:""→"admin"`)
		if a.live(t, one) {
			t.Error("a disabled user has a session")
		}
		_, err = login("alice@x.test", password)
		step("the right password of a disabled account", err, userstore.ErrAccountDisabled,
			"login_failed failure (account_disabled) by anonymous on alice through "+first)
		step("enabling", a.SetActive(operator, alice.ID, true), nil,
			`user_updated success by operator root on alice is_active:"false"→"true"`)
		step("enabling again", a.SetActive(operator, alice.ID, true), nil)
		step("disabling nobody", a.SetActive(operator, "nobody", false), userstore.ErrNotFound)

		// Passwords.
		if one, err = login("alice@x.test", password); err != nil {
			t.Fatal(err)
		}
		r.next()
		step("a change of password",
			a.ChangePassword(self(alice.ID), alice.ID, userstore.Proof{Password: password}, changed, one), nil,
			"password_changed success by user alice on alice through "+first+" in here")
		step("a change by somebody who does not know it", a.ChangePassword(self(alice.ID), alice.ID,
			userstore.Proof{Password: wrong}, password, one), userstore.ErrInvalidCredentials,
			"password_refused failure (wrong_password) by user alice on alice through "+first+" in here")
		refused("a change to a weak one",
			a.ChangePassword(self(alice.ID), alice.ID, userstore.Proof{Password: changed}, "short", one))
		step("a password set", a.SetPassword(operator, alice.ID, password), nil,
			"password_set success by operator root on alice")
		refused("a weak one set", a.SetPassword(operator, alice.ID, "short"))
		step("a password set of nobody", a.SetPassword(operator, "nobody", password), userstore.ErrNotFound)

		// Sessions.
		if one, err = login("alice@x.test", password); err != nil {
			t.Fatal(err)
		}
		names[one] = "one"
		r.next()
		step("a logout", a.RevokeSession(self(alice.ID), alice.ID, one), nil,
			"session_revoked success by user alice on alice through "+first+" in one")
		step("the same again", a.RevokeSession(self(alice.ID), alice.ID, one), userstore.ErrNotFound)
		step("a session of somebody else", a.RevokeSession(self(bare.ID), bare.ID, one), userstore.ErrNotFound)
		n, err := a.RevokeSessions(operator, alice.ID, "")
		step("all sessions, of which there are none", err, nil, "sessions_revoked success by operator root on alice")
		if n != 0 {
			t.Errorf("%d sessions revoked", n)
		}
		_, err = a.RevokeSessions(operator, "nobody", "")
		step("all sessions of nobody", err, userstore.ErrNotFound)

		// Accounts are deleted, and stay in the log.
		step("a deletion by somebody who does not know the password",
			a.Delete(self(alice.ID), alice.ID, userstore.Proof{Password: wrong}), userstore.ErrInvalidCredentials,
			"password_refused failure (wrong_password) by user alice on alice through "+first+" in here")
		step("a deletion", a.Delete(self(alice.ID), alice.ID, userstore.Proof{Password: password}), nil,
			"user_deleted success by user alice on alice through "+first+" in here")
		step("a deletion by an operator", a.DeleteByOperator(operator, bare.ID), nil,
			"user_deleted success by operator root on bare")
		step("the same again", a.DeleteByOperator(operator, bare.ID), userstore.ErrNotFound)
		step("the last admin deleted", a.DeleteByOperator(operator, admin.ID), userstore.ErrLastAdmin,
			"admin_refused failure (last_admin) by operator root on admin")
		step("the last admin disabled", a.SetActive(operator, admin.ID, false), userstore.ErrLastAdmin,
			"admin_refused failure (last_admin) by operator root on admin")
		_, err = a.EditByOperator(operator, admin.ID, func(u *userstore.User) error { u.Roles = nil; return nil })
		step("the last admin's role taken", err, userstore.ErrLastAdmin,
			"admin_refused failure (last_admin) by operator root on admin")
		step("the last admin leaves", a.Delete(self(admin.ID), admin.ID, userstore.Proof{Password: password}),
			userstore.ErrLastAdmin,
			"admin_refused failure (last_admin) by user "+"admin on admin through "+first+" in here")

		// Users without the role admin who ask for admin's rights are recorded once per interval.
		a.RecordAdminRefused(self(alice.ID))
		step("somebody who asks as an admin", nil, nil,
			"admin_refused failure (insufficient_scope) by user alice through "+first+" in here")
		for range 100 {
			a.RecordAdminRefused(self(alice.ID))
		}
		step("the same again, often", nil, nil)
		a.RecordAdminRefused(self(bare.ID))
		step("somebody else", nil, nil, "admin_refused failure (insufficient_scope) by user bare through "+first+" in here")
		w.wait(15 * time.Minute)
		a.RecordAdminRefused(self(alice.ID))
		step("the first one, later", nil, nil,
			"admin_refused failure (insufficient_scope) by user alice through "+first+" in here")

		text, err := json.Marshal(r.all)
		if err != nil || len(r.all) < 20 {
			t.Errorf("%d events: %v", len(r.all), err)
		}
		for _, secret := range []string{password, changed, wrong, "horse", "monkey", "argon2id", "pbkdf2", "seasalt"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the audit log holds %q:\n%s", secret, text)
			}
		}
		if log := a.log.String(); strings.Count(log, " event=") != len(r.all) {
			t.Errorf("%d events, and the log has\n%s", len(r.all), log)
		}
	})
}

// The audit log records every field that an edit can change, by the API's name.
func TestChangesTellEveryClaim(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		u := w.register("alice@x.test", "alice")
		a := w.replicas[0]
		full := userstore.Claims{
			Name: "A", GivenName: "B", FamilyName: "C", MiddleName: "D", Nickname: "E", Profile: "https://f.test",
			Picture: "https://g.test", Website: "https://h.test",
			Gender: "I", Birthdate: "2001-02-03", Zoneinfo: "Pacific/Auckland", Locale: "en-NZ", PhoneNumber: "+14255551212",
			Address: &userstore.Address{Formatted: "J", StreetAddress: "K", Locality: "L", Region: "M", PostalCode: "N",
				Country: "O"},
		}
		if _, err := a.EditByOperator(t.Context(), u.ID,
			func(u *userstore.User) error { u.Claims = full; return nil }); err != nil {
			t.Fatal(err)
		}
		events, err := a.Store.ListEvents(t.Context(), userstore.EventQuery{Limit: 1, Name: audit.UserUpdated})
		if err != nil || len(events) != 1 {
			t.Fatalf("%d events: %v", len(events), err)
		}
		got := map[string]string{}
		for _, c := range events[0].Changes {
			got[c.Field] = c.After
		}
		text, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(text, &claims); err != nil {
			t.Fatal(err)
		}
		for name, value := range claims {
			if parts, nested := value.(map[string]any); nested {
				for part, value := range parts {
					claims[name+"."+part] = value
				}
				delete(claims, name)
			}
		}
		for name, value := range claims {
			w.want(name, got[name], value)
		}
		w.want("members", len(got), len(claims))
		// The exception is the field that only an import sets. Together these are all fields of
		// Claims.
		claims["phone_number_verified"], claims["address.formatted"] = nil, nil
		w.want("fields of Claims and Address", len(claims)+1,
			reflect.TypeFor[userstore.Claims]().NumField()+reflect.TypeFor[userstore.Address]().NumField())
	})
}
