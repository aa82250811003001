package admin_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

func tokensOf(s *apitest.Server, access string) func(method, path string, body any) *apitest.Response {
	return func(method, path string, body any) *apitest.Response {
		s.T.Helper()
		return s.Do(apitest.Request{Method: method, Path: "/v1/admin/registration-tokens" + path, Token: access, Body: body})
	}
}

// TestAdminRegistrationTokens follows an initial access token to the client that it registers, and to
// its end.
func TestAdminRegistrationTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, root := s.Admin("root")
		do := tokensOf(s, root.Access)
		var made, usual userstore.RegistrationTokenDocument
		do("POST", "", apitest.Fields{"note": "the build", "uses": 2, "expires_in": 3600}).Want(201, "").JSON(&made)
		s.Secret(made.Token)
		now := s.Clock.Now()
		if len(made.Token) != 43 || made.Note != "the build" || made.Uses != 2 || made.UsesLeft != 2 ||
			!made.CreatedAt.Equal(now) || !made.ExpiresAt.Equal(now.Add(time.Hour)) {
			t.Errorf("%+v", made)
		}
		do("POST", "", apitest.Fields{"note": nil}).Want(201, "").JSON(&usual)
		if usual.Uses != 1 || !usual.ExpiresAt.Equal(now.Add(24*time.Hour)) || usual.Note != "" {
			t.Errorf("%+v", usual)
		}
		register := func() *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Token: made.Token,
				Body: apitest.Fields{"redirect_uris": []string{"https://shop.test/cb"}}})
		}
		var client struct {
			ID string `json:"client_id"`
		}
		register().Want(201, "").JSON(&client)
		var page struct {
			Tokens []userstore.RegistrationTokenDocument `json:"registration_tokens"`
			Next   string                                `json:"next_cursor"`
		}
		do("GET", "?limit=1", nil).Want(200, "").JSON(&page)
		first := page.Tokens
		do("GET", "?limit=1&cursor="+page.Next, nil).Want(200, "").JSON(&page)
		both := append(first, page.Tokens...)
		if len(both) != 2 || both[0].Token != "" {
			t.Fatalf("%+v", both)
		}
		for _, row := range both {
			if want := map[string]int64{made.ID: 1, usual.ID: 1}[row.ID]; row.UsesLeft != want {
				t.Errorf("%+v", row)
			}
		}
		do("DELETE", "/"+made.ID, nil).Want(204, "")
		register().Want(401, "invalid_token")
		var shown userstore.ClientDocument
		s.AdminOf(root.Access)("GET", "/"+client.ID, nil).Want(200, "").JSON(&shown)
		if shown.Kind != userstore.KindRegistered {
			t.Errorf("%+v", shown)
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.Registration = issuer.RegistrationToken }))
}

func TestAdminRegistrationTokensRefused(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, root := s.Admin("root")
		alice := s.Login(s.SignUp("alice"))
		for _, q := range []struct{ method, path string }{{"GET", ""}, {"POST", ""}, {"DELETE", "/x"}} {
			tokensOf(s, alice.Access)(q.method, q.path, nil).Want(403, "insufficient_scope")
			tokensOf(s, "")(q.method, q.path, nil).Want(401, "missing_token")
		}
		do := tokensOf(s, root.Access)
		for _, row := range []struct {
			name, faults string
			body         apitest.Fields
		}{
			{"no uses", "uses:invalid", apitest.Fields{"uses": -1}},
			{"too many uses", "uses:invalid", apitest.Fields{"uses": registration.MaxTokenUses + 1}},
			{"already over", "expires_in:invalid", apitest.Fields{"expires_in": -60}},
			{"too short", "expires_in:invalid", apitest.Fields{"expires_in": 59}},
			{"too long", "expires_in:invalid", apitest.Fields{"expires_in": 366*24*3600 + 1}},
			{"far too long", "expires_in:invalid", apitest.Fields{"expires_in": int64(1) << 60}},
			{"a note of two lines", "note:invalid", apitest.Fields{"note": "a\nb"}},
			{"a token of its own", "token:unknown_field", apitest.Fields{"token": "a token that somebody chose"}},
			{"a number as text", "uses:wrong_type", apitest.Fields{"uses": "2"}},
		} {
			t.Run(row.name, func(t *testing.T) {
				if got := tokensOf(s.With(t), root.Access)("POST", "", row.body).Want(400, "validation_error").Faults(); got != row.faults {
					t.Errorf("%s, want %s", got, row.faults)
				}
			})
		}
		var page struct {
			Tokens []struct{} `json:"registration_tokens"`
		}
		if do("GET", "", nil).Want(200, "").JSON(&page); len(page.Tokens) != 0 {
			t.Errorf("%d tokens were made", len(page.Tokens))
		}
		do("DELETE", "/nobody", nil).Want(404, "not_found")
		for _, query := range []string{"?limit=0", "?cursor=x", "?limit=" + strconv.Itoa(501), "?other=1"} {
			do("GET", query, nil).Want(400, "validation_error")
		}
	})
}
