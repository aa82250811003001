package userstore

import (
	"testing"
	"time"
)

func TestAProofIsOfOnePasswordAndVersion(t *testing.T) {
	u := User{ID: "u", PasswordHash: "old", FactorVersion: 3}
	v := Verified{User: u, Proved: []ProvedFactor{{Method: ByApp, At: time.Unix(1000, 0)}}}
	at := func(version int64, hash string) User {
		return User{ID: "u", PasswordHash: hash, FactorVersion: version}
	}
	proof := v.SessionProofs()[0]
	v.Rehash = "upgraded"
	upgraded := v.SessionProofs()[0]
	for name, test := range map[string]struct {
		proof ProvedFactor
		user  User
		want  bool
	}{
		"the user as proved":        {proof, u, true},
		"another version":           {proof, at(4, "old"), false},
		"an older version":          {proof, at(2, "old"), false},
		"another password":          {proof, at(3, "new"), false},
		"another user":              {proof, User{ID: "v", PasswordHash: "old", FactorVersion: 3}, false},
		"a hash upgraded with it":   {upgraded, at(3, "upgraded"), true},
		"the hash before that":      {upgraded, at(3, "old"), false},
		"a proof from before marks": {ProvedFactor{Method: ByApp}, User{ID: "u"}, false},
	} {
		if got := test.proof.ProvesOwner(test.user.FactorVersion, test.user.PasswordMark()); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if (ProvedFactor{Method: ByApp}).ProvesOwner(0, nil) {
		t.Error("a proof without a mark proves a user without one")
	}

	// A factor that is proved once more, be it at the same instant, is a proof of the user as of now.
	again := Verified{User: at(4, "old"), Proved: []ProvedFactor{{Method: ByApp, At: proof.At}}}
	for _, merged := range [][]ProvedFactor{
		MergeProofs([]ProvedFactor{proof}, again.SessionProofs()),
		MergeProofs([]ProvedFactor{{Method: ByApp, At: proof.At.Add(-time.Hour)}}, again.SessionProofs()),
	} {
		if len(merged) != 1 || !merged[0].At.Equal(proof.At) || !merged[0].ProvesOwner(4, again.User.PasswordMark()) {
			t.Errorf("%+v", merged)
		}
	}
}
