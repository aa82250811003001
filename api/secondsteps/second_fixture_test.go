package secondsteps_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// step is how a login goes on.
type step struct {
	Login     string
	Methods   []string
	ExpiresIn int `json:"expires_in"`
}

func firstStep(s *apitest.Server, u apitest.User) (first step) {
	s.T.Helper()
	post(s, "/v1/login", apitest.Fields{"email": u.Email, "password": u.Password}).
		Want(401, "second_factor_required").JSON(&first)
	return first
}

// passkeyOptions asks for the options of a passkey, with a handle in the answer or none.
func passkeyOptions(s *apitest.Server, path, token string, body any) (options json.RawMessage, handle string) {
	s.T.Helper()
	var o struct {
		Options       json.RawMessage
		Login, Handle string
	}
	s.Do(apitest.Request{Method: "POST", Path: path, Token: token, Body: body}).Want(200, "").JSON(&o)
	return o.Options, o.Login + o.Handle
}

// forgedHandles are handles that were not made here, made of one that was.
func forgedHandles(handle string) map[string]string {
	raw, _ := base64.RawURLEncoding.DecodeString(handle)
	changed, other := slices.Clone(raw), slices.Clone(raw)
	changed[len(changed)-3] ^= 1
	other[0] ^= 1
	return map[string]string{
		"changed": base64.RawURLEncoding.EncodeToString(changed), "another MAC": base64.RawURLEncoding.EncodeToString(other),
		"cut": handle[:len(handle)-4], "the MAC alone": handle[:43], "padded": handle + "=", "not base64url": "§",
		"long": strings.Repeat("A", 50000), "a word": "x",
	}
}

// unlimited is an option of Each: guesses are not counted, but those of codes in a row.
func unlimited(o *apitest.Options) {
	apitest.Configured(func(r *apitest.Replica) { r.Accounts.Throttle = userstore.NoThrottle })(o)
}
