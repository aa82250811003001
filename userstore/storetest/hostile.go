package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// hostile are strings that change an SQL text if it is concatenated.
var hostile = []string{
	`'`, `''`, `"`, "`", `;`, `;--`, `' OR '1'='1`, `' OR 1=1 --`, `"; DROP TABLE users; --`, `\`, `\'`, `$1`, `$2`,
	`$$`, `$a$`, `%`, `_`, `?`, `?1`, `:a`, `@a`,
	`{}`, `[]`, `null`, `NULL`, `0`, `-1`, `1e400`, `{"a":"b"}`, `["x"]`, "\n", "\r\n", "\t", "\u200b", "\u202e", "🙂",
	"e\u0301", "\ufffd", "\u2028", "\x7f", "\x1b[31m", `\u0000`, `%00`,
	strings.Repeat("x", 900),
}

// unknownStrings cannot be stored at all, and so match no row.
var unknownStrings = []string{"\x00", "a\x00b", "\xff", "\xc0\x80", "\xed\xa0\x80", strings.Repeat("x", 2<<20)}

func hostileStrings(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, s := range hostile {
		u := userstore.User{ID: "id" + s, Email: s, EmailKey: "e" + s, Username: s, UsernameKey: "u" + s,
			PasswordHash: s, IsActive: true,
			Claims: userstore.Claims{Name: s, Address: &userstore.Address{Country: s}}, Roles: []string{s, s}}
		must(t, f.CreateUser(ctx, u))
		existsIn(t, f.CreateUser(ctx, userstore.User{ID: id(), EmailKey: u.EmailKey}), "email")
		taken, err := f.CreateUsers(ctx, []userstore.User{{ID: id(), EmailKey: u.EmailKey},
			{ID: "many" + s, Email: s, EmailKey: "many" + s, PasswordHash: s, Roles: []string{s}}}, nil)
		must(t, err)
		equal(t, "taken", taken[0].ID, u.ID)
		equal(t, "number of those taken", len(taken), 1)
		c := userstore.Client{ID: "c" + s, Name: s, GrantTypes: []string{s}, Scopes: []string{s},
			Resources: []string{s}, IDTokenAlg: s, AuthMethod: s, FirstParty: true,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{s, "https://x.test/" + s}, PKCE: s,
				ClientURI: s, LogoURI: s, JWKSURI: s}, SecretHash: s}
		must(t, f.CreateClient(ctx, c))
		c.Version = 1
		got, known, client, err := f.LoginView(ctx, userstore.Login{UsernameKey: u.UsernameKey}, c.ID)
		must(t, err)
		u.Version = 1
		if !known {
			t.Fatalf("%q is not found", s)
		}
		equal(t, "user", got, u)
		equal(t, "client", client, c)

		g := userstore.Grant{ID: grantID(), SessionID: "s" + s, UserID: u.ID, ClientID: c.ID, Scopes: []string{s},
			Resources: []string{s}, AMR: []string{s},
			ACR: s, Nonce: s, BrowserSession: s, Claims: s, UserAgent: s[:min(len(s), 500)],
			Address: s[:min(len(s), 500)], Generation: 1, RotatedAt: stored(f.now), CreatedAt: stored(f.now),
			ExpiresAt: stored(f.now.Add(time.Hour))}
		must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: g, PasswordHash: s, Rehash: s + "2"}))
		v, err := f.GrantBySession(ctx, g.SessionID)
		must(t, err)
		g.UserAgent, g.Address = strings.ToValidUTF8(g.UserAgent, ""), strings.ToValidUTF8(g.Address, "")
		equal(t, "grant", v.Grant, g)
		a := f.advance(g)
		a.FirstParty = false
		v, err = f.AdvanceGrant(ctx, a)
		must(t, err)
		equal(t, "roles", v.User.Roles, u.Roles)
		c.Name = s + s
		must(t, f.UpdateClient(ctx, c))
		must(t, f.UseAssertion(ctx, c.ID, s, f.now, f.now.Add(time.Minute)))
		is(t, f.UseAssertion(ctx, c.ID, s, f.now, f.now.Add(time.Minute)), userstore.ErrExists)

		browser := userstore.BrowserSession{Hash: sessionHash(), ID: "b" + s, UserID: u.ID, AMR: []string{s}, ACR: s,
			CreatedAt: stored(f.now), LastUsedAt: stored(f.now), ExpiresAt: stored(f.now.Add(time.Hour)),
			UserAgent: s[:min(len(s), 500)], Address: s[:min(len(s), 500)]}
		must(t, f.StartSession(ctx, userstore.StartSession{Session: browser, PasswordHash: s + "2"}))
		sessions, err := f.ListBrowserSessions(ctx, u.ID, f.now, time.Time{})
		must(t, err)
		equal(t, "browser sessions", sessions, []userstore.BrowserSession{browser})
		code := userstore.Code{Hash: userstore.CodeHash(sessionHash()), ClientID: c.ID, UserID: u.ID,
			BrowserSession: browser.ID, RedirectURI: s, CodeChallenge: s, Scopes: []string{s}, Resources: []string{s},
			Nonce: s, Claims: s, AMR: []string{s}, ACR: s, ByConsent: true, CreatedAt: stored(f.now),
			ExpiresAt: stored(f.now.Add(time.Minute)), UserAgent: browser.UserAgent, Address: browser.Address}
		must(t, f.SaveCode(ctx, code, &userstore.Consent{Allowed: []userstore.Allowance{{Resource: s,
			Scopes: []string{s, s + s}}}}, time.Time{}))
		saved, err := f.CodeByHash(ctx, code.Hash)
		must(t, err)
		equal(t, "code", saved.Code, code)
		consent, err := f.ConsentOf(ctx, u.ID, c.ID)
		must(t, err)
		equal(t, "consent", consent.Allowed, []userstore.Allowance{{Resource: s, Scopes: []string{s, s + s}}})
		ofCode := f.redeemed(t, code)
		view, err := f.GrantByID(ctx, ofCode.ID)
		must(t, err)
		equal(t, "grant of the code", [3]string{view.Grant.Claims, view.Grant.BrowserSession, view.Grant.Nonce},
			[3]string{s, browser.ID, s})
		must(t, f.RevokeConsent(ctx, u.ID, c.ID, f.now))
		f.dead(t, ofCode)
		g = f.grant(t, userstore.User{ID: u.ID, PasswordHash: s + "2"}, func(n *userstore.Grant) {
			n.ClientID, n.SessionID = c.ID, "t"+s
		})
		must(t, f.RevokeBrowserSession(ctx, u.ID, browser.ID, f.now))

		got.Email = s + s
		must(t, f.UpdateUser(ctx, got))
		must(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: s + "2", NewHash: s + "3",
			KeepSession: g.SessionID, At: f.now}))
		uses, err := f.ClientsWithAlgorithm(ctx, s)
		must(t, err)
		equal(t, "clients", uses, []userstore.AlgorithmUse{{ClientID: c.ID, Member: "id_token_signed_response_alg", Algorithm: s}})
		must(t, f.RevokeSession(ctx, u.ID, g.SessionID, f.now))
		must(t, f.SetClientActive(ctx, c.ID, false, f.now))
		must(t, f.DeleteClient(ctx, c.ID))
		must(t, f.SetActive(ctx, u.ID, false, f.now))
		must(t, f.DeleteUser(ctx, u.ID))
	}
	// As ids and names they match no row, in every lookup.
	bystander := f.user(t)
	kept := f.grant(t, bystander)
	for _, s := range append(hostile, unknownStrings...) {
		_, err := f.UserByID(ctx, s)
		is(t, err, userstore.ErrNotFound)
		for _, l := range []userstore.Login{{EmailKey: s}, {UsernameKey: s}} {
			_, err = f.UserByLogin(ctx, l)
			is(t, err, userstore.ErrNotFound)
			_, known, _, err := f.LoginView(ctx, l, userstore.FirstPartyClientID)
			must(t, err)
			equal(t, "known", known, false)
		}
		_, _, _, err = f.LoginView(ctx, userstore.Login{EmailKey: bystander.EmailKey}, s)
		is(t, err, userstore.ErrNotFound)
		_, err = f.ClientByID(ctx, s)
		is(t, err, userstore.ErrNotFound)
		_, err = f.GrantBySession(ctx, s)
		is(t, err, userstore.ErrNotFound)
		is(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: s, NewHash: "x", At: f.now}), userstore.ErrNotFound)
		is(t, f.SetActive(ctx, s, false, f.now), userstore.ErrNotFound)
		is(t, f.SetClientActive(ctx, s, false, f.now), userstore.ErrNotFound)
		is(t, f.DeleteUser(ctx, s), userstore.ErrNotFound)
		is(t, f.DeleteClient(ctx, s), userstore.ErrNotFound)
		found, err := f.RedirectOrigin(ctx, s)
		must(t, err)
		equal(t, "an origin", found, false)
		is(t, f.RevokeSession(ctx, s, kept.SessionID, f.now), userstore.ErrNotFound)
		is(t, f.RevokeSession(ctx, bystander.ID, s, f.now), userstore.ErrNotFound)
		n, err := f.RevokeUserGrants(ctx, s, "", f.now)
		must(t, err)
		equal(t, "revoked", n, 0)
		list, err := f.ListGrants(ctx, s, f.now, time.Time{})
		must(t, err)
		equal(t, "sessions", len(list), 0)
		a := f.advance(kept)
		a.ClientID = s
		_, err = f.AdvanceGrant(ctx, a)
		is(t, err, userstore.ErrConflict)
		uses, err := f.ClientsWithAlgorithm(ctx, s+"?")
		must(t, err)
		equal(t, "clients", len(uses), 0)
	}
	f.live(t, kept)
	version := int64(0)
	for i, s := range hostile {
		k := f.key("k"+s, s, int64(i))
		k.Sealed, k.Public = s, json.RawMessage(s)
		must(t, f.ChangeRing(ctx, version, keys.Change{Algorithms: []string{s}, RefreshSecret: s, FactorSecret: s,
			Insert: []keys.Key{k}}))
		ring, err := f.LoadRing(ctx)
		must(t, err)
		equal(t, "ring", ring, keys.Ring{Version: version + 1, Algorithms: []string{s},
			RefreshSecret: s, FactorSecret: s,
			Keys: []keys.Key{storedKey(k)}})
		is(t, f.ChangeRing(ctx, version, keys.Change{RefreshSecret: s, Delete: []string{k.ID}}), keys.ErrConflict)
		must(t, f.ChangeRing(ctx, version+1, keys.Change{Delete: []string{k.ID}}))
		version += 2
	}
}

func unstorable(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	g, client := f.grant(t, u), f.client(t, nil)
	for _, s := range unknownStrings {
		for name, change := range map[string]func(*userstore.User){
			"id":            func(u *userstore.User) { u.ID = s },
			"email":         func(u *userstore.User) { u.Email = s },
			"email key":     func(u *userstore.User) { u.EmailKey = s },
			"username":      func(u *userstore.User) { u.Username = s },
			"username key":  func(u *userstore.User) { u.UsernameKey = s },
			"password hash": func(u *userstore.User) { u.PasswordHash = s },
			"role":          func(u *userstore.User) { u.Roles = []string{"ok", s} },
			"claim":         func(u *userstore.User) { u.Claims.Zoneinfo = s },
			"address":       func(u *userstore.User) { u.Claims.Address = &userstore.Address{Region: s} },
		} {
			bad := f.newUser()
			change(&bad)
			if err := f.CreateUser(ctx, bad); !errors.Is(err, userstore.ErrInvalid) {
				t.Errorf("%s: created with %.20q: %v", name, s, err)
			}
			if name == "id" || name == "password hash" {
				continue
			}
			bad = u
			change(&bad)
			is(t, f.UpdateUser(ctx, bad), userstore.ErrInvalid)
		}
		for name, change := range map[string]func(*userstore.Client){
			"id":         func(c *userstore.Client) { c.ID = s },
			"name":       func(c *userstore.Client) { c.Name = s },
			"grant type": func(c *userstore.Client) { c.GrantTypes = []string{s} },
			"scope":      func(c *userstore.Client) { c.Scopes = []string{s} },
			"resource":   func(c *userstore.Client) { c.Resources = []string{s} },
			"algorithm":  func(c *userstore.Client) { c.IDTokenAlg = s },
			"method":     func(c *userstore.Client) { c.AuthMethod = s },
			"redirect":   func(c *userstore.Client) { c.RedirectURIs = []string{s} },
			"keys":       func(c *userstore.Client) { c.JWKS = json.RawMessage(s) },
			"logo":       func(c *userstore.Client) { c.LogoURI = s },
			"secret":     func(c *userstore.Client) { c.SecretHash = s },
		} {
			bad := userstore.Client{ID: id()}
			change(&bad)
			if name != "id" {
				edited := client
				change(&edited)
				is(t, f.UpdateClient(ctx, edited), userstore.ErrInvalid)
			}
			if err := f.CreateClient(ctx, bad); !errors.Is(err, userstore.ErrInvalid) {
				t.Errorf("client %s: created with %.20q: %v", name, s, err)
			}
		}
		for name, change := range map[string]func(*userstore.StartGrant){
			"session":  func(g *userstore.StartGrant) { g.Grant.SessionID = s },
			"scope":    func(g *userstore.StartGrant) { g.Grant.Scopes = []string{s} },
			"resource": func(g *userstore.StartGrant) { g.Grant.Resources = []string{s} },
			"amr":      func(g *userstore.StartGrant) { g.Grant.AMR = []string{s} },
			"acr":      func(g *userstore.StartGrant) { g.Grant.ACR = s },
			"nonce":    func(g *userstore.StartGrant) { g.Grant.Nonce = s },
			"browser":  func(g *userstore.StartGrant) { g.Grant.BrowserSession = s },
			"claims":   func(g *userstore.StartGrant) { g.Grant.Claims = s },
			"rehash":   func(g *userstore.StartGrant) { g.Rehash = s },
		} {
			bad := userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash}
			change(&bad)
			if err := f.StartGrant(ctx, bad); !errors.Is(err, userstore.ErrInvalid) {
				t.Errorf("grant %s: started with %.20q: %v", name, s, err)
			}
		}
		browser := f.session(t, u)
		for name, change := range map[string]func(*userstore.Code){
			"redirect URI": func(c *userstore.Code) { c.RedirectURI = s },
			"challenge":    func(c *userstore.Code) { c.CodeChallenge = s },
			"scope":        func(c *userstore.Code) { c.Scopes = []string{s} },
			"resource":     func(c *userstore.Code) { c.Resources = []string{s} },
			"nonce":        func(c *userstore.Code) { c.Nonce = s },
			"claims":       func(c *userstore.Code) { c.Claims = s },
			"amr":          func(c *userstore.Code) { c.AMR = []string{s} },
			"acr":          func(c *userstore.Code) { c.ACR = s },
			"session":      func(c *userstore.Code) { c.BrowserSession = s },
		} {
			bad := f.newCode(browser, client)
			change(&bad)
			for _, consent := range []*userstore.Consent{nil,
				{Allowed: []userstore.Allowance{{Scopes: []string{"openid"}}}}} {
				if err := f.SaveCode(ctx, bad, consent, time.Time{}); !errors.Is(err, userstore.ErrInvalid) {
					t.Errorf("code %s: saved with %.20q: %v", name, s, err)
				}
			}
		}
		for _, a := range []userstore.Allowance{{Scopes: []string{s}}, {Resource: s}} {
			is(t, f.SaveCode(ctx, f.newCode(browser, client), &userstore.Consent{Allowed: []userstore.Allowance{{}, a}},
				time.Time{}), userstore.ErrInvalid)
		}
		for name, change := range map[string]func(*userstore.StartSession){
			"id":     func(n *userstore.StartSession) { n.Session.ID = s },
			"amr":    func(n *userstore.StartSession) { n.Session.AMR = []string{s} },
			"acr":    func(n *userstore.StartSession) { n.Session.ACR = s },
			"rehash": func(n *userstore.StartSession) { n.Rehash = s },
		} {
			bad := userstore.StartSession{Session: f.newSession(u), PasswordHash: u.PasswordHash}
			change(&bad)
			if err := f.StartSession(ctx, bad); !errors.Is(err, userstore.ErrInvalid) {
				t.Errorf("browser session %s: started with %.20q: %v", name, s, err)
			}
		}
		must(t, f.EndSession(ctx, browser.ID, f.now))
		is(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: s,
			At: f.now}), userstore.ErrInvalid)
		if err := f.ChangeRing(ctx, 0, keys.Change{RefreshSecret: s}); !errors.Is(err, userstore.ErrInvalid) {
			t.Errorf("ring: %v", err)
		}
		if err := f.ChangeRing(ctx, 0, keys.Change{FactorSecret: s}); !errors.Is(err, userstore.ErrInvalid) {
			t.Errorf("factor secret: %v", err)
		}
	}
	got, err := f.UserByID(ctx, u.ID)
	must(t, err)
	u.LastLoginAt = stored(f.now)
	equal(t, "the user after every refusal", got, u)
	f.live(t, g)

	// Too long for an index, but not for a column: refused on both engines alike.
	long := f.newUser()
	long.EmailKey = strings.Repeat("x", 1025)
	is(t, f.CreateUser(ctx, long), userstore.ErrInvalid)
	// Long values that can be stored are read back complete.
	long = f.newUser()
	long.Claims.Nickname, long.Email = strings.Repeat("é", 100_000), strings.Repeat("y", 1<<20)
	must(t, f.CreateUser(ctx, long))
	got, err = f.UserByID(ctx, long.ID)
	must(t, err)
	if got.Claims.Nickname != long.Claims.Nickname || got.Email != long.Email {
		t.Error("a long value came back changed")
	}
}
