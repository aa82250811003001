package userstore

import "strings"

// Codes of field errors: stable, for programs.
const (
	CodeRequired   = "required"
	CodeTooShort   = "too_short"
	CodeTooLong    = "too_long"
	CodeInvalid    = "invalid"
	CodeNotAllowed = "not_allowed" // well-formed, but not this value or not by this caller

	// Of passwords that are guessed first.
	CodeTooCommon   = "too_common"   // on the list, or one word of it with what is no secret
	CodeTooSimple   = "too_simple"   // a repetition or a sequence
	CodeOwnName     = "own_name"     // of the account
	CodeServiceName = "service_name" // of the product or the issuer
	CodeBreached    = "breached"     // known from a breach
)

// FieldError is one fault of one field. Its message never repeats what was sent.
type FieldError struct {
	Field   string // wire name; dotted when nested
	Code    string // one of the Code constants
	Message string // one sentence for a person
}

// ValidationError: the input was refused and nothing changed. It holds the faults of
// all fields, so that a form can show them at once.
type ValidationError struct{ Fields []FieldError }

func (e *ValidationError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return "invalid input: " + strings.Join(parts, "; ")
}

// fault is a FieldError that does not know its field yet; the zero value is none.
type fault struct{ code, message string }

// faults gathers what is wrong, in the order in which fields are looked at.
type faults []FieldError

func (fs *faults) add(field string, f fault) {
	if f != (fault{}) {
		*fs = append(*fs, FieldError{Field: field, Code: f.code, Message: f.message})
	}
}

// err is a *ValidationError, or nil when nothing was wrong.
func (fs faults) err() error {
	if len(fs) == 0 {
		return nil
	}
	return &ValidationError{Fields: fs}
}
