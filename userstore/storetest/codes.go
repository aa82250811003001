package storetest

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func (f *fixture) newCode(s userstore.BrowserSession, c userstore.Client) userstore.Code {
	code := userstore.Code{ClientID: c.ID, UserID: s.UserID, BrowserSession: s.ID, RedirectURI: "https://a.test/cb",
		CodeChallenge: "challenge",
		Scopes:        []string{"openid", "email"}, Nonce: "n", AuthTime: f.now, AMR: []string{"pwd"}, ACR: "1",
		CreatedAt: f.now, ExpiresAt: f.now.Add(time.Minute)}
	rand.Read(code.Hash[:])
	return code
}

// code saves a code.
func (f *fixture) code(
	t *testing.T, s userstore.BrowserSession, c userstore.Client, change ...func(*userstore.Code),
) userstore.Code {
	t.Helper()
	code := f.newCode(s, c)
	for _, c := range change {
		c(&code)
	}
	must(t, f.SaveCode(t.Context(), code, nil, time.Time{}))
	return code
}

// consented saves a code with a consent to its scopes.
func (f *fixture) consented(t *testing.T, s userstore.BrowserSession, c userstore.Client) userstore.Code {
	t.Helper()
	code := f.newCode(s, c)
	must(t, f.SaveCode(t.Context(), code, &userstore.Consent{Allowed: []userstore.Allowance{{Scopes: code.Scopes}}},
		time.Time{}))
	return code
}

// redeem returns the redemption of a code.
func (f *fixture) redeem(code userstore.Code) userstore.Redeem {
	return userstore.Redeem{Hash: code.Hash, Now: f.now, Grant: userstore.Grant{ID: grantID(), SessionID: id(),
		UserID: code.UserID, ClientID: code.ClientID,
		Scopes: code.Scopes, Resources: code.Resources, AuthTime: code.AuthTime, AMR: code.AMR, ACR: code.ACR,
		Nonce: code.Nonce, Claims: code.Claims, Generation: 1,
		RotatedAt: f.now, CreatedAt: f.now, ExpiresAt: f.now.Add(30 * 24 * time.Hour),
		BrowserSession: code.BrowserSession}}
}

// redeemed redeems a code.
func (f *fixture) redeemed(t *testing.T, code userstore.Code) userstore.Grant {
	t.Helper()
	r := f.redeem(code)
	must(t, f.RedeemCode(t.Context(), r))
	return r.Grant
}

// void checks that an unused code cannot be redeemed.
func (f *fixture) void(t *testing.T, code userstore.Code) {
	t.Helper()
	r := f.redeem(code)
	is(t, f.RedeemCode(t.Context(), r), userstore.ErrConflict)
	_, err := f.GrantByID(t.Context(), r.Grant.ID)
	is(t, err, userstore.ErrNotFound)
	_, err = f.CodeByHash(t.Context(), code.Hash)
	is(t, err, userstore.ErrNotFound)
}

func codeRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	u.Roles = []string{"admin"}
	must(t, f.UpdateUser(ctx, u))
	c := f.client(t, func(c *userstore.Client) { *c = fullClient(); c.ID = id() })
	s := f.session(t, u)
	code := userstore.Code{ClientID: c.ID, UserID: u.ID, BrowserSession: s.ID, RedirectURI: "https://a.test/cb?x=<1>&y",
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Scopes:        []string{"openid", "email"}, Resources: []string{"https://api.test"}, Nonce: `n"'\`,
		Claims:   `{"id_token":{"email":null}}`,
		AuthTime: f.now.Add(-time.Minute), AMR: []string{"pwd", "otp"}, ACR: "urn:x", CreatedAt: f.now,
		ExpiresAt: f.now.Add(time.Minute), UserAgent: "Fire\xfffox", Address: "203.0.113.7"}
	rand.Read(code.Hash[:])
	must(t, f.SaveCode(ctx, code, nil, time.Time{}))
	want := code
	want.UserAgent = "Firefox"
	want.AuthTime, want.CreatedAt, want.ExpiresAt = stored(code.AuthTime), stored(code.CreatedAt),
		stored(code.ExpiresAt)
	user, err := f.UserByID(ctx, u.ID)
	must(t, err)
	user.PasswordHash = ""
	v, err := f.CodeByHash(ctx, code.Hash)
	must(t, err)
	equal(t, "code", v.Code, want)
	equal(t, "user", v.User, user)
	equal(t, "client", v.Client, c)

	r := f.redeem(code)
	r.Now = f.now.Add(time.Second)
	must(t, f.RedeemCode(ctx, r))
	v, err = f.CodeByHash(ctx, code.Hash)
	must(t, err)
	want.UsedAt, want.GrantID = stored(r.Now), r.Grant.ID
	equal(t, "code, used", v.Code, want)
	g := r.Grant
	g.AuthTime, g.RotatedAt, g.CreatedAt, g.ExpiresAt = stored(g.AuthTime), stored(g.RotatedAt), stored(g.CreatedAt),
		stored(g.ExpiresAt)
	view, err := f.GrantByID(ctx, g.ID)
	must(t, err)
	equal(t, "its grant", view.Grant, g)
	got, err := f.UserByID(ctx, u.ID)
	must(t, err)
	equal(t, "last login: that of the session", got.LastLoginAt, stored(f.now))

	_, err = f.CodeByHash(ctx, userstore.CodeHash{1})
	is(t, err, userstore.ErrNotFound)
	altered := code.Hash
	altered[31] ^= 1
	_, err = f.CodeByHash(ctx, altered)
	is(t, err, userstore.ErrNotFound)
}

func saveCode(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other, off := f.user(t), f.user(t), f.user(t)
	c, closed := f.client(t, nil), f.client(t, nil)
	must(t, f.SetClientActive(ctx, closed.ID, false, f.now))
	s, theirs := f.session(t, u), f.session(t, other)
	short := f.session(t, u, func(s *userstore.StartSession) { s.Session.ExpiresAt = f.now.Add(time.Second) })
	ended := f.session(t, u)
	must(t, f.EndSession(ctx, ended.ID, f.now))
	offSession := f.session(t, off)
	must(t, f.SetActive(ctx, off.ID, false, f.now))

	for name, test := range map[string]struct {
		change    func(*userstore.Code)
		idleSince time.Time
	}{
		"no session":             {change: func(c *userstore.Code) { c.BrowserSession = "" }},
		"unknown session":        {change: func(c *userstore.Code) { c.BrowserSession = id() }},
		"another user's session": {change: func(c *userstore.Code) { c.BrowserSession = theirs.ID }},
		"an ended session":       {change: func(c *userstore.Code) { c.BrowserSession = ended.ID }},
		"a session at its limit": {change: func(c *userstore.Code) {
			c.BrowserSession, c.CreatedAt = short.ID, short.ExpiresAt
		}},
		"a session that is idle": {change: func(c *userstore.Code) {}, idleSince: s.LastUsedAt},
		"unknown user":           {change: func(c *userstore.Code) { c.UserID = id() }},
		"disabled user": {change: func(c *userstore.Code) {
			c.UserID, c.BrowserSession = off.ID, offSession.ID
		}},
		"unknown client":            {change: func(c *userstore.Code) { c.ClientID = id() }},
		"disabled client":           {change: func(c *userstore.Code) { c.ClientID = closed.ID }},
		"by a consent there is not": {change: func(c *userstore.Code) { c.ByConsent = true }},
		"a session id in other case": {change: func(c *userstore.Code) {
			c.BrowserSession = "x" + c.BrowserSession[1:]
		}},
		"a client id with a space":    {change: func(c *userstore.Code) { c.ClientID += " " }},
		"a user whose id is a client": {change: func(c *userstore.Code) { c.UserID = c.ClientID }},
	} {
		code := f.newCode(s, c)
		test.change(&code)
		for _, consent := range []*userstore.Consent{nil,
			{Allowed: []userstore.Allowance{{Scopes: []string{"openid"}}}}} {
			if consent != nil && code.ByConsent {
				continue
			}
			if err := f.SaveCode(ctx, code, consent, test.idleSince); err == nil {
				t.Fatalf("%s: saved", name)
			} else {
				is(t, err, userstore.ErrConflict)
			}
			_, err := f.CodeByHash(ctx, code.Hash)
			is(t, err, userstore.ErrNotFound)
			_, err = f.ConsentOf(ctx, code.UserID, code.ClientID)
			is(t, err, userstore.ErrNotFound)
		}
	}

	// A31: a form that is sent twice saves one code, as it was the first time.
	code := f.code(t, s, c)
	again := code
	again.Scopes = []string{"openid", "email", "admin"}
	must(t, f.SaveCode(ctx, again, nil, time.Time{}))
	v, err := f.CodeByHash(ctx, code.Hash)
	must(t, err)
	equal(t, "scopes", v.Code.Scopes, code.Scopes)
	stolen := f.newCode(theirs, c)
	stolen.Hash = code.Hash
	is(t, f.SaveCode(ctx, stolen, nil, time.Time{}), userstore.ErrConflict)
	f.redeemed(t, code)
	is(t, f.SaveCode(ctx, again, nil, time.Time{}), userstore.ErrExists)
	is(t, f.SaveCode(ctx, again, &userstore.Consent{Allowed: []userstore.Allowance{{Scopes: again.Scopes}}},
		time.Time{}), userstore.ErrExists)
	_, err = f.ConsentOf(ctx, u.ID, c.ID)
	is(t, err, userstore.ErrNotFound)
}

func redeemCode(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	c := f.client(t, nil)
	s := f.session(t, u)
	code := f.code(t, s, c)
	for name, change := range map[string]func(*userstore.Redeem){
		"unknown code":   func(r *userstore.Redeem) { r.Hash[0] ^= 1 },
		"another user":   func(r *userstore.Redeem) { r.Grant.UserID = other.ID },
		"unknown user":   func(r *userstore.Redeem) { r.Grant.UserID = id() },
		"another client": func(r *userstore.Redeem) { r.Grant.ClientID = userstore.FirstPartyClientID },
		"at its end":     func(r *userstore.Redeem) { r.Now = code.ExpiresAt },
		"long after":     func(r *userstore.Redeem) { r.Now = code.ExpiresAt.Add(time.Hour) },
		"T-09 60 s and 1 µs": func(r *userstore.Redeem) {
			r.Now = stored(code.CreatedAt).Add(time.Minute + time.Microsecond)
		},
		"client in caps":      func(r *userstore.Redeem) { r.Grant.ClientID += "X" },
		"no user, no client ": func(r *userstore.Redeem) { r.Grant.UserID, r.Grant.ClientID = "", "" },
	} {
		r := f.redeem(code)
		change(&r)
		if err := f.RedeemCode(ctx, r); err == nil {
			t.Fatalf("%s: redeemed", name)
		} else {
			is(t, err, userstore.ErrConflict)
		}
		_, err := f.GrantByID(ctx, r.Grant.ID)
		is(t, err, userstore.ErrNotFound)
	}
	for name, change := range map[string]func(*userstore.Redeem){
		"no grant id":   func(r *userstore.Redeem) { r.Grant.ID = userstore.GrantID{} },
		"no session id": func(r *userstore.Redeem) { r.Grant.SessionID = "" },
		"a hostile acr": func(r *userstore.Redeem) { r.Grant.ACR = "a\x00" },
	} {
		r := f.redeem(code)
		change(&r)
		if err := f.RedeemCode(ctx, r); err == nil {
			t.Fatalf("%s: redeemed", name)
		} else {
			is(t, err, userstore.ErrInvalid)
		}
	}
	v, err := f.CodeByHash(ctx, code.Hash)
	must(t, err)
	if !v.Code.UsedAt.IsZero() || v.Code.GrantID != (userstore.GrantID{}) {
		t.Errorf("a refused redemption used the code: %+v", v.Code)
	}
	r := f.redeem(code)
	r.Now = stored(code.ExpiresAt).Add(-time.Microsecond)
	r.Grant.BrowserSession = "forged"
	must(t, f.RedeemCode(ctx, r))
	f.live(t, r.Grant)
	view, err := f.GrantByID(ctx, r.Grant.ID)
	must(t, err)
	equal(t, "browser session: the code's", view.Grant.BrowserSession, s.ID)
	is(t, f.RedeemCode(ctx, f.redeem(code)), userstore.ErrConflict)
	is(t, f.RedeemCode(ctx, r), userstore.ErrConflict)
	f.live(t, view.Grant)

	// A used code is still found whatever happens to its session; an unused one is void.
	unused := f.code(t, s, c)
	must(t, f.EndSession(ctx, s.ID, f.now))
	f.void(t, unused)
	v, err = f.CodeByHash(ctx, code.Hash)
	must(t, err)
	equal(t, "its grant", v.Code.GrantID, r.Grant.ID)

	// The bounds of grants also hold for grants from codes.
	s = f.session(t, other)
	var first userstore.Grant
	for n := range userstore.MaxGrantsPerClient + 1 {
		r := f.redeem(f.code(t, s, c))
		r.Grant.CreatedAt, r.Grant.RotatedAt = f.now.Add(time.Duration(n)*time.Second),
			f.now.Add(time.Duration(n)*time.Second)
		must(t, f.RedeemCode(ctx, r))
		if n == 0 {
			first = r.Grant
		}
	}
	f.dead(t, first)
	list, err := f.ListGrants(ctx, other.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "grants", len(list), userstore.MaxGrantsPerClient)
	f.endedAndRecorded(t, other, first)
}

// voidCodes: after a browser session, a client or a consent has ended, no code of it can be
// redeemed, also not after the client is enabled again.
func voidCodes(t *testing.T, f *fixture) {
	ctx := t.Context()
	for name, op := range map[string]func(userstore.User, userstore.Client, userstore.BrowserSession) error{
		"the session ends": func(_ userstore.User, _ userstore.Client, s userstore.BrowserSession) error {
			return f.EndSession(ctx, s.ID, f.now)
		},
		"the session is revoked": func(u userstore.User, _ userstore.Client, s userstore.BrowserSession) error {
			return f.RevokeBrowserSession(ctx, u.ID, s.ID, f.now)
		},
		"the password changes": func(u userstore.User, _ userstore.Client, _ userstore.BrowserSession) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash,
				NewHash: "new", At: f.now})
		},
		"everything of the user ends": func(u userstore.User, _ userstore.Client, _ userstore.BrowserSession) error {
			_, err := f.RevokeUserGrants(ctx, u.ID, "", f.now)
			return err
		},
		"the user is disabled": func(u userstore.User, _ userstore.Client, _ userstore.BrowserSession) error {
			must(t, f.SetActive(ctx, u.ID, false, f.now))
			return f.SetActive(ctx, u.ID, true, f.now)
		},
		"the client is disabled": func(_ userstore.User, c userstore.Client, _ userstore.BrowserSession) error {
			must(t, f.SetClientActive(ctx, c.ID, false, f.now))
			return f.SetClientActive(ctx, c.ID, true, f.now)
		},
		"the client is made again": func(_ userstore.User, c userstore.Client, _ userstore.BrowserSession) error {
			must(t, f.DeleteClient(ctx, c.ID))
			return f.CreateClient(ctx, c)
		},
		"the consent is taken back": func(u userstore.User, c userstore.Client, _ userstore.BrowserSession) error {
			return f.RevokeConsent(ctx, u.ID, c.ID, f.now)
		},
		"the user is deleted": func(u userstore.User, _ userstore.Client, _ userstore.BrowserSession) error {
			return f.DeleteUser(ctx, u.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, c := f.user(t), f.client(t, nil)
			s := f.session(t, u)
			code := f.consented(t, s, c)
			elsewhere := f.client(t, nil)
			kept := f.code(t, s, elsewhere)
			must(t, op(u, c, s))
			f.void(t, code)
			switch name {
			case "the client is disabled", "the client is made again", "the consent is taken back":
				f.redeemed(t, kept)
			default:
				f.void(t, kept)
			}
		})
	}
}

func removeCodes(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	var used, unused []userstore.Code
	for i := range 5 {
		end := func(c *userstore.Code) { c.ExpiresAt = f.now.Add(time.Duration(i)*time.Second + time.Minute) }
		used, unused = append(used, f.code(t, s, c, end)), append(unused, f.code(t, s, c, end))
		f.redeemed(t, used[i])
		f.session(t, u, func(s *userstore.StartSession) {
			s.Session.ExpiresAt = f.now.Add(time.Duration(i)*time.Second + time.Minute)
		})
		must(t, f.UseAssertion(ctx, c.ID, fmt.Sprint(i), f.now.Add(-time.Hour),
			f.now.Add(time.Duration(i)*time.Second+time.Minute)))
		must(t, f.UseDPoPProof(ctx, sha256.Sum256([]byte(c.ID+fmt.Sprint(i))), f.now.Add(-time.Hour),
			f.now.Add(time.Duration(i)*time.Second+time.Minute)))
	}
	// known checks which of the codes, the earliest first, are removed.
	known := func(codes []userstore.Code, gone int) {
		t.Helper()
		for i, code := range codes {
			if _, err := f.CodeByHash(ctx, code.Hash); i < gone {
				is(t, err, userstore.ErrNotFound)
			} else {
				must(t, err)
			}
		}
	}
	at := f.now.Add(time.Minute + 2*time.Second) // 0, 1, 2 are over
	for _, want := range []int{8, 4, 0} {
		n, err := f.RemoveExpiredCodes(ctx, at, 2)
		must(t, err)
		equal(t, "unused codes, sessions, assertions and proofs removed", n, want)
	}
	known(unused, 3)
	known(used, 0) // a replay is recognized for an hour
	n, err := f.RemoveExpiredCodes(ctx, at.Add(time.Hour-time.Microsecond), 100)
	must(t, err)
	equal(t, "removed almost an hour later", n, 2+2+2+2+2)
	known(used, 2)
	n, err = f.RemoveExpiredCodes(ctx, at.Add(time.Hour), 100)
	must(t, err)
	equal(t, "removed an hour later", n, 1)
	known(used, 3)
	f.sessionExists(t, s, true)
}
