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

// MustHaveSecondFactor reports whether the policy wants a second factor of u that u does not have.
func (a *Accounts) MustHaveSecondFactor(u User) bool {
	return !u.SecondFactor && a.SecondFactor.Demands(u.HasRole(RoleAdmin))
}

// MaySetUpFactor reports why u may set up no second factor; nil: u may. ErrFactorsOff,
// ErrAccountDisabled, ErrAddressNotProved.
func (a *Accounts) MaySetUpFactor(u User) error {
	switch {
	case a.SecondFactor == SecondFactorOff:
		return ErrFactorsOff
	case !u.IsActive:
		return ErrAccountDisabled
	case !a.NoMail && !u.EmailVerified:
		return ErrAddressNotProved
	}
	return nil
}

// Methods by which a second step can be taken, as the API names them.
const (
	MethodApp      = "totp"
	MethodPasskey  = "passkey"
	MethodRecovery = "recovery_code"
)

// Methods returns what a second step of this account can be taken with.
func (s SecondFactors) Methods(passkeys bool) (methods []string) {
	if len(s.Passkeys) > 0 && passkeys {
		methods = append(methods, MethodPasskey)
	}
	if s.App != nil {
		methods = append(methods, MethodApp)
	}
	if s.RecoveryCodes > 0 {
		methods = append(methods, MethodRecovery)
	}
	return methods
}
