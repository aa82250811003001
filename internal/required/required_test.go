package required

import "testing"

func TestMissing(t *testing.T) {
	type parts struct {
		Limit, Other *int
		Check        func()
		Store        interface{ Close() }
		Name         string
		List         []string
		Number       int
		unexported   *int
	}
	one := 1
	for name, c := range map[string]struct {
		parts    parts
		optional []string
		want     string
	}{
		"everything": {parts{}, nil, "required.parts is made without Limit, Other, Check, Store, Name, List"},
		"one": {parts{Limit: &one, Check: func() {}, Name: "x"}, []string{"Store", "List"},
			"required.parts is made without Other"},
		"what may be missing":     {parts{}, []string{"Limit", "Other", "Check", "Store", "Name", "List"}, ""},
		"nothing, zeros included": {parts{&one, new(int), func() {}, nil, "x", []string{"x"}, 0, nil}, []string{"Store"}, ""},
	} {
		for _, v := range []any{c.parts, &c.parts} {
			got := ""
			if err := Missing(v, c.optional...); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	}
}
