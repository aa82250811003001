package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// continuedSession: what only adds to a session starts none without it, and spends nothing then.
func continuedSession(t *testing.T, f *fixture) {
	u := f.user(t)
	app := f.app(t, &u)
	old := f.session(t, u, func(s *newLogin) { s.Second = secondStep{FactorVersion: u.FactorVersion, Proved: true} })
	stepUp := func(replaces userstore.SessionHash, counter int64) (userstore.BrowserSession, error) {
		s := f.newSession(u)
		s.ID = old.ID
		return s, f.StartSession(t.Context(), newLogin{
			Session: s, Replaces: replaces, Continues: true, PasswordHash: u.PasswordHash,
			Second: secondStep{FactorVersion: u.FactorVersion, Proved: true,
				Use: factorUse{App: app.ID, Counter: counter, At: f.now}},
		})
	}
	next, err := stepUp(old.Hash, appCounter+1)
	must(t, err)
	f.sessionExists(t, old, false)
	f.sessionExists(t, next, true)

	must(t, f.EndSession(t.Context(), old.ID, f.now.Add(time.Second)))
	before := f.factorRows(t, u)
	for what, replaces := range map[string]userstore.SessionHash{
		"the session ended": next.Hash, "it was replaced before": old.Hash, "there is none": {},
		"it is nobody's": sessionHash(),
	} {
		s, err := stepUp(replaces, appCounter+2)
		is(t, err, userstore.ErrConflict)
		f.sessionExists(t, s, false)
		equal(t, what, f.factorRows(t, u), before)
	}
}
