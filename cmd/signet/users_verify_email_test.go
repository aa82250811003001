package main

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// An operator who names an account by its address declares that address verified, and no other.
func TestVerifyAddress(t *testing.T) {
	edit := verifyAddress("bob@example.com")
	u := userstore.User{Email: "bob@example.com"}
	if err := edit(&u); err != nil || !u.EmailVerified {
		t.Errorf("%+v, %v", u, err)
	}
	u = userstore.User{Email: "other@example.com"}
	if err := edit(&u); err == nil || u.EmailVerified ||
		!strings.Contains(err.Error(), "from bob@example.com to other@example.com") {
		t.Errorf("%+v, %v", u, err)
	}
}
