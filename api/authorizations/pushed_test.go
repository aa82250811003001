package authorizations_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// pushRequest pushes the request that authorizePath makes.
func pushRequest(s *apitest.Server, c apitest.Client, edit ...func(url.Values)) apitest.Request {
	s.T.Helper()
	form, err := url.ParseQuery(strings.TrimPrefix(authorizePath(c, edit...), "/oauth2/authorize?"))
	if err != nil {
		s.T.Fatal(err)
	}
	return s.Authenticated(c, "/oauth2/par", form)
}

// push pushes a good request and returns the reference.
func push(s *apitest.Server, q apitest.Request) string {
	s.T.Helper()
	var pushed issuer.PushedResponse
	s.Do(q).Want(http.StatusCreated, "").JSON(&pushed)
	return s.Secret(pushed.RequestURI)
}

// byReference is the path of a request that was pushed.
func byReference(c apitest.Client, reference string) string {
	return "/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "request_uri": {reference}}.Encode()
}

func TestPushedRequests(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		web := s.WebClient()
		post := s.Register(userstore.Client{ID: "post", AuthMethod: userstore.AuthPost})
		spa := s.Register(userstore.Client{ID: "spa", AuthMethod: userstore.AuthNone})
		pk := signingClient(s, "pk", jose.EdDSA, func(c *userstore.Client) { c.AuthMethod = userstore.AuthPrivateKeyJWT })
		signed := signingClient(s, "signed", jose.EdDSA, func(c *userstore.Client) { c.RequireSignedRequestObject = true })
		asserting := func(audience string) apitest.Request {
			q := pushRequest(s, pk.Client)
			q.Form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			q.Form.Set("client_assertion", pk.sign(apitest.Fields{"alg": pk.alg},
				pk.claims(s).With("sub", "pk").With("aud", audience).With("jti", audience)))
			return q
		}
		object := signed.sign(signed.header(), with(signed.claims(s), parameters(signed.Client)))

		for _, row := range []struct {
			name    string
			client  apitest.Client
			request apitest.Request
		}{
			{"a secret by Basic", web, pushRequest(s, web)},
			{"a secret in the body", post, pushRequest(s, post)},
			{"a public client", spa, pushRequest(s, spa)},
			{"an assertion for the issuer", pk.Client, asserting(apitest.IssuerURL)},
			{"an assertion for the token endpoint", pk.Client, asserting(apitest.IssuerURL + "/oauth2/token")},
			{"an assertion for this endpoint", pk.Client, asserting(apitest.IssuerURL + "/oauth2/par")},
			{"a request object", signed.Client, s.Authenticated(signed.Client, "/oauth2/par", url.Values{"request": {object}})},
			{"parameters that nobody knows", web, pushRequest(s, web, set("foo", "bar"))},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				var pushed issuer.PushedResponse
				a := s.Do(row.request).Want(http.StatusCreated, "")
				a.JSON(&pushed)
				reference, found := strings.CutPrefix(s.Secret(pushed.RequestURI), "urn:ietf:params:oauth:request_uri:")
				if !found || len(reference) < 22 || pushed.ExpiresIn != 300 || a.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("answered %+v, %v", pushed, a.Header)
				}
				// What stands beside the reference does not count.
				p := s.Browser().SignIn(byReference(row.client, pushed.RequestURI)+"&"+url.Values{"state": {"evil"}, "nonce": {"evil"},
					"redirect_uri": {"https://evil.test/cb"}, "scope": {"evil"}, "response_type": {"token"}, "request": {"a"}}.Encode(), alice)
				if p.Has("consent-approve") {
					p = p.Submit("consent-approve", nil)
				}
				if base, _, _ := strings.Cut(p.To, "?"); base != row.client.RedirectURIs[0] {
					t.Fatalf("sent to %q: %s", p.To, p.Text())
				}
				if q := p.Query(); q.Get("state") != "the state" || len(q) != 4 {
					t.Errorf("the response has %v", q)
				}
				if row.client.AuthMethod == userstore.AuthPrivateKeyJWT {
					return
				}
				if tokens := s.TokensOf(row.client, p); apitest.Claims(tokens.ID)["nonce"] != "the nonce" {
					t.Errorf("the ID token says %v", apitest.Claims(tokens.ID))
				}
			})
		}
	})
}

func TestD09PushedRequestsThatAreRefused(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		web, other := s.WebClient(), s.Register(userstore.Client{ID: "other"})
		service := s.Register(userstore.Client{ID: "service", GrantTypes: []string{"client_credentials"}})
		signed := signingClient(s, "signed", jose.EdDSA)
		form := func(c apitest.Client, edit ...func(url.Values)) func() apitest.Request {
			return func() apitest.Request { return pushRequest(s, c, edit...) }
		}
		twice := func() apitest.Request {
			q := pushRequest(s, web)
			q.Form.Add("scope", "openid")
			return q
		}
		edited := func(edit func(*apitest.Request)) func() apitest.Request {
			return func() apitest.Request {
				q := pushRequest(s, web)
				edit(&q)
				return q
			}
		}
		for _, row := range []struct {
			name    string
			request func() apitest.Request
			status  int
			code    string
		}{
			{"request_uri", form(web, set("request_uri", "urn:ietf:params:oauth:request_uri:x")), 400, "invalid_request"},
			{"request_uri of an address", form(web, set("request_uri", "https://web.test/r")), 400, "invalid_request"},
			{"a parameter twice", twice, 400, "invalid_request"},
			{"no client", edited(func(q *apitest.Request) { q.Basic = [2]string{}; q.Form.Del("client_id") }), 401, "invalid_client"},
			{"a client without its secret", edited(func(q *apitest.Request) { q.Basic = [2]string{} }), 401, "invalid_client"},
			{"a wrong secret", edited(func(q *apitest.Request) { q.Basic[1] = "wrong" }), 401, "invalid_client"},
			{"an unknown client", edited(func(q *apitest.Request) { q.Basic[0] = "nobody"; q.Form.Del("client_id") }), 401, "invalid_client"},
			{"another client's client_id", edited(func(q *apitest.Request) { q.Form.Set("client_id", "other") }), 400, "invalid_request"},
			{"another client's redirect URI", form(web, set("redirect_uri", other.RedirectURIs[0])), 400, "invalid_request"},
			{"no redirect URI", form(web, set("redirect_uri", "")), 400, "invalid_request"},
			{"no response_type", form(web, set("response_type", "")), 400, "invalid_request"},
			{"another response_type", form(web, set("response_type", "token")), 400, "unsupported_response_type"},
			{"another response_mode", form(web, set("response_mode", "web_message")), 400, "invalid_request"},
			{"a scope that nobody knows", form(web, set("scope", "evil")), 400, "invalid_scope"},
			{"a resource that nobody registered", form(web, set("resource", "https://evil.test")), 400, "invalid_target"},
			{"no PKCE", form(web, set("code_challenge", "", "code_challenge_method", "")), 400, "invalid_request"},
			{"an acr that nobody reaches", form(web, set("claims", `{"id_token":{"acr":{"essential":true,"value":"9"}}}`)), 400,
				"unmet_authentication_requirements"},
			{"a request object of a client without keys", form(web, set("request", "a.b.c")), 400, "request_not_supported"},
			{"a request object that is none", form(signed.Client, set("request", "a.b.c")), 400, "invalid_request_object"},
			{"a request object with a reference", form(signed.Client, set("request", signed.sign(signed.header(),
				signed.claims(s).With("request_uri", "urn:ietf:params:oauth:request_uri:x")))), 400, "invalid_request_object"},
			{"a client without the grant type", form(service), 400, "unauthorized_client"},
			{"not UTF-8", form(web, set("nonce", "\xff")), 400, "invalid_request"},
			{"JSON", edited(func(q *apitest.Request) { q.Form, q.Body = nil, apitest.Fields{} }), 415, "invalid_request"},
			{"in the address", edited(func(q *apitest.Request) { q.Path += "?x=y" }), 400, "invalid_request"},
			{"more than 64 KiB", form(web, set("state", strings.Repeat("s", 70<<10))), 413, "invalid_request"},
			{"GET", edited(func(q *apitest.Request) { q.Method, q.Form = "GET", nil }), 405, "invalid_request"},
			{"PUT", edited(func(q *apitest.Request) { q.Method, q.Form = "PUT", nil }), 405, "invalid_request"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() { s.Do(row.request()).Want(row.status, row.code) })
			})
		}
	})
}

func TestD10AReferenceIsGoodForOneLogin(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		web, other := s.WebClient(), s.Register(userstore.Client{ID: "other"})
		refused := func(path string) {
			t.Helper()
			p := s.Browser().Open(path).WantPage(http.StatusBadRequest, "")
			if p.Has("login-submit") || p.To != "" {
				t.Errorf("%q: %s", p.To, p.Text())
			}
		}

		reference := push(s, pushRequest(s, web))
		path := byReference(web, reference)
		refused(byReference(other, reference))
		refused(byReference(web, reference+"x"))
		refused(byReference(web, strings.ToUpper(reference)))
		refused(byReference(web, "urn:ietf:params:oauth:request_uri:"))
		refused(path + "&request_uri=x")
		refused("/oauth2/authorize?" + url.Values{"request_uri": {reference}}.Encode())
		refused("/oauth2/authorize?" + url.Values{"request_uri": {reference}, "client_id": {"nobody"}}.Encode())

		// The page is loaded again, also in another browser, as long as nobody has finished.
		b, late := s.Browser(), s.Browser()
		b.Open(path).WantPage(http.StatusOK, "login-submit")
		s.Advance(4*time.Minute + 59*time.Second)
		begun := late.Open(path).WantPage(http.StatusOK, "login-submit")
		b.SignIn(path, alice).WantPage(http.StatusOK, "consent-approve")
		p := b.Open(path).WantPage(http.StatusOK, "consent-approve")
		again := *p

		// The page may stay open for longer than the reference is good, and its form may be sent twice.
		s.Advance(30 * time.Minute)
		if _, err := s.DB.RemoveExpiredCodes(t.Context(), s.Clock.Now(), 1000); err != nil {
			t.Fatal(err)
		}
		code := wantCode(t, p.Submit("consent-approve", nil))
		if second := wantCode(t, again.Submit("consent-approve", nil)); second != code {
			t.Error("the same form gave another code")
		}
		s.Do(s.CodeRequest(web, s.Secret(code))).Want(http.StatusOK, "")

		refused(path)
		b.Open(path).WantPage(http.StatusBadRequest, "")
		p = begun.Submit("login-submit", alice.Credentials())
		p.WantPage(http.StatusBadRequest, "") // begun before, finished after: no second code

		// Expired.
		path = byReference(web, push(s, pushRequest(s, web)))
		s.Advance(5*time.Minute + time.Second)
		refused(path)

		// A user who is logged in and has allowed the app gets the code at once, and once.
		path = byReference(web, push(s, pushRequest(s, web)))
		wantCode(t, b.Open(path))
		b.Open(path).WantPage(http.StatusBadRequest, "")

		// A login that is wanted anew is.
		path = byReference(web, push(s, pushRequest(s, web, set("prompt", "login", "max_age", "1"))))
		s.Advance(time.Minute)
		wantCode(t, b.SignIn(path, alice))

		// An error is sent to the app, and leaves the reference as it is.
		path = byReference(web, push(s, pushRequest(s, web, set("prompt", "none"))))
		for range 2 {
			wantError(t, s.Browser().Open(path), "login_required")
		}
		wantCode(t, b.Open(path))
	})
}

func TestD12AClientThatHasToPush(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "web", ClientMetadata: userstore.ClientMetadata{RequirePushed: true}})
		signed := signingClient(s, "signed", jose.EdDSA, func(c *userstore.Client) { c.RequirePushed = true })
		ask(t, s, c, []asking{
			{name: "a plain request", want: "invalid_request"},
			{name: "a reference beside it that is none", edit: set("request_uri", "urn:x"), want: "invalid_request"},
		})
		ask(t, s, signed.Client, []asking{
			{name: "a request object", edit: set("request", signed.sign(signed.header(), signed.claims(s))), want: "invalid_request"},
		})
		s.Browser().Open(byReference(c, push(s, pushRequest(s, c)))).WantPage(http.StatusOK, "login-submit")
	})
}

func TestD12AllClientsHaveToPush(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		web, spa := s.WebClient(), s.Register(userstore.Client{ID: "spa", AuthMethod: userstore.AuthNone})
		for _, c := range []apitest.Client{web, spa} {
			ask(t, s, c, []asking{{name: "a plain request of " + c.ID, want: "invalid_request"}})
			s.Browser().Open(byReference(c, push(s, pushRequest(s, c)))).WantPage(http.StatusOK, "login-submit")
		}
		var discovery apitest.Fields
		s.Do(apitest.Request{Path: "/.well-known/openid-configuration"}).Want(http.StatusOK, "").JSON(&discovery)
		if discovery["require_pushed_authorization_requests"] != true {
			t.Error("discovery does not say so")
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.RequirePushed = true }))
}

// fewPushed is a store with room for fewer pushed requests.
type fewPushed struct {
	apitest.Store
	limits userstore.PushedLimits
}

func (f fewPushed) SavePushedRequest(
	ctx context.Context, p userstore.PushedRequest, _ userstore.PushedLimits, now time.Time,
) error {
	return f.Store.SavePushedRequest(ctx, p, f.limits, now)
}

func TestD13PushedRequestsAreBounded(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		web, other := s.WebClient(), s.Register(userstore.Client{ID: "other"})
		path := byReference(web, push(s, pushRequest(s, web)))
		for range 2 {
			push(s, pushRequest(s, web))
		}
		s.Unchanged(func() {
			if a := s.Do(pushRequest(s, web)).Want(http.StatusTooManyRequests, "temporarily_unavailable"); a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
		// Another client's have their own room, and the room in all.
		push(s, pushRequest(s, other))
		proved := pushRequest(s, other)
		claims := dpoptest.For(http.MethodPost, apitest.IssuerURL+proved.Path, s.Clock.Now())
		proved.Header = http.Header{"Dpop": {dpoptest.NewKey(t).Proof(t, claims)}}
		s.Do(proved).Want(http.StatusTooManyRequests, "temporarily_unavailable")
		// A login makes room, and so does time. The use of a proof was not stored either.
		p := s.Browser().SignIn(path, alice).WantPage(http.StatusOK, "consent-approve")
		wantCode(t, p.Submit("consent-approve", nil))
		s.Do(proved).Want(http.StatusCreated, "")
		s.Do(pushRequest(s, other)).Want(http.StatusTooManyRequests, "temporarily_unavailable")
		s.Advance(5 * time.Minute)
		push(s, pushRequest(s, web))
	}, func(o *apitest.Options) {
		o.Store = func(db *sqlstore.DB) apitest.Store {
			return fewPushed{db, userstore.PushedLimits{OfClient: 3, InAll: 4}}
		}
	})
}

func TestD30AClientThatIsDisabledAfterItPushed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		web := s.WebClient()
		path := byReference(web, push(s, pushRequest(s, web)))
		begun := s.Browser().Open(path).WantPage(http.StatusOK, "login-submit")
		if err := s.DB.SetClientActive(t.Context(), web.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Browser().Open(path).WantPage(http.StatusBadRequest, "")
		begun.Submit("login-submit", s.SignUp("alice").Credentials()).WantPage(http.StatusBadRequest, "")
		s.Do(pushRequest(s, web)).Want(http.StatusUnauthorized, "invalid_client")

		// Deleted and made again, it inherits nothing.
		if err := s.DB.SetClientActive(t.Context(), web.ID, true, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.Browser().Open(path).WantPage(http.StatusBadRequest, "")
	})
}

// Each replica answers each request of a login, and of many browsers that finish one reference at
// once, one gets a code.
func TestD10OneReferenceOnThreeReplicas(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		web := s.WebClient()
		var users []apitest.User
		for n := range 6 {
			users = append(users, s.SignUp(fmt.Sprint("user", n)))
		}
		for round := range 3 {
			q := pushRequest(s, web)
			q.Replica = round
			path := byReference(web, push(s, q))
			var last []apitest.Request
			var browsers []*apitest.Browser
			for n, u := range users {
				b := s.Browser()
				b.Replica = (round + n) % 3
				p := b.SignIn(path, u)
				b.Replica = (round + n + 1) % 3
				if p.Has("consent-approve") {
					last, browsers = append(last, p.Form("consent-approve", nil)), append(browsers, b)
				} else if p.Query().Get("code") != "" {
					t.Fatal("a code before anybody allowed it")
				}
			}
			answers := make([]*apitest.Page, len(last))
			var running sync.WaitGroup
			for n := range last {
				running.Go(func() { answers[n] = browsers[n].Send(last[n]) })
			}
			running.Wait()
			codes := 0
			for _, a := range answers {
				location, _ := url.Parse(a.Header.Get("Location"))
				switch {
				case location.Query().Get("code") != "":
					codes++
					s.Secret(location.Query().Get("code"))
				case a.Status != http.StatusBadRequest:
					t.Errorf("answered %d to %q", a.Status, location)
				}
			}
			if codes != 1 {
				t.Errorf("%d codes for one reference", codes)
			}
			for _, u := range users { // the next round asks for consent again
				_ = s.DB.RevokeConsent(t.Context(), u.ID, web.ID, s.Clock.Now())
			}
		}
	}, func(o *apitest.Options) { o.Replicas = 3 })
}

// failing is a store that fails at one thing, if broken says so.
type failing struct {
	apitest.Store
	broken *string
}

func (f failing) fails(what string) error {
	if *f.broken == what {
		return userstore.ErrUnavailable
	}
	return nil
}

func (f failing) SavePushedRequest(
	ctx context.Context, p userstore.PushedRequest, l userstore.PushedLimits, now time.Time,
) error {
	if err := f.fails("save"); err != nil {
		return err
	}
	return f.Store.SavePushedRequest(ctx, p, l, now)
}

func (f failing) PushedRequest(
	ctx context.Context, id userstore.PushedID, clientID string, now time.Time,
) (userstore.PushedRequest, error) {
	if err := f.fails("read"); err != nil {
		return userstore.PushedRequest{}, err
	}
	return f.Store.PushedRequest(ctx, id, clientID, now)
}

func (f failing) UsePushedRequest(ctx context.Context, u userstore.PushedUse) error {
	if err := f.fails("use"); err != nil {
		return err
	}
	return f.Store.UsePushedRequest(ctx, u)
}

// A store that fails decides nothing: the same request is sent again and works.
func TestPushedRequestsWhileTheStoreFails(t *testing.T) {
	broken := ""
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		broken = "save"
		alice, web, b := s.SignUp("alice"), s.WebClient(), s.Browser()
		s.Do(pushRequest(s, web)).Want(http.StatusServiceUnavailable, "temporarily_unavailable")
		broken = "read"
		path := byReference(web, push(s, pushRequest(s, web)))
		b.Open(path).WantPage(http.StatusServiceUnavailable, "")
		broken = "use"
		p := b.SignIn(path, alice).WantPage(http.StatusOK, "consent-approve")
		again := *p
		p.Submit("consent-approve", nil).WantPage(http.StatusServiceUnavailable, "")
		broken = ""
		code := wantCode(t, again.Submit("consent-approve", nil))
		s.Do(s.CodeRequest(web, s.Secret(code))).Want(http.StatusOK, "")
	}, func(o *apitest.Options) {
		o.Store = func(db *sqlstore.DB) apitest.Store { return failing{db, &broken} }
	})
}
