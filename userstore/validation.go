package userstore

import "strings"

// Codes of field errors. They are stable, for programs.
const (
	CodeRequired   = "required"
	CodeTooShort   = "too_short"
	CodeTooLong    = "too_long"
	CodeInvalid    = "invalid"
	CodeNotAllowed = "not_allowed" // well-formed, but this value or this caller is not allowed

	// Codes of passwords that are guessed first.
	CodeTooCommon   = "too_common"   // on the list, or one word of it with parts that are no secret
	CodeTooSimple   = "too_simple"   // a repetition or a sequence
	CodeOwnName     = "own_name"     // the account's
	CodeServiceName = "service_name" // the product's or the issuer's
	CodeBreached    = "breached"     // known from a breach
)

// FieldError is one fault of one field. Its message never repeats the input.
type FieldError struct {
	Field   string // wire name; dotted when nested
	Code    string // one of the Code constants
	Message string // one sentence for a person
}

// ValidationError says that the input was refused and nothing changed. It holds the faults of all
// fields, so that a form can show them at once.
type ValidationError struct{ Fields []FieldError }

func (e *ValidationError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return "invalid input: " + strings.Join(parts, "; ")
}

// Fault is a FieldError without its field; the zero value is none.
type Fault struct{ Code, Message string }

// Faults collects the faults of a request, in the order in which its fields are checked.
type Faults []FieldError

// Add adds a fault of a field, if there is one.
func (fs *Faults) Add(field string, f Fault) {
	if f != (Fault{}) {
		*fs = append(*fs, FieldError{Field: field, Code: f.Code, Message: f.Message})
	}
}

// Err returns a *ValidationError, or nil when there is no fault.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return &ValidationError{Fields: fs}
}
