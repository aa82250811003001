package secondsteps_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/audit"
)

// A new name of a passkey is an entry of the audit log, with the name before and after. The same name
// once more, and a name that is refused, are none.
func TestARenamedPasskeyIsInTheAuditLog(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := callerOf(s, alice)
		_, codes := s.WithPasskey(alice)
		proof := c.proofOf(apitest.Fields{"recovery_code": codes[0]})
		rename := func(id, name string) *apitest.Response {
			return c.send("PATCH", "/v1/profile/factors/passkeys/"+id, apitest.Fields{"name": name, "proof": proof})
		}
		key := c.factors().Passkeys[0]
		before := key.Name
		for _, name := range []string{"my phone", "Ключ 🔑", "", "my phone"} {
			events := s.EventsOf(rename(key.ID, "  "+name+" ").Want(200, ""))
			if len(events) != 1 {
				t.Fatalf("to %q: %+v", name, events)
			}
			e := events[0]
			want := []audit.Change{{Field: "name", Before: before, After: name}}
			if e.Name != audit.PasskeyRenamed || e.Outcome != audit.Success || fmt.Sprint(e.Changes) != fmt.Sprint(want) ||
				e.Target != audit.User(alice.ID) || e.Actor.ID != alice.ID || e.SessionID == "" {
				t.Errorf("to %q: %+v", name, e)
			}
			var answer struct{ Name string }
			again := rename(key.ID, name).Want(200, "")
			if json.Unmarshal(again.Body, &answer) != nil || answer.Name != name || len(s.EventsOf(again)) != 0 {
				t.Errorf("%q once more: %s %+v", name, again.Body, s.EventsOf(again))
			}
			before = name
		}
		for _, refused := range []*apitest.Response{
			rename(key.ID, "a\nb").Want(400, "validation_error"), rename("nothing", "x").Want(404, "not_found"),
		} {
			if events := s.EventsOf(refused); len(events) != 0 {
				t.Errorf("%d: %+v", refused.Status, events)
			}
		}
	})
}
