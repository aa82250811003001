package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func userSearch(t *testing.T, f *fixture) {
	ids := map[string]string{} // by name
	for i, u := range []userstore.User{
		{ID: "ID-of-Ann", EmailKey: "ann@x.test", UsernameKey: "ann", Roles: []string{"admin"}, IsActive: true},
		{ID: "ID-of-Bob", EmailKey: "bob_%@x.test", UsernameKey: "bob", Roles: []string{"editor", "admin2", `a"admin`},
			IsActive: true},
		{ID: "ID-of-Zoë", EmailKey: "zoë@xn--exmple-cua.test", UsernameKey: "straße",
			Roles: []string{"editor", "admin"}},
		{ID: "ID-of-Cat", EmailKey: "cat@ann.test", Roles: []string{"<b>&", "a,b", `back\slash`}, IsActive: true},
	} {
		u.Email, u.CreatedAt = strings.ToUpper(u.EmailKey), f.now.Add(time.Duration(i)*time.Second)
		u.UsernameKey = userstore.Folded(u.UsernameKey)
		must(t, f.CreateUser(t.Context(), u))
		ids[u.ID[len("ID-of-"):]] = u.ID
	}
	for _, test := range []struct {
		name string
		q    userstore.UserQuery
		want string
	}{
		{"everybody", userstore.UserQuery{}, "Ann Bob Zoë Cat"},
		{"a part of addresses and usernames", userstore.UserQuery{Text: "ann"}, "Ann Cat"},
		{"in any case", userstore.UserQuery{Text: "ANN@"}, "Ann"},
		{"full width", userstore.UserQuery{Text: "Ｂｏｂ"}, "Bob"},
		{"another alphabet is another name", userstore.UserQuery{Text: "аnn"}, ""},
		{"case beyond ASCII", userstore.UserQuery{Text: "ZOË"}, "Zoë"},
		{"full folding", userstore.UserQuery{Text: "STRASSE"}, "Zoë"},
		{"a whole address as it is typed", userstore.UserQuery{Text: "Zoë@Exämple.test"}, "Zoë"},
		{"an id", userstore.UserQuery{Text: "ID-of-Bob"}, "Bob"},
		{"an id in another case", userstore.UserQuery{Text: "id-of-bob"}, ""},
		{"part of an id", userstore.UserQuery{Text: "ID-of"}, ""},
		{"S-04 any character", userstore.UserQuery{Text: "%"}, "Bob"},
		{"S-04 a wildcard in a word", userstore.UserQuery{Text: "b_b"}, ""},
		{"S-04 one that is there", userstore.UserQuery{Text: "_%@"}, "Bob"},
		{"the display form counts for nothing", userstore.UserQuery{Text: "[\"admin\""}, ""},
		{"a role", userstore.UserQuery{Role: "admin"}, "Ann Zoë"},
		{"a role that others begin with", userstore.UserQuery{Role: "admin2"}, "Bob"},
		{"part of a role", userstore.UserQuery{Role: "edit"}, ""},
		{"a role in another case", userstore.UserQuery{Role: "Admin"}, ""},
		{"a role with a quote", userstore.UserQuery{Role: `a"admin`}, "Bob"},
		{"a role that JSON escapes", userstore.UserQuery{Role: "<b>&"}, "Cat"},
		{"a role with a comma", userstore.UserQuery{Role: "a,b"}, "Cat"},
		{"a role with a backslash", userstore.UserQuery{Role: `back\slash`}, "Cat"},
		{"two roles are none", userstore.UserQuery{Role: `editor","admin`}, ""},
		{"the enabled", userstore.UserQuery{State: userstore.Enabled}, "Ann Bob Cat"},
		{"the disabled", userstore.UserQuery{State: userstore.Disabled}, "Zoë"},
		{"all at once", userstore.UserQuery{State: userstore.Disabled, Role: "editor", Text: "zoë"}, "Zoë"},
		{"what excludes", userstore.UserQuery{State: userstore.Enabled, Role: "admin", Text: "zoë"}, ""},
	} {
		for _, limit := range []int{1, 3, 100} {
			q := test.q
			q.Limit = limit
			var got []string
			for page, err := range userstore.UserPages(t.Context(), f, q) {
				must(t, err)
				for _, u := range page.Users {
					got = append(got, u.ID[len("ID-of-"):])
				}
			}
			equal(t, fmt.Sprintf("%s, by %d", test.name, limit), strings.Join(got, " "), test.want)
		}
	}
	// S-01: a string that no user has finds no user.
	for _, s := range slices.Concat(hostile, unknownStrings,
		[]string{"\u00ad", strings.Repeat("%", 100_000), strings.Repeat("é_", 100_000)}) {
		for _, q := range []userstore.UserQuery{{Text: s + "?"}, {Text: "?" + s}, {Role: s},
			{Text: s, Role: "nobody's"}} {
			q.Limit = 10
			got, err := f.ListUsers(t.Context(), q)
			must(t, err)
			equal(t, fmt.Sprintf("found by %.30q", s), len(got.Users), 0)
		}
	}
}
