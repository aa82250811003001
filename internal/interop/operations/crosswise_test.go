//go:build interop

package operations

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// pair is a new person who begins at one replica and goes on at the other.
type pair struct {
	*upgrade
	a, b      int // of the replicas
	at, other string
	turn      int
	email     string
	browser   *browser
}

// crosswise begins everything at replica a and goes on with it at replica b.
func (u *upgrade) crosswise(t *testing.T, a, b int) {
	t.Helper()
	p := &pair{upgrade: u, a: a, b: b, at: u.replicas[a].url, other: u.replicas[b].url,
		email: u.person(), browser: newBrowser()}
	must(t, u.signUp(p.at, p.email))
	first, err := u.logIn(p.other, p.email)
	must(t, err)
	u.verified(t, first, a)
	shop, err := u.login(p.alternate, p.browser, p.email) // each request of the pages, and the code, in turn
	must(t, err)
	u.verified(t, shop, a)
	u.verified(t, shop, b)
	p.copiedCode(t)
	p.steps(t, first)
	p.steps(t, shop)
	p.ends(t)
	if one := u.second[a]; one.ready() {
		_, err = u.logInWithCode(p.alternate, one, "")
		must(t, err)
	}
	id, _ := part(first.Access, 1)["sub"].(string)
	p.administer(t, id)
}

// alternate returns the addresses in turn.
func (p *pair) alternate() string {
	p.turn++
	return []string{p.at, p.other}[p.turn%2]
}

// copiedCode redeems a code of the one at the other, and the one sees that it is used again.
func (p *pair) copiedCode(t *testing.T) {
	t.Helper()
	v := newVerifier()
	code, err := p.authorize(func() string { return p.at }, p.browser, &p.web, p.email, v)
	must(t, err)
	copied, err := p.redeem(p.other, &p.web, code, v)
	must(t, err)
	p.must(t, p.at, request{path: "/oauth2/token", app: &p.web, want: http.StatusBadRequest, form: url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.web.RedirectURI}, "code_verifier": {v}}})
	p.refused(t, p.other, copied) // the second use of the code has ended what came of it
}

// steps refreshes in turn. Each step is repeated at the other replica, as after a lost answer. A token
// that was used long ago ends the session at both.
func (p *pair) steps(t *testing.T, session tokens) {
	t.Helper()
	first := session
	for range 4 {
		next, err := p.refresh(p.alternate(), session)
		must(t, err)
		again, err := p.refresh(p.alternate(), session)
		must(t, err)
		if part(again.Refresh, 1)["jti"] != part(next.Refresh, 1)["jti"] {
			t.Fatal("one refresh token has two successors")
		}
		p.alternate() // now the other one begins
		session = again
	}
	p.verified(t, session, p.a)
	p.refused(t, p.other, first)
	p.refused(t, p.at, session)
}

// ends ends sessions at the one, which the other sees.
func (p *pair) ends(t *testing.T) {
	t.Helper()
	shop, err := p.login(p.alternate, p.browser, p.email)
	must(t, err)
	form := url.Values{"token": {shop.Refresh}}
	active := func() bool {
		var got struct{ Active bool }
		p.must(t, p.other, request{path: "/oauth2/introspect", app: &p.web, form: form, want: http.StatusOK}).read(t, &got)
		return got.Active
	}
	if !active() {
		t.Fatal("the other replica does not know the session")
	}
	p.must(t, p.at, request{path: "/oauth2/revoke", app: &p.web, form: form, want: http.StatusOK})
	if active() {
		t.Fatal("the other replica does not know that the session has ended")
	}
	p.refused(t, p.other, shop)

	k, err := p.logIn(p.at, p.email)
	must(t, err)
	p.must(t, p.other, request{path: "/v1/profile", get: true, bearer: k.Access, want: http.StatusOK})
	p.must(t, p.at, request{path: "/v1/logout", bearer: k.Access, want: http.StatusNoContent})
	p.must(t, p.other, request{path: "/v1/profile", get: true, bearer: k.Access, want: http.StatusUnauthorized})
	p.refused(t, p.other, k)
}

// administer changes a user at the one and reads it, with its entry of the audit log, at the other.
func (p *pair) administer(t *testing.T, id string) {
	t.Helper()
	var err error
	p.admin, err = p.refresh(p.at, p.admin)
	must(t, err)
	name := fmt.Sprintf("Grace %d", time.Now().UnixNano())
	p.must(t, p.at, request{path: "/v1/admin/users/" + id, method: http.MethodPatch, bearer: p.admin.Access,
		json: map[string]string{"family_name": name}, want: http.StatusOK})
	read := func(path string, to any) {
		t.Helper()
		p.must(t, p.other, request{path: path, get: true, bearer: p.admin.Access, want: http.StatusOK}).read(t, to)
	}
	var user struct {
		Family string `json:"family_name"`
	}
	read("/v1/admin/users/"+id, &user)
	var log struct {
		Events []struct {
			Changes []struct{ Field, After string }
		}
	}
	read("/v1/admin/audit?limit=1&event=user_updated&target="+id, &log)
	if want := fmt.Sprintf("{[{[{family_name %s}]}]}", name); user.Family != name || fmt.Sprint(log) != want {
		t.Fatalf("the other replica shows %q and %v, not %q", user.Family, log, name)
	}
	args := []string{"audit", "--json", "--user", id} // the commands of both versions read one log
	mine, others := p.run(t, p.programs[p.a], nil, args...), p.run(t, p.programs[p.b], nil, args...)
	if mine != others || mine == "" {
		t.Fatalf("the versions read other audit logs:\n%s\n%s", mine, others)
	}
}
