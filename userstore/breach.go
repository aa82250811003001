package userstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// breachPatience is how long a new password waits for the answer. A login never asks.
const breachTimeout = time.Second

// breached asks whether a new password is known from a breach, by the range of SHA-1 values that
// begin with its first five digits: whoever answers learns which 20 bits it begins with, and hears a
// question about a million others in the same words. SHA-1 is that protocol's; nothing is stored under it.
//
// Without an answer the password is allowed, with one line in the log: the list is one more
// hurdle, and its keeper must not be able to close our sign-up.
func (a *Accounts) checkBreach(ctx context.Context, password string) fault {
	if a.BreachRange == nil {
		return fault{}
	}
	ctx, cancel := context.WithTimeout(ctx, breachTimeout)
	defer cancel()
	// As it was typed, which is how it leaked, and as it will be hashed.
	forms := []string{password}
	if s := norm.NFKC.String(password); s != password {
		forms = append(forms, s)
	}
	for _, form := range forms {
		sum := sha1.Sum([]byte(form))
		digits := strings.ToUpper(hex.EncodeToString(sum[:]))
		answer, err := a.BreachRange(ctx, digits[:5])
		if err != nil {
			if a.Log != nil {
				a.Log.LogAttrs(ctx, slog.LevelWarn, "the breach check did not answer; the password was allowed without it", slog.Any("error", err))
			}
			return fault{}
		}
		if listed(answer, digits[5:]) {
			return fault{CodeBreached, "The password is known from a breach of another service; choose another, and change it wherever else it is used."}
		}
	}
	return fault{}
}

// listed looks for a suffix among lines of the form SUFFIX:COUNT. Those with a count of 0 are
// there to hide the length of the answer.
func listed(answer, suffix string) bool {
	for line := range strings.Lines(answer) {
		found, count, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && strings.EqualFold(found, suffix) && strings.Trim(count, "0") != "" {
			return true
		}
	}
	return false
}
