package statuslists_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/statuslist"
)

// Each replica shows what another one revoked, by its own poll; and a list is signed anew when its
// key was revoked.
func TestReplicasAndKeys(t *testing.T) {
	s := apitest.New(t, apitest.Options{StatusLists: true, Replicas: 3})
	u := s.SignUp("alice")
	tokens := s.Login(u)
	index := place(t, tokens.Access)
	statusAt := func(replica int) byte {
		t.Helper()
		l := claims(t, string(s.Do(apitest.Request{Path: "/oauth2/status/0", Replica: replica}).Want(200, "").Body))
		lst, _ := l["status_list"].(map[string]any)["lst"].(string)
		places, err := statuslist.List{Bits: 1, Compressed: lst}.Decode()
		must(t, err)
		status, _ := places.Status(index)
		return status
	}
	for replica := range 3 {
		if statusAt(replica) != 0 {
			t.Errorf("replica %d says it is revoked", replica)
		}
	}
	s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: tokens.Access}).Want(204, "")
	poll(s)
	for replica := range 3 {
		if statusAt(replica) != 1 {
			t.Errorf("replica %d does not know of it after a second", replica)
		}
	}
	before := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag")
	if _, err := s.Replicas[0].Keys.Revoke(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	must(t, s.Replicas[0].Keys.Step(t.Context()))
	if got := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag"); got == before {
		t.Error("the list is still signed with a revoked key")
	}
	must(t, verify(resourceServer(s), s.Login(u).Access))
}
