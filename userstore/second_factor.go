package userstore

// SecondFactorPolicy says who has to have a second factor: an authenticator app or a passkey. An
// account that has one is asked for it under every policy.
type SecondFactorPolicy string

const (
	SecondFactorOptional SecondFactorPolicy = ""         // users decide
	SecondFactorOff      SecondFactorPolicy = "off"      // nobody can set one up
	SecondFactorAdmins   SecondFactorPolicy = "admins"   // users with the role admin set one up before anything else
	SecondFactorRequired SecondFactorPolicy = "required" // every user does
)

// Demands reports whether the policy wants a second factor of a user, who is an admin or not.
func (p SecondFactorPolicy) Demands(admin bool) bool {
	return p == SecondFactorRequired || p == SecondFactorAdmins && admin
}
