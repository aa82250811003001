package userstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// What a session's proofs amount to: acr, amr, and the hour of auth_time. 0 is no instant.
func TestStrengthOfProofs(t *testing.T) {
	hour := func(h int) time.Time { return time.Date(2026, 11, 21, h, 0, 0, 0, time.UTC) }
	for _, c := range []struct{ proofs, want string }{
		{"", "1 [] -"},
		{"password 5", "1 [pwd] 5"},
		{"password 5, password 9", "1 [pwd] 9"},
		{"password 5, app 6", "2 [pwd otp mfa] 5"},
		{"app 5, password 6", "2 [pwd otp mfa] 5"},
		{"password 5, recovery_code 6", "2 [pwd otp mfa] 5"},
		{"password 9, app 5, recovery_code 8", "2 [pwd otp mfa] 8"}, // the newer of two codes
		{"password 9, app 5", "2 [pwd otp mfa] 5"},                  // a trusted browser: the code stays old
		{"app 5", "1 [otp] 5"},
		{"passkey 7", "2 [pop user mfa] 7"},
		{"synced_passkey 7", "2 [pop user swk mfa] 7"},
		{"password 5, passkey 7", "2 [pwd pop user mfa] 7"},            // the passkey is enough
		{"password 9, passkey 7", "2 [pwd pop user mfa] 7"},            // also with a newer password
		{"password 5, app 6, passkey 7", "2 [pwd otp pop user mfa] 7"}, // the newest way
		{"password 8, app 9, passkey 7", "2 [pwd otp pop user mfa] 8"}, // the other way is newer
		{"passkey 3, synced_passkey 7", "2 [pop user swk mfa] 7"},      // two passkeys
		{"password 9, synced_passkey 4, app 3", "2 [pwd otp pop user swk mfa] 4"},
		{"of another release 5, password 6", "1 [pwd] 6"}, // what is not known proves nothing
	} {
		var proofs []userstore.ProvedFactor
		for text := range strings.SplitSeq(c.proofs, ", ") {
			if method, h, ok := strings.Cut(text, " "); ok {
				if i := strings.LastIndex(text, " "); i >= 0 {
					method, h = text[:i], text[i+1:]
				}
				var n int
				if _, err := fmt.Sscan(h, &n); err != nil {
					t.Fatal(err)
				}
				proofs = append(proofs, userstore.ProvedFactor{Method: method, At: hour(n)})
			}
		}
		s := userstore.StrengthOf(proofs)
		at := "-"
		if !s.AuthTime.IsZero() {
			at = fmt.Sprint(s.AuthTime.Hour())
		}
		if got := fmt.Sprintf("%s %v %s", s.ACR, s.AMR, at); got != c.want {
			t.Errorf("%q: %s, want %s", c.proofs, got, c.want)
		}
	}
	// A session from before proofs were stored began with a password.
	if got := (userstore.BrowserSession{AuthTime: hour(5)}).Proofs(); len(got) != 1 || got[0] != (userstore.ProvedFactor{Method: "password", At: hour(5)}) {
		t.Errorf("an old session: %+v", got)
	}
	merged := userstore.MergeProofs(
		[]userstore.ProvedFactor{{Method: "password", At: hour(5)}, {Method: "app", At: hour(6)}},
		[]userstore.ProvedFactor{{Method: "password", At: hour(9)}, {Method: "app", At: hour(3)}, {Method: "passkey", At: hour(7)}})
	if got := fmt.Sprint(merged); got != fmt.Sprint([]userstore.ProvedFactor{{Method: "app", At: hour(6)},
		{Method: "passkey", At: hour(7)}, {Method: "password", At: hour(9)}}) {
		t.Errorf("merged: %s", got)
	}
}
