package audit

import (
	"encoding/json"
	"time"

	"github.com/signet-id/signet/internal/printable"
)

// document is the JSON form of an event, over HTTP and at the command line alike. Members may be
// added; none changes its meaning.
type document struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"` // RFC 3339, UTC
	Event     Name      `json:"event"`
	Outcome   Outcome   `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	Actor     identity  `json:"actor"`
	Target    *identity `json:"target,omitempty"`
	ClientID  string    `json:"client_id,omitempty"`
	SessionID string    `json:"session_id,omitempty"`
	Address   string    `json:"address,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Changes   []Change  `json:"changes,omitempty"`
}

type identity struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
}

// MarshalJSON writes the event on one line. Strangers choose user agents and names, and people read
// exports in a terminal, so control sequences are escaped.
func (e Event) MarshalJSON() ([]byte, error) {
	d := document{
		ID: e.ID, Time: e.At.UTC(), Event: e.Name, Outcome: e.Outcome, Reason: e.Reason,
		Actor:    identity{string(e.Actor.Type), e.Actor.ID},
		ClientID: e.ClientID, SessionID: e.SessionID,
		Address: e.Address, UserAgent: e.UserAgent, RequestID: e.RequestID, Changes: e.Changes,
	}
	if e.Target != (Target{}) {
		d.Target = &identity{string(e.Target.Type), e.Target.ID}
	}
	text, err := json.Marshal(d)
	return printable.JSON(text), err
}
