package userstore

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// at returns an instant, in minutes.
func at(minutes int) time.Time {
	return time.Unix(1_800_000_000, 0).UTC().Add(time.Duration(minutes) * time.Minute)
}

func proofs(text string) (all []ProvedFactor) {
	for _, field := range strings.Fields(text) {
		var method string
		var minutes int
		method, number, _ := strings.Cut(field, "@")
		if _, err := fmt.Sscan(number, &minutes); err != nil {
			panic(err)
		}
		all = append(all, ProvedFactor{Method: method, At: at(minutes)})
	}
	return all
}

func TestStrength(t *testing.T) {
	for _, test := range []struct {
		proved string
		acr    string
		amr    string
		auth   int // minutes
	}{
		{"password@5", "1", "pwd", 5},
		{"app@5", "1", "otp", 5},
		{"recovery_code@5", "1", "otp", 5},
		{"app@5 recovery_code@6", "1", "otp", 6},
		{"passkey@5", "2", "pop user mfa", 5},
		{"synced_passkey@5", "2", "pop user swk mfa", 5},

		{"password@5 app@6", "2", "pwd otp mfa", 5},
		{"password@6 app@5", "2", "pwd otp mfa", 5},
		{"password@5 recovery_code@6", "2", "pwd otp mfa", 5},
		{"password@5 app@5", "2", "pwd otp mfa", 5},
		// The newest code of either kind is the second factor.
		{"password@9 app@3 recovery_code@7", "2", "pwd otp mfa", 7},
		{"password@9 app@7 recovery_code@3", "2", "pwd otp mfa", 7},
		{"password@1 app@7 recovery_code@3", "2", "pwd otp mfa", 1},

		// Of two ways to reach 2, the newest counts.
		{"password@5 passkey@9", "2", "pwd pop user mfa", 9},
		{"password@9 passkey@5", "2", "pwd pop user mfa", 5},
		{"passkey@3 synced_passkey@5", "2", "pop user swk mfa", 5},
		{"passkey@5 synced_passkey@3", "2", "pop user swk mfa", 5},
		{"app@9 passkey@5", "2", "otp pop user mfa", 5},
		{"password@4 app@6 passkey@5", "2", "pwd otp pop user mfa", 5},
		{"password@6 app@7 passkey@5", "2", "pwd otp pop user mfa", 6},
		{"password@5 app@7 passkey@5", "2", "pwd otp pop user mfa", 5},
		{"password@6 recovery_code@7 synced_passkey@5", "2", "pwd otp pop user swk mfa", 6},
		{"password@1 app@2 recovery_code@3 passkey@4 synced_passkey@5", "2", "pwd otp pop user swk mfa", 5},

		// One method more than once: the newest.
		{"password@5 password@9 app@7", "2", "pwd otp mfa", 7},
		{"password@9 password@5", "1", "pwd", 9},
		{"passkey@9 passkey@5", "2", "pop user mfa", 9},

		// An unknown method, of a newer release, proves nothing.
		{"password@5 palm@9", "1", "pwd", 5},
		{"palm@9", "1", "", 0},
	} {
		want := Strength{ACR: test.acr, AMR: strings.Fields(test.amr)}
		if test.auth != 0 {
			want.AuthTime = at(test.auth)
		}
		if test.amr == "" {
			want.AMR = nil
		}
		// The order of the proofs does not matter.
		all := proofs(test.proved)
		for range all {
			all = append(all[1:], all[0])
			if got := StrengthOf(all); !reflect.DeepEqual(got, want) {
				t.Errorf("%v:\n got %+v\nwant %+v", all, got, want)
			}
			slices.Reverse(all)
			if got := StrengthOf(all); !reflect.DeepEqual(got, want) {
				t.Errorf("%v:\n got %+v\nwant %+v", all, got, want)
			}
			slices.Reverse(all)
		}
	}
	if got := StrengthOf(nil); !reflect.DeepEqual(got, Strength{ACR: OneFactor}) {
		t.Errorf("nothing: %+v", got)
	}
}

// In every combination: 2 needs a passkey, or a password with a code; mfa is there when it is 2; and
// the time is that of a proof, and not newer than what the strength rests on.
func TestStrengthOfEveryCombination(t *testing.T) {
	methods := []string{ByPassword, ByApp, ByRecoveryCode, ByPasskey, BySyncedPasskey}
	times := []int{1, 2, 3}
	var try func(i int, all []ProvedFactor)
	tried := 0
	try = func(i int, all []ProvedFactor) {
		if i < len(methods) {
			try(i+1, all)
			for _, n := range times {
				try(i+1, append(slices.Clone(all), ProvedFactor{Method: methods[i], At: at(n)}))
			}
			return
		}
		tried++
		newest := func(of ...string) (n time.Time) {
			for _, p := range all {
				if slices.Contains(of, p.Method) && p.At.After(n) {
					n = p.At
				}
			}
			return n
		}
		password, code, key := newest(ByPassword), newest(ByApp, ByRecoveryCode), newest(ByPasskey, BySyncedPasskey)
		want := password // of one factor
		if password.IsZero() {
			want = code // no rule starts a session with it alone
		}
		acr := OneFactor
		if !password.IsZero() && !code.IsZero() {
			acr = TwoFactors
			if code.Before(want) {
				want = code
			}
		}
		if !key.IsZero() && (acr == OneFactor || key.After(want)) {
			acr, want = TwoFactors, key
		}
		got := StrengthOf(all)
		if got.ACR != acr || !got.AuthTime.Equal(want) {
			t.Errorf("%v: %+v, want %s at %v", all, got, acr, want)
		}
		for word, has := range map[string]bool{"pwd": !password.IsZero(), "otp": !code.IsZero(), "pop": !key.IsZero(),
			"user": !key.IsZero(), "swk": !newest(BySyncedPasskey).IsZero(), "mfa": acr == TwoFactors} {
			if slices.Contains(got.AMR, word) != has {
				t.Errorf("%v: amr %v, %s %v", all, got.AMR, word, has)
			}
		}
	}
	try(0, nil)
	if tried != 1024 {
		t.Errorf("%d combinations", tried)
	}
}

func TestMergeProofs(t *testing.T) {
	for _, test := range []struct{ before, now, want string }{
		{"", "", ""},
		{"password@1", "", "password@1"},
		{"", "password@1", "password@1"},
		{"password@1", "app@2", "password@1 app@2"},
		{"app@2", "password@1", "password@1 app@2"},
		{"password@1 app@2", "password@3", "app@2 password@3"},
		{"password@3", "password@1", "password@3"},                      // a clock that went back
		{"passkey@1", "synced_passkey@2", "passkey@1 synced_passkey@2"}, // two methods
		{"password@1 app@1", "passkey@1", "password@1 app@1 passkey@1"},
		{"", "password@1 password@4 password@2", "password@4"},
	} {
		before, now := proofs(test.before), proofs(test.now)
		kept := slices.Clone(before)
		if got := MergeProofs(before, now); !reflect.DeepEqual(got, proofs(test.want)) {
			t.Errorf("%s and %s: %v", test.before, test.now, got)
		}
		if !reflect.DeepEqual(before, kept) {
			t.Errorf("%s was changed to %v", test.before, before)
		}
	}
	// A step-up of a session with one factor: both factors count, and the older one gives the time.
	stepped := StrengthOf(MergeProofs(proofs("password@1"), proofs("app@9")))
	if stepped.ACR != TwoFactors || !stepped.AuthTime.Equal(at(1)) {
		t.Errorf("stepped up: %+v", stepped)
	}
}
