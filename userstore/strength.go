package userstore

import (
	"crypto/hmac"
	"slices"
	"time"
)

// Methods by which a person proves to be the owner of an account.
const (
	ByPassword      = "password"
	ByApp           = "app" // the code of an authenticator app
	ByRecoveryCode  = "recovery_code"
	ByPasskey       = "passkey"        // bound to one device
	BySyncedPasskey = "synced_passkey" // backed up, so on other devices as well
)

// Values of the claim acr: how many factors a login rests on. A passkey is two, for it verifies its
// user.
const (
	OneFactor  = "1"
	TwoFactors = "2"
)

// ProvedFactor is a factor that was proved in a session, and when.
type ProvedFactor struct {
	Method string
	At     time.Time
	// FactorVersion and PasswordMark are those of the user when the session got the proof, or after the
	// last change by this session: see FactorChange.BySession. After a change of the password or the
	// factors elsewhere, a factor is proved anew before the account is changed here.
	FactorVersion int64
	PasswordMark  []byte
}

// ProvesOwner reports whether the password and the factors are still those of when p was proved. A
// proof from before marks were stored is none.
func (p ProvedFactor) ProvesOwner(factorVersion int64, passwordMark []byte) bool {
	return p.FactorVersion == factorVersion && len(p.PasswordMark) > 0 && hmac.Equal(p.PasswordMark, passwordMark)
}

// Strength is what a session's proofs amount to, as tokens show it.
type Strength struct {
	ACR      string
	AMR      []string  // RFC 8176
	AuthTime time.Time // of the oldest proof that ACR rests on
}

// StrengthOf computes the strength of what was proved. If several of the proofs reach the ACR, the
// newest do it.
func StrengthOf(proved []ProvedFactor) Strength {
	at := map[string]time.Time{}
	for _, p := range proved {
		if p.At.After(at[p.Method]) {
			at[p.Method] = p.At
		}
	}
	has := func(methods ...string) (newest time.Time, ok bool) {
		for _, m := range methods {
			if t, proved := at[m]; proved {
				ok = true
				if t.After(newest) {
					newest = t
				}
			}
		}
		return newest, ok
	}
	password, byPassword := has(ByPassword)
	code, byCode := has(ByApp, ByRecoveryCode)
	key, byKey := has(ByPasskey, BySyncedPasskey)

	s := Strength{ACR: OneFactor, AuthTime: password}
	if !byPassword {
		s.AuthTime = code // no rule starts a session with a code alone
	}
	if byPassword && byCode {
		s.ACR = TwoFactors
		if code.Before(s.AuthTime) {
			s.AuthTime = code
		}
	}
	if byKey && (s.ACR == OneFactor || key.After(s.AuthTime)) {
		s.ACR, s.AuthTime = TwoFactors, key
	}
	if byPassword {
		s.AMR = append(s.AMR, "pwd")
	}
	if byCode {
		s.AMR = append(s.AMR, "otp")
	}
	if byKey {
		s.AMR = append(s.AMR, "pop", "user")
	}
	if _, synced := at[BySyncedPasskey]; synced {
		s.AMR = append(s.AMR, "swk")
	}
	if s.ACR == TwoFactors {
		s.AMR = append(s.AMR, "mfa")
	}
	return s
}

// MergeProofs returns the newest proof of each method of both, oldest first.
func MergeProofs(before, now []ProvedFactor) []ProvedFactor {
	var merged []ProvedFactor
	for _, p := range slices.Concat(before, now) {
		i := slices.IndexFunc(merged, func(m ProvedFactor) bool { return m.Method == p.Method })
		switch {
		case i < 0:
			merged = append(merged, p)
		case !p.At.Before(merged[i].At):
			merged[i] = p
		}
	}
	slices.SortStableFunc(merged, func(a, b ProvedFactor) int { return a.At.Compare(b.At) })
	return merged
}
