package audit

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDocument(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 8, 7, 654321000, time.FixedZone("", 3600))
	for _, c := range []struct {
		name string
		in   Event
		want string
	}{
		{"all that an event can tell", Event{
			ID: "e1", At: at, Name: UserUpdated, Outcome: Failure, Reason: "last_admin",
			Actor: Actor{ByUser, "u1"}, Target: User("u2"), ClientID: "signet", SessionID: "s1",
			Address: "2001:db8::1", UserAgent: "curl/8", RequestID: "r1",
			Changes: []Change{{"roles", "admin", ""}},
		},
			`{"id":"e1","time":"2026-03-01T08:08:07.654321Z","event":"user_updated","outcome":"failure","reason":"last_admin",` +
				`"actor":{"type":"user","id":"u1"},"target":{"type":"user","id":"u2"},"client_id":"signet","session_id":"s1",` +
				`"address":"2001:db8::1","user_agent":"curl/8","request_id":"r1","changes":[{"field":"roles","before":"admin","after":""}]}`},
		{"what is not there is left out",
			Event{ID: "e2", At: at.UTC(), Name: LoginFailed, Outcome: Failure, Actor: Actor{Type: ByNobody}},
			`{"id":"e2","time":"2026-03-01T08:08:07.654321Z","event":"login_failed","outcome":"failure","actor":{"type":"anonymous"}}`},
		{"nothing that a terminal obeys",
			Event{ID: "e3", At: at, Name: LoginFailed, Outcome: Failure, Actor: Actor{Type: ByNobody},
				UserAgent: "a\n\x1b[2J\u009b\u202e\u2028\"}", Changes: []Change{{"name", "\u202eA", "\x7fB"}}},
			`{"id":"e3","time":"2026-03-01T08:08:07.654321Z","event":"login_failed","outcome":"failure","actor":{"type":"anonymous"},` +
				`"user_agent":"a\n\u001b[2J\u009b\u202e\u2028\"}","changes":[{"field":"name","before":"\u202eA","after":"\u007fB"}]}`},
	} {
		got, err := json.Marshal(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s (%v)", c.name, got, c.want, err)
		}
	}
}
