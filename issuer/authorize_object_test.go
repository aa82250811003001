package issuer

import (
	"encoding/base64"
	"testing"

	"github.com/signet-id/signet/userstore"
)

func TestARequestObjectSaysHowItsRefusalIsSent(t *testing.T) {
	object := func(payload string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
	}
	for _, row := range []struct {
		name, request string
		repeated      []string
		mode, state   string
	}{
		{"both stand in it", object(`{"response_mode":"form_post","state":"inner"}`), nil, "form_post", "inner"},
		{"it says nothing of them", object(`{"scope":"openid"}`), nil, "query", "outer"},
		{"a mode that nobody answers in", object(`{"response_mode":"fragment","state":"inner"}`), nil, "query", "inner"},
		{"they are no text", object(`{"response_mode":1,"state":["inner"]}`), nil, "query", "outer"},
		{"two of a name", object(`{"state":"a","state":"b"}`), nil, "query", "outer"},
		{"no JSON", object(`state`), nil, "query", "outer"},
		{"no base64url", "a.!.", nil, "query", "outer"},
		{"encrypted", object(`{"state":"inner"}`) + "..", nil, "query", "outer"},
		{"nothing", "", nil, "query", "outer"},
		{"two objects", object(`{"state":"inner"}`), []string{"request"}, "query", "outer"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := &Issuer{}
			got, err := w.withRequestObject(t.Context(), userstore.Client{}, AuthorizationRequest{Request: row.request,
				Repeated: row.repeated, ResponseMode: "query", State: "outer"})
			if err != nil {
				t.Fatal(err)
			}
			if got.ResponseMode != row.mode || got.State != row.state || got.Request != row.request {
				t.Errorf("answers by %q with state %q, want %q with %q", got.ResponseMode, got.State, row.mode, row.state)
			}
		})
	}
}
