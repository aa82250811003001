package userfile

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// An export contains the composed name, and an import does not take it for one that the user set.
func TestAComposedNameIsExportedAndNotImported(t *testing.T) {
	for _, row := range []struct {
		claims userstore.Claims
		shown  string
	}{
		{userstore.Claims{GivenName: "Ada", FamilyName: "Lovelace"}, "Ada Lovelace"},
		{userstore.Claims{GivenName: "Ada"}, "Ada"},
		{userstore.Claims{FamilyName: "=cmd"}, "=cmd"},
		{userstore.Claims{Name: "Countess", GivenName: "Ada"}, "Countess"},
		{userstore.Claims{Name: "Countess"}, "Countess"},
		{userstore.Claims{}, ""},
	} {
		u := userstore.User{ID: "sub", Email: "a@x.test", Claims: row.claims, IsActive: true}
		for _, format := range []Format{JSONLines, CSV} {
			text := written(t, format, u)
			if row.shown != "" && !strings.Contains(text, row.shown) {
				t.Errorf("%s does not tell %q", text, row.shown)
			}
			back, bad := read(t, text, format)
			if len(back) != 1 || len(bad) != 0 || back[0].Claims.Name != row.claims.Name ||
				back[0].Claims.GivenName != row.claims.GivenName {
				t.Errorf("%+v came back as %+v (%v)", row.claims, back, bad)
			}
		}
	}
}
