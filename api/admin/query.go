package admin

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/strictjson"
)

// query is the query of an address: each parameter at most once, and none that the route does not
// know. An unknown parameter is refused and not ignored, because a misspelt condition would answer
// everything.
type query struct {
	values url.Values
	faults []problem.Fault
}

var parameterName = regexp.MustCompile(`^[A-Za-z_]{1,32}$`)

func readQuery(r *http.Request, allowed []string) (query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, problem.New(problem.InvalidRequest, "The query cannot be read; percent-encode the values.")
	}
	q := query{values: values}
	for _, name := range sortedNames(values) {
		switch {
		case !slices.Contains(allowed, name):
			shown := name
			if !parameterName.MatchString(name) {
				shown = "" // text of the request is not repeated in an answer
			}
			q.fault(shown, strictjson.UnknownField, "There is no such parameter here.")
		case len(values[name]) > 1:
			q.fault(name, strictjson.Duplicate, "Send this parameter once.")
		case values[name][0] == "" && name != "search": // forms send it empty
			q.fault(name, "invalid", "Give this parameter a value, or leave it out.")
		case utf8.RuneCountInString(values[name][0]) > maxParameter:
			q.fault(name, "too_long", "This is too long; "+strconv.Itoa(maxParameter)+" characters are the most.")
		}
	}
	return q, q.err()
}

// maxParameter is how many characters a parameter has at most: an email address has 254.
const maxParameter = 256

func sortedNames(values url.Values) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (q *query) fault(field, code, message string) {
	q.faults = append(q.faults, problem.Fault{Field: field, Code: code, Message: message})
}

// err is a validation_error with all faults, or nil.
func (q *query) err() error {
	if q.faults == nil {
		return nil
	}
	return problem.Invalid(q.faults...)
}

func (q *query) text(name string) string { return q.values.Get(name) }

// oneOf is a value that has to be one of words, or "" when the parameter was not sent.
func (q *query) oneOf(name string, words ...string) string {
	value := q.text(name)
	if value != "" && !slices.Contains(words, value) {
		q.fault(name, "invalid", "This is one of "+strings.Join(words, ", ")+".")
	}
	return value
}

// instant is a time by RFC 3339, or zero for none.
func (q *query) instant(name string) time.Time {
	value := q.text(name)
	if value == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		q.fault(name, "invalid", "Write an instant as 2026-01-31T18:00:00Z; the + of an offset is %2B in an address.")
	}
	return at.UTC()
}

// limit is how many entries a page shall have.
func (q *query) limit(otherwise, most int) int {
	value := q.text("limit")
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most || strconv.Itoa(n) != value {
		q.fault("limit", "invalid", "A page has 1 to "+strconv.Itoa(most)+" entries.")
	}
	return n
}

// conditions are the parameters that select entries, without those that select the page: a cursor
// is bound to them.
func (q *query) conditions() url.Values {
	out := url.Values{}
	for name, values := range q.values {
		if name != "cursor" && name != "limit" {
			out[name] = values
		}
	}
	return out
}

// storable reports whether the store can hold the texts at all; it finds no others.
func storable(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) })
}
