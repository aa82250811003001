package audit

// Names lists every name that an event can have.
var Names = []Name{
	UserCreated, UserImported, UserUpdated, UserDeleted,
	PasswordChanged, PasswordSet, PasswordRefused,
	UsersExported,
	LoginSucceeded, LoginFailed, RateLimited, SignupRefused, AdminRefused,
	SessionRevoked, SessionsRevoked,
	RefreshReplayed, RefreshLate, GenerationAhead,
	KeysRotated, KeysRevoked, KeysRewrapped, KeysChanged,
}
