package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/jose"
)

// isKEK reports whether a text is a key-encryption key.
func isKEK(text string) bool {
	_, err := jose.ParseKEK(strings.TrimSpace(text))
	return err == nil
}

func badKEK(s Secret) string {
	if s == "" {
		return ""
	}
	if _, err := jose.ParseKEK(s.Reveal()); err != nil {
		return "is not a key-encryption key; make one with `signet keys new-kek`"
	}
	return ""
}

// Algorithms are the signature algorithms that a signing key can have.
var Algorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

func badAlgorithms(c Config) []string {
	if len(c.Keys.Algorithms) == 0 {
		return []string{"is empty; name at least one of " + strings.Join(Algorithms, ", ")}
	}
	return eachOf(c.Keys.Algorithms, func(alg string) string { return notOneOf(alg, Algorithms...) })
}

// algorithmOff refuses an algorithm that is not in keys.algorithms.
func algorithmOff(c Config, alg string) string {
	if slices.Contains(c.Keys.Algorithms, alg) {
		return ""
	}
	return fmt.Sprintf("%s is not in keys.algorithms (%s); choose one of them or add it there",
		alg, strings.Join(c.Keys.Algorithms, ", "))
}
