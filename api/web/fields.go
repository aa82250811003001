package web

import (
	"strings"
)

// field is an input with its label, and what is wrong with it.
type field struct {
	Name, Type, InputMode, Autocomplete string
	ID                                  string // where not Name
	Label, Hint                         string // names of texts
	Subject                             string // in the names of complaints, where not Name
	Value                               string
	Required, Autofocus                 bool
	MinLength                           int
	Problems                            []string
	Alert                               bool   // they are said aloud here; else above the form
	Shared                              string // name of the field that says what is wrong with this one, too
}

// Key is the id of the input.
func (f field) Key() string {
	if f.ID != "" {
		return f.ID
	}
	return f.Name
}

// Described are the ids of what describes the input (aria-describedby).
func (f field) Described() string {
	var ids []string
	if len(f.Problems) > 0 {
		ids = append(ids, f.Key()+"-problem")
	}
	if f.Shared != "" {
		ids = append(ids, f.Shared+"-problem")
	}
	if f.Hint != "" {
		ids = append(ids, f.Key()+"-hint")
	}
	return strings.Join(ids, " ")
}

// Invalid tells whether something is wrong with what is in the field.
func (f field) Invalid() bool { return len(f.Problems) > 0 || f.Shared != "" }

// settle puts each problem beside its field and those of no field of this form above all. What several fields have is listed
// above, too. The focus goes to what has to be read first: to the list above; else to the one field with a
// problem, which stands right over its input; else to the first input that is needed and empty.
func (v *view) settle(problems []Problem) {
	fields := v.all()
	for n := range v.More {
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
	var wrong []*field
	for _, f := range fields {
		if len(f.Problems) > 0 {
			wrong = append(wrong, f)
		}
	}
	switch {
	case len(wrong) > 1:
		for _, f := range wrong {
			v.Listed = append(v.Listed, *f)
		}
	case len(v.Problems) > 0:
	case len(wrong) == 1:
		wrong[0].Alert, wrong[0].Autofocus = true, true
	default:
		for _, f := range fields {
			if f.Required && f.Value == "" {
				f.Autofocus = true
				return
			}
		}
	}
}

// all are the fields of the form, in their order.
func (v *view) all() []*field {
	fields := make([]*field, 0, len(v.Fields)+len(v.More))
	for n := range v.Fields {
		fields = append(fields, &v.Fields[n])
	}
	for n := range v.More {
		fields = append(fields, &v.More[n])
	}
	return fields
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
	for _, f := range v.all() {
		if len(f.Problems) > 0 {
			return true
		}
	}
	return false
}
