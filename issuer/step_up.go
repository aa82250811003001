package issuer

import (
	"slices"

	"github.com/signet-id/signet/userstore"
)

// acrValues are the values of acr that a login here can have, in ascending order: each includes the
// ones before.
var acrValues = []string{userstore.OneFactor, userstore.TwoFactors}

// reaches reports whether a login of acr satisfies a demand for another.
func reaches(acr, wanted string) bool {
	return slices.Index(acrValues, acr) >= slices.Index(acrValues, wanted)
}

// stepUp says what a request demands of the strength of a login.
type stepUp struct {
	acr       string // empty: any
	essential bool   // the request is refused where the user cannot reach acr
}

// demanded returns the strength that a request demands. The parameter acr_values only asks: its first
// value that is known here is the preferred one (OIDC Core section 3.1.2.1). The claims parameter asks
// in the same way, and can insist: then the user is asked for the preferred value, and refused below
// the least. The scope admin insists where the policy does.
func (i *Issuer) demanded(p Pending) (s stepUp) {
	wanted, essential := claimsRequestOf(p.Claims).acr()
	if essential {
		for _, known := range acrValues { // the least that satisfies
			if slices.Contains(wanted, known) {
				s = stepUp{known, true}
				break
			}
		}
	}
	if slices.Contains(p.Scopes, userstore.ScopeAdmin) && i.adminNeedsTwo() {
		return stepUp{userstore.TwoFactors, true}
	}
	for _, wish := range [][]string{wanted, p.ACRValues} {
		n := slices.IndexFunc(wish, func(v string) bool { return slices.Contains(acrValues, v) })
		if n >= 0 && !reaches(s.acr, wish[n]) {
			s.acr, s.essential = wish[n], false
		}
	}
	return s
}

// checkStrength decides whether the session of b is strong enough for p. If not, refused is why, and
// step is LogIn if the user can change that.
func (i *Issuer) checkStrength(p Pending, b Browser) (step Step, refused *Error) {
	if i.Accounts.MustHaveSecondFactor(b.User) {
		return LogIn, errLoginRequired // sets a second factor up after the password
	}
	want := i.demanded(p)
	switch {
	case want.acr == "" || reaches(b.Session.ACR, want.acr):
		return IssueCode, nil
	case b.User.SecondFactor:
		return LogIn, errLoginRequired
	case want.essential:
		return Respond, errUnmetACR
	}
	return IssueCode, nil
}
