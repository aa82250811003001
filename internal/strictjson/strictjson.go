// Package strictjson decodes JSON that strangers wrote. encoding/json takes the last of two members
// of one name, matches names without case, replaces broken UTF-8 and (through a Decoder) ignores
// what follows the value; each of these lets two readers see two different documents.
//
//	bytes → scanner (scan.go: grammar, UTF-8, duplicates, depth, and each member
//	        against the target's shape, shape.go) → encoding/json → your struct
//
// The scanner reads everything once and collects every problem that it can, each under the name of
// its field; encoding/json only ever sees documents that have one meaning. U+0000 inside a string
// is legal JSON: the caller decides whether a field may hold it.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// MaxDepth is how many arrays and objects may be open at once.
const MaxDepth = 16

// maxProblems bounds a report: a body of 10,000 unknown members must not be
// answered with a longer one.
const maxProblems = 32

// Problem is one thing wrong with a document.
type Problem struct {
	Field   string // member name, dotted when nested ("address.street", "keys.2"); empty for the document itself
	Code    string // stable, snake_case: one of the constants below
	Message string // one sentence for a person; never repeats the value
}

// The codes of a Problem.
const (
	Malformed    = "malformed"
	UnknownField = "unknown_field"
	Duplicate    = "duplicate_field"
	WrongCase    = "wrong_case"
	WrongType    = "wrong_type"
	TrailingData = "trailing_data"
	TooDeep      = "too_deep"
)

// Error is the error of this package: every problem that was found, never empty.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("not acceptable JSON: ")
	for i, p := range e.Problems {
		if i == 4 {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if p.Field != "" {
			fmt.Fprintf(&b, "%q: ", p.Field)
		}
		b.WriteString(p.Message)
	}
	return b.String()
}

// Unknown says how to treat a member that the target has no field for.
type Unknown bool

const (
	RefuseUnknown Unknown = false
	IgnoreUnknown Unknown = true
)

// Unmarshal decodes exactly one JSON value into v. It refuses duplicate members at any depth,
// members that equal a field's name only without case, invalid UTF-8 and unpaired surrogates,
// trailing data, nesting deeper than MaxDepth, and null for a field that cannot hold nothing (give
// such a field a pointer, slice, map or json.RawMessage type). A refusal is an *Error and leaves v
// in no particular state.
func Unmarshal(data []byte, v any, unknown Unknown) error {
	s := newScanner(data)
	defer s.release()
	s.ignoreUnknown = bool(unknown)
	return s.unmarshal(v)
}

// UnmarshalPatch is Unmarshal of an object whose members may be null, as in a JSON merge patch (RFC
// 7396) or a registration (RFC 7592 section 2.2): null leaves the field as it is.
func UnmarshalPatch(data []byte, v any, unknown Unknown) error {
	s := newScanner(data)
	defer s.release()
	s.ignoreUnknown, s.nullMembers = bool(unknown), true
	return s.unmarshal(v)
}

func (s *scanner) unmarshal(v any) error {
	target := reflect.TypeOf(v)
	if target == nil || target.Kind() != reflect.Pointer || reflect.ValueOf(v).IsNil() {
		return fmt.Errorf("strictjson: the target must be a pointer, not %T", v)
	}
	if err := s.document(target.Elem()); err != nil {
		return err
	}
	if err := json.Unmarshal(s.data, v); err != nil {
		return &Error{Problems: []Problem{fromEncodingJSON(err)}}
	}
	return nil
}

// fromEncodingJSON translates an error that only the real decoding can find, such as a number that
// overflows inside an `any`.
func fromEncodingJSON(err error) Problem {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return Problem{Field: mismatch.Field, Code: WrongType, Message: "This value has the wrong type."}
	}
	return Problem{Code: Malformed, Message: "The document cannot be read."}
}

// Member is one member of an object, in the order of the document.
type Member struct {
	Name  string
	Value json.RawMessage // valid JSON, sharing the document's bytes
}

// Members splits an object without decoding its values, as a JSON merge patch (RFC 7396) needs,
// where null and absence differ. The document must satisfy the same rules as for Unmarshal.
func Members(data []byte) ([]Member, error) {
	var members []Member
	err := Object(data, func(name, value []byte) {
		members = append(members, Member{Name: string(name), Value: value})
	})
	if err != nil {
		return nil, err
	}
	return members, nil
}

// Object calls visit for each member of an object, in order, during the scan; if Object returns an
// error, the caller must discard what visit saw. name is unescaped, value is valid JSON without
// white space around it; both may share the document's bytes. Object is for hot paths that decode
// by hand.
func Object(data []byte, visit func(name, value []byte)) error {
	s := newScanner(data)
	defer s.release()
	s.visit = visit
	return s.document(nil)
}

// String decodes a value from Object or Members; false if it is not a string.
func String(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	return string(unquote(value)), true
}

// Strings decodes a list of strings from Object or Members; false if it is anything else.
func Strings(value []byte) ([]string, bool) {
	s := scanner{data: value}
	if !s.eat('[') {
		return nil, false
	}
	list := []string{}
	for s.space(); !s.eat(']'); s.space() {
		if s.pos == len(value) || value[s.pos] != '"' {
			return nil, false
		}
		raw, _, ok := s.text()
		if !ok {
			return nil, false
		}
		list = append(list, string(unquote(raw)))
		s.space()
		s.eat(',')
	}
	return list, true
}
