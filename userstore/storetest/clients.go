package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func fullClient() userstore.Client {
	return userstore.Client{Name: "Zoë's <app>", AuthMethod: userstore.AuthPrivateKeyJWT, FirstParty: true,
		GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "profile"},
		Resources: []string{"https://api.test/?a=b&c"}, IDTokenAlg: "EdDSA",
		SecretHash: "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA",
		ClientMetadata: userstore.ClientMetadata{
			RedirectURIs:           []string{"https://a.test/cb?x=<1>&y", "com.example.app:/cb", "http://127.0.0.1/cb"},
			PostLogoutRedirectURIs: []string{"https://a.test/bye"}, ResponseTypes: []string{"code"},
			JWKS: json.RawMessage(`{"keys":[{"kty":"OKP","kid":"\u00e9"}]}`), JWKSURI: "https://a.test/jwks",
			PKCE:             userstore.PKCERequired,
			RequestURIs:      []string{"https://a.test/r?x=<1>#v1"},
			RequestObjectAlg: "EdDSA", RequireSignedRequestObject: true, RequirePushed: true, DPoPBoundAccessTokens: true,
			SubjectType: userstore.SubjectPairwise, SectorIdentifierURI: "https://a.test/sector.json?x=<1>",
			ClientURI: "https://a.test", LogoURI: "https://a.test/logo.svg", PolicyURI: "https://a.test/privacy",
			TOSURI:       "https://a.test/terms",
			AssertionAlg: "EdDSA", DefaultMaxAge: new(int64), RequireAuthTime: true, DefaultACRValues: []string{"mfa"},
			ApplicationType: "web", Contacts: []string{"zoë@a.test"}, SoftwareID: "a", SoftwareVersion: "1", SoftwareStatement: "a.b.c",
		}}
}

func clientRoundTrip(t *testing.T, f *fixture) {
	c := fullClient()
	c.ID, c.DisabledAt, c.CreatedAt, c.UpdatedAt = "spa", f.now, f.now, f.now.Add(time.Hour)
	must(t, f.CreateClient(t.Context(), c))
	want := c
	want.DisabledAt, want.CreatedAt, want.UpdatedAt, want.Version = stored(f.now), stored(f.now), stored(c.UpdatedAt), 1
	got, err := f.ClientByID(t.Context(), "spa")
	must(t, err)
	equal(t, "client", got, want)

	bare := userstore.Client{ID: "bare"}
	must(t, f.CreateClient(t.Context(), bare))
	got, err = f.ClientByID(t.Context(), "bare")
	must(t, err)
	bare.Version = 1
	equal(t, "a bare client", got, bare)

	existsIn(t, f.CreateClient(t.Context(), bare), "client_id")
	existsIn(t, f.CreateClient(t.Context(), userstore.Client{ID: userstore.FirstPartyClientID}), "client_id")
	is(t, f.CreateClient(t.Context(), userstore.Client{ID: id(),
		ClientMetadata: userstore.ClientMetadata{JWKS: json.RawMessage(`{"keys":`)}}), userstore.ErrInvalid)
	for _, unknown := range []string{"", "SPA", "spa ", "%"} {
		_, err = f.ClientByID(t.Context(), unknown)
		is(t, err, userstore.ErrNotFound)
	}
}

func clientUpdate(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.client(t, nil)
	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	edited := fullClient()
	edited.ID, edited.Version, edited.CreatedAt, edited.UpdatedAt = c.ID, c.Version, f.now.Add(time.Hour),
		f.now.Add(2*time.Hour)
	must(t, f.UpdateClient(ctx, edited))
	want := edited
	want.Version, want.CreatedAt, want.UpdatedAt, want.DisabledAt = 2, c.CreatedAt, stored(edited.UpdatedAt),
		stored(f.now)
	got, err := f.ClientByID(ctx, c.ID)
	must(t, err)
	equal(t, "after a change, creation and activity as they were", got, want)

	is(t, f.UpdateClient(ctx, edited), userstore.ErrConflict)
	is(t, f.UpdateClient(ctx, userstore.Client{ID: id(), Version: 1}), userstore.ErrNotFound)
	got, err = f.ClientByID(ctx, c.ID)
	must(t, err)
	equal(t, "after a refusal", got, want)

	// A grant follows the current settings of its client.
	u, c := f.user(t), f.client(t, nil)
	g := f.live(t, f.grant(t, u, func(g *userstore.Grant) { g.ClientID = c.ID }))
	c.AuthMethod, c.GrantTypes = userstore.AuthBasic, []string{"authorization_code"}
	must(t, f.UpdateClient(ctx, c))
	_, err = f.AdvanceGrant(ctx, f.advance(g)) // asks for a public client
	is(t, err, userstore.ErrConflict)
	a := f.advance(g)
	a.FirstParty = false
	_, err = f.AdvanceGrant(ctx, a)
	must(t, err)
}

func clientPages(t *testing.T, f *fixture) {
	ctx := t.Context()
	want := []string{userstore.FirstPartyClientID}
	for i := range 7 { // two of each instant
		c := f.client(t, func(c *userstore.Client) {
			c.ID, c.CreatedAt = fmt.Sprintf("client-%d", i), f.now.Add(time.Duration(i/2)*time.Second)
		})
		want = append(want, c.ID)
	}
	for limit := 1; limit <= 9; limit++ {
		var got []string
		var after *userstore.Client
		for {
			page, err := f.ListClients(ctx, after, limit)
			must(t, err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				got = append(got, c.ID)
			}
			after = &page[len(page)-1]
		}
		equal(t, fmt.Sprintf("pages of %d", limit), strings.Join(got, " "), strings.Join(want, " "))
	}
	for _, limit := range []int{0, -1} {
		_, err := f.ListClients(ctx, nil, limit)
		is(t, err, userstore.ErrInvalid)
	}
}

func clientOrigins(t *testing.T, f *fixture) {
	ctx := t.Context()
	host := strings.ToLower(id()) + ".test"
	c := f.client(t, func(c *userstore.Client) {
		c.RedirectURIs = []string{"https://" + host + "/cb?a=,b", "https://UPPER." + host + ":443/cb",
			"https://port." + host + ":8443/", "com.example." + host + ":/cb",
			"http://127.0.0.1:9/" + host, "http://[::1]/cb", "https://a.test/,\"https://inside." + host + "\""}
	})
	find := func(origin string, want bool) {
		t.Helper()
		got, err := f.RedirectOrigin(ctx, origin)
		must(t, err)
		equal(t, origin, got, want)
	}
	for origin, want := range map[string]bool{
		"https://" + host: true, "https://upper." + host: true, "https://port." + host + ":8443": true,
		"http://[::1]": true, "http://127.0.0.1:9": true,
		"https://port." + host: false, "http://" + host: false, "https://" + host + ":443": false,
		"https://" + host + "/": false, "https://" + host + "/cb": false,
		"https://x" + host: false, "https://" + host + "x": false, "https://UPPER." + host: false,
		"https://" + host[1:]:    false,
		"https://inside." + host: false, "com.example." + host + "://": false, "http://127.0.0.1": false,
		"null": false, "": false, ",": false, "[": false, `"`: false, "https://": false, "https://%": false,
		"https://_" + host[1:]: false, "a\x00": false,
	} {
		find(origin, want)
	}
	moved := c
	moved.RedirectURIs = []string{"https://moved." + host}
	must(t, f.UpdateClient(ctx, moved))
	find("https://"+host, false)
	find("https://moved."+host, true)
	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	find("https://moved."+host, false)
}

func clientAssertions(t *testing.T, f *fixture) {
	ctx := t.Context()
	a, b := id(), id()
	until := f.now.Add(10 * time.Minute)
	must(t, f.UseAssertion(ctx, a, "jti", f.now, until))
	is(t, f.UseAssertion(ctx, a, "jti", f.now, until), userstore.ErrExists)
	is(t, f.UseAssertion(ctx, a, "jti", stored(until).Add(-time.Microsecond), until.Add(time.Hour)),
		userstore.ErrExists)
	for _, other := range []string{"JTI", "jti ", "", strings.Repeat("j", 1<<20), "j\x00ti", "\xff"} {
		must(t, f.UseAssertion(ctx, a, other, f.now, until))
		is(t, f.UseAssertion(ctx, a, other, f.now, until), userstore.ErrExists)
	}
	must(t, f.UseAssertion(ctx, b, "jti", f.now, until))
	// An expired assertion does not count; the later one then does.
	must(t, f.UseAssertion(ctx, a, "jti", until, until.Add(time.Minute)))
	is(t, f.UseAssertion(ctx, a, "jti", until, until.Add(time.Minute)), userstore.ErrExists)
}

func clientDelete(t *testing.T, f *fixture) { clientGone(t, f, f.DeleteClient) }

func clientWithdraw(t *testing.T, f *fixture) { clientGone(t, f, f.WithdrawClient) }

func clientGone(t *testing.T, f *fixture, remove func(ctx context.Context, id string, events ...audit.Event) error) {
	ctx := t.Context()
	u := f.user(t)
	c, other := f.client(t, nil), f.client(t, nil)
	of := func(c userstore.Client) func(*userstore.Grant) { return func(g *userstore.Grant) { g.ClientID = c.ID } }
	g, elsewhere := f.grant(t, u, of(c)), f.grant(t, u, of(other))
	must(t, f.UseAssertion(ctx, c.ID, "jti", f.now, f.now.Add(time.Hour)))
	must(t, f.UseAssertion(ctx, other.ID, "jti", f.now, f.now.Add(time.Hour)))

	must(t, remove(ctx, c.ID))
	_, err := f.ClientByID(ctx, c.ID)
	is(t, err, userstore.ErrNotFound)
	_, err = f.GrantByID(ctx, g.ID)
	is(t, err, userstore.ErrNotFound)
	f.dead(t, g)
	is(t, remove(ctx, c.ID), userstore.ErrNotFound)
	is(t, f.UpdateClient(ctx, c), userstore.ErrNotFound)
	refused := f.newGrant(u)
	refused.ClientID = c.ID
	is(t, f.StartGrant(ctx, userstore.StartGrant{Grant: refused, PasswordHash: u.PasswordHash}), userstore.ErrConflict)

	// A client is created again under its id, at the same instant, and at an earlier one.
	for _, at := range []time.Time{f.now, f.now.Add(-time.Hour)} {
		must(t, f.CreateClient(ctx, userstore.Client{ID: c.ID, AuthMethod: userstore.AuthNone,
			FirstParty: true, CreatedAt: at}))
		_, err = f.GrantByID(ctx, g.ID)
		is(t, err, userstore.ErrNotFound)
		f.dead(t, g)
		must(t, f.UseAssertion(ctx, c.ID, "jti", f.now, f.now.Add(time.Hour)))
		f.live(t, f.grant(t, u, of(c)))
		must(t, remove(ctx, c.ID))
	}
	f.live(t, elsewhere)
	is(t, f.UseAssertion(ctx, other.ID, "jti", f.now, f.now.Add(time.Hour)), userstore.ErrExists)
}

func clientFirst(t *testing.T, f *fixture) {
	c, err := f.ClientByID(t.Context(), userstore.FirstPartyClientID)
	must(t, err)
	if !c.Public() || !c.FirstParty || !c.Allows("refresh_token") || !c.DisabledAt.IsZero() ||
		len(c.Scopes)+len(c.Resources) != 0 || c.IDTokenAlg != "" {
		t.Errorf("%+v", c)
	}
}

func clientDisable(t *testing.T, f *fixture) {
	u := f.user(t)
	c := f.client(t, nil)
	of := func(g *userstore.Grant) { g.ClientID = c.ID }
	g, elsewhere := f.grant(t, u, of), f.grant(t, u)
	later := f.now.Add(time.Hour)

	must(t, f.SetClientActive(t.Context(), c.ID, false, later))
	got, err := f.ClientByID(t.Context(), c.ID)
	must(t, err)
	equal(t, "disabled at", got.DisabledAt, stored(later))
	v, err := f.GrantByID(t.Context(), g.ID)
	must(t, err)
	equal(t, "revoked at", v.Grant.RevokedAt, stored(later))
	equal(t, "the view's client is disabled at", v.Client.DisabledAt, stored(later))
	f.dead(t, g)
	elsewhere = f.live(t, elsewhere)
	grants, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "live sessions", len(grants), 1)
	is(t, f.RevokeSession(t.Context(), u.ID, g.SessionID, later), userstore.ErrNotFound)
	refused := f.newGrant(u)
	refused.ClientID = c.ID
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: refused, PasswordHash: u.PasswordHash}),
		userstore.ErrConflict)

	// The second time, with a clock that stands still or goes back, the first instant stays.
	must(t, f.SetClientActive(t.Context(), c.ID, false, f.now))
	got, err = f.ClientByID(t.Context(), c.ID)
	must(t, err)
	equal(t, "disabled at", got.DisabledAt, stored(later))

	must(t, f.SetClientActive(t.Context(), c.ID, true, later))
	f.dead(t, g)
	second := f.live(t, f.grant(t, u, of))
	must(t, f.SetClientActive(t.Context(), c.ID, false, f.now)) // an earlier clock still ends them
	must(t, f.SetClientActive(t.Context(), c.ID, true, f.now))
	f.dead(t, g)
	f.dead(t, second)
	n, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now)
	must(t, err)
	equal(t, "revoked, of those that were live", n, 1)
	f.dead(t, elsewhere)

	is(t, f.SetClientActive(t.Context(), "unknown", false, later), userstore.ErrNotFound)
	is(t, f.SetClientActive(t.Context(), "unknown", true, later), userstore.ErrNotFound)
}

func clientAlgorithm(t *testing.T, f *fixture) {
	for alg, names := range map[string][]string{"EdDSA": {"b", "a"}, "RS256": {"c"}, "": {"d"}} {
		for _, name := range names {
			f.client(t, func(c *userstore.Client) { c.ID, c.IDTokenAlg = name, alg })
		}
	}
	f.client(t, func(c *userstore.Client) { c.ID, c.UserinfoAlg, c.IntrospectionAlg = "e", "ES256", "EdDSA" })
	f.client(t, func(c *userstore.Client) {
		c.ID, c.IDTokenAlg, c.UserinfoAlg, c.IntrospectionAlg = "0", "ES256", "ES256", "ES256"
	})
	// Neither the algorithm of the client's own keys nor a name that only looks like a member counts.
	f.client(t, func(c *userstore.Client) { c.ID, c.RequestObjectAlg = "f", "ES256" })
	f.client(t, func(c *userstore.Client) {
		c.ID, c.ClientURI = "g", `https://g.test/"userinfo_signed_response_alg":"ES256"`
	})
	must(t, f.SetClientActive(t.Context(), "a", false, f.now))
	must(t, f.SetClientActive(t.Context(), "e", false, f.now))
	const ofID, ofUserinfo, ofIntrospection = "id_token_signed_response_alg", "userinfo_signed_response_alg",
		"introspection_signed_response_alg"
	for alg, want := range map[string][]userstore.AlgorithmUse{
		"EdDSA": {{ClientID: "a", Member: ofID, Algorithm: "EdDSA"}, {ClientID: "b", Member: ofID, Algorithm: "EdDSA"},
			{ClientID: "e", Member: ofIntrospection, Algorithm: "EdDSA"}},
		"RS256": {{ClientID: "c", Member: ofID, Algorithm: "RS256"}},
		"ES256": {{ClientID: "0", Member: ofID, Algorithm: "ES256"}, {ClientID: "0", Member: ofUserinfo, Algorithm: "ES256"},
			{ClientID: "0", Member: ofIntrospection, Algorithm: "ES256"}, {ClientID: "e", Member: ofUserinfo, Algorithm: "ES256"}},
		"PS256": nil, "": nil, "eddsa": nil, "%": nil, "ES25_": nil,
	} {
		got, err := f.ClientsWithAlgorithm(t.Context(), alg)
		must(t, err)
		equal(t, alg, got, want)
	}
}
