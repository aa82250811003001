package web

import (
	"strings"
)

// field is an input with its label, and what is wrong with it.
type field struct {
	Name, Type, InputMode, Autocomplete string
	Label, Hint                         string // names of texts
	Subject                             string // in the names of complaints, where not Name
	Value                               string
	Required, Autofocus                 bool
	MinLength                           int
	Problems                            []string
}

// Described are the ids of what describes the input (aria-describedby).
func (f field) Described() string {
	var ids []string
	if len(f.Problems) > 0 {
		ids = append(ids, f.Name+"-problem")
	}
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	return strings.Join(ids, " ")
}

// settle puts each problem beside its field, those of no field of this form above it, and the focus where the person has to
// go on: at the first field with a problem, else the first that is needed and empty.
func (v *view) settle(problems []Problem) {
	fields := make([]*field, 0, len(v.Fields)+len(v.More))
	for n := range v.Fields {
		fields = append(fields, &v.Fields[n])
	}
	for n := range v.More {
		fields = append(fields, &v.More[n])
		v.MoreOpen = v.MoreOpen || v.More[n].Value != ""
	}
	for _, p := range problems {
		f := find(fields, p.Field)
		if f == nil {
			v.Problems = append(v.Problems, complaint(v.Language, "", p))
			continue
		}
		subject := f.Name
		if f.Subject != "" {
			subject = f.Subject
		}
		f.Problems = append(f.Problems, complaint(v.Language, subject, p))
	}
	for n := range v.More {
		v.MoreOpen = v.MoreOpen || len(v.More[n].Problems) > 0
	}
	for _, f := range fields {
		if len(f.Problems) > 0 {
			f.Autofocus = true
			return
		}
	}
	for _, f := range fields {
		if f.Required && f.Value == "" {
			f.Autofocus = true
			return
		}
	}
}

func find(fields []*field, name string) *field {
	if name == "preferred_username" {
		name = "username" // as the API calls it
	}
	for _, f := range fields {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// typed is a value to fill in again: as it was typed, unless it is longer than anything that is accepted.
func typed(s string) string {
	if s = strings.ToValidUTF8(s, ""); len(s) > 1024 {
		return ""
	}
	return s
}

// Wrong tells whether anything is.
func (v *view) Wrong() bool {
	if len(v.Problems) > 0 {
		return true
	}
	for _, f := range append(v.Fields[:len(v.Fields):len(v.Fields)], v.More...) {
		if len(f.Problems) > 0 {
			return true
		}
	}
	return false
}
