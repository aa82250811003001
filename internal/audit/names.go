package audit

// Names lists every name of an event.
var Names = []Name{
	UserCreated, UserImported, UserUpdated, UserDeleted,
	PasswordChanged, PasswordSet, PasswordReset, PasswordRefused, EmailVerified, UserInvited,
	EmailChangeRequested, EmailChangeWithdrawn, EmailChanged, EmailChangeUndone,
	FactorAdded, FactorRemoved, FactorRefused, PasskeyRenamed, RecoveryCodesMade, RecoveryCodeUsed,
	BrowserTrusted, BrowserTrustEnded,
	UsersExported,
	LoginSucceeded, LoginFailed, RateLimited, SignupRefused, AdminRefused,
	SessionRevoked, SessionsRevoked, GrantsRevoked,
	RefreshReplayed, RefreshLate, GenerationAhead,
	ClientCreated, ClientUpdated, ClientDeleted, ClientSecretRotated, ClientAuthFailed,
	RegistrationTokenCreated, RegistrationTokenRevoked,
	ConsentGranted, ConsentRevoked, GrantStarted, CodeReplayed,
	DeviceAllowed, DeviceDenied,
	MailGivenUp,
	LogoutGivenUp,
	KeysRotated, KeysRevoked, KeysRewrapped, KeysChanged,
	StoreRecovered,
}
