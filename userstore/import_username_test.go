package userstore_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// A disallowed username of another system is no reason to lose the account. It is imported without
// the username, with the reason, and is recognised when the file is imported again.
func TestImportLeavesOutUsernames(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		batch := []userstore.User{
			{Email: "fine@x.test", Username: "fine"},
			{Email: "at@x.test", Username: "somebody@else.where"},
			{Email: "long@x.test", Username: strings.Repeat("x", 150)},
			{Email: "dash@x.test", Username: "-dash"},
			{Email: "id@x.test", Username: "SO5aYBx2kQWc0h1l5pU7gA"},
			{Email: "uuid@x.test", Username: "0190A8A4-6d1f-7c3e-9b8a-5f4e3d2c1b0a"},
		}
		for round, strict := range []bool{true, false, false} {
			done, err := (&userstore.Importer{Accounts: w.Accounts, Strict: strict}).Import(t.Context(), batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			for n, d := range done {
				switch odd := n > 0; {
				case strict && odd:
					if d.Err == nil || d.UsernameFault != "" {
						t.Errorf("strict took %s: %+v", batch[n].Username, d)
					}
				case d.Err != nil || (d.UsernameFault != "") != odd || odd && d.User.Username != "":
					t.Errorf("round %d: %s became %+v", round, batch[n].Username, d)
				case d.Existed != (round == 2 || n == 0 && round == 1):
					t.Errorf("round %d: %s there: %v", round, batch[n].Username, d.Existed)
				case strings.Contains(d.UsernameFault, batch[n].Username) && odd:
					t.Errorf("the username is repeated: %s", d.UsernameFault)
				}
			}
		}
		if all, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil ||
			len(all) != len(batch) {
			t.Errorf("%d accounts, %v", len(all), err)
		}
	})
}
