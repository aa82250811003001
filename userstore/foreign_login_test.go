package userstore_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// A user from another system logs in once with the password as it was typed there. From then on the
// hash is ours, and the password follows our rules, including the normal form.
func TestFirstLoginReplacesForeignHash(t *testing.T) {
	text, err := os.ReadFile("password/testdata/foreign.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ By, Password, Sent, Stored string }
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(t *testing.T, w *world) {
		u, tried := w.alice(t), 0
		for _, v := range vectors {
			if !strings.HasPrefix(v.Password, "an accent apart") {
				continue
			}
			tried++
			if err := w.Store.SetPassword(t.Context(),
				userstore.PasswordChange{UserID: u.ID, NewHash: v.Stored, At: w.now}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := w.login(t, u.Email, v.Sent+"?"); !errors.Is(err, userstore.ErrInvalidCredentials) {
				t.Errorf("%s, wrong password: %v", v.By, err)
			}
			if stored := w.read(t, u.ID).PasswordHash; stored != v.Stored {
				t.Errorf("%s: a wrong password replaced the hash by %s", v.By, stored)
			}
			if _, _, err := w.login(t, u.Email, v.Sent); err != nil {
				t.Errorf("%s: %v", v.By, err)
			}
			stored := w.read(t, u.ID).PasswordHash
			if !strings.HasPrefix(stored, "$argon2id$v=19$m=8,t=1,p=1$") {
				t.Errorf("%s: after the first login it is %s", v.By, stored)
			}
			for _, password := range []string{v.Sent, "caf\u00e9 au lait"} {
				if second, _, err := w.login(t, u.Email, password); err != nil || second.Rehash != "" {
					t.Errorf("%s, again with %q: %v, replaced once more: %v", v.By, password, err, second.Rehash != "")
				}
			}
			if err := w.Store.SetPassword(t.Context(),
				userstore.PasswordChange{UserID: u.ID, NewHash: v.Stored, At: w.now}); err != nil {
				t.Fatal(err)
			}
			if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: v.Sent}, changed, ""); err != nil {
				t.Errorf("%s, proved for a change: %v", v.By, err)
			}
		}
		if tried < 10 {
			t.Errorf("%d forms were tried", tried)
		}
		if strings.Contains(w.log.String(), "unreadable") {
			t.Errorf("a foreign hash was reported: %s", w.log)
		}
	})
}
