package grpcauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/signet-id/signet/internal/statuslist"
	"github.com/signet-id/signet/verifier"
)

// A revoked token is refused, and nothing is decided without its status list, as over HTTP.
func TestTheStatusOfATokenIsChecked(t *testing.T) {
	var list string // empty: there is none
	lists := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", statuslist.MediaType)
		if list == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(list))
	}))
	defer lists.Close()
	s := newStand(t, func(c *verifier.Config) { c.StatusBaseURL = lists.URL })
	address := s.issuer.URL + "/status/0"
	token := func(place int) string {
		return "Bearer " + s.issuer.Token(map[string]any{"aud": audience, "sub": "alice", "scope": "notes:read",
			"status": map[string]any{"status_list": map[string]any{"uri": address, "idx": place}}})
	}
	for _, method := range []string{"List", "Watch"} {
		_, trailer, err := s.call(method, token(1))
		st := status.Convert(err)
		if st.Code() != codes.Unavailable || infoOf(t, st).Reason != "status_unavailable" ||
			len(trailer.Get("www-authenticate")) > 0 {
			t.Errorf("%s without a list: %v, trailer %v", method, err, trailer)
		}
		retryAfter(t, st)
	}

	places := statuslist.New(8)
	places.Revoke(1)
	encoded, err := places.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.issuer.Advance(time.Minute)
	payload, err := json.Marshal(map[string]any{"iss": s.issuer.URL, "sub": address, "iat": s.issuer.Now().Unix(),
		"exp": s.issuer.Now().Unix() + 600, "status_list": encoded})
	if err != nil {
		t.Fatal(err)
	}
	list = s.issuer.Sign(statuslist.Type, payload)
	for _, method := range []string{"List", "Watch"} {
		_, trailer, err := s.call(method, token(1))
		st := status.Convert(err)
		if st.Code() != codes.Unauthenticated || infoOf(t, st).Reason != "token_revoked" ||
			len(trailer.Get("www-authenticate")) != 1 {
			t.Errorf("%s, a revoked token: %v, trailer %v", method, err, trailer)
		}
		if answer, _, err := s.call(method, token(2)); err != nil || answer != "alice" {
			t.Errorf("%s, a valid token: %q, %v", method, answer, err)
		}
	}
}
