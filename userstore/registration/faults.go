package registration

import "github.com/signet-id/signet/userstore"

// Faults of a registration, by their codes.

func required(message string) userstore.Fault {
	return userstore.Fault{Code: userstore.CodeRequired, Message: message}
}
func invalid(message string) userstore.Fault {
	return userstore.Fault{Code: userstore.CodeInvalid, Message: message}
}
func notAllowed(message string) userstore.Fault {
	return userstore.Fault{Code: userstore.CodeNotAllowed, Message: message}
}
func tooLong(message string) userstore.Fault {
	return userstore.Fault{Code: userstore.CodeTooLong, Message: message}
}
func tooShort(message string) userstore.Fault {
	return userstore.Fault{Code: userstore.CodeTooShort, Message: message}
}
