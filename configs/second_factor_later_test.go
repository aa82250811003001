package configs

import (
	"strings"
	"testing"
)

// A policy that nothing enforces must not be accepted in silence.
func TestPoliciesThatAreNotAvailableYet(t *testing.T) {
	for _, value := range []string{"admins", "required"} {
		_, _, err := Load(Input{File: write(t, "accounts: {second_factor: "+value+"}\n")})
		if err == nil || !strings.Contains(err.Error(), "accounts.second_factor") ||
			!strings.Contains(err.Error(), value+" is not available yet") {
			t.Errorf("%s: %v", value, err)
		}
	}
}
