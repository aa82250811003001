package issuer

import "testing"

// A claim that differs from another only in case would make verifiers refuse the token that holds
// it.
func TestACustomClaimDoesNotDifferInCaseOnly(t *testing.T) {
	for name, ok := range map[string]bool{"Roles": false, "SCOPE": false, "Client_ID": false, "CNF": false, "groups": true,
		"https://example.com/roles": true} {
		if err := (CustomClaim{Name: name, Value: "x", In: []string{InUserinfo}}).Check(); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
