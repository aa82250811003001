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

// breachTimeout bounds the wait for the answer about a new password. A login never asks.
const breachTimeout = time.Second

// checkBreach asks whether a new password is known from a breach. It sends only the first five
// digits of the password's SHA-1: the answering service learns 20 bits, and answers the same for a
// million other passwords. The protocol demands SHA-1; nothing is stored under it.
//
// Without an answer the password is allowed, with one line in the log. The breach list is an
// additional check, and an outage of it must not close sign-up.
func (a *Accounts) checkBreach(ctx context.Context, password string) Fault {
	if a.BreachRange == nil {
		return Fault{}
	}
	ctx, cancel := context.WithTimeout(ctx, breachTimeout)
	defer cancel()
	// The form that was typed, which is the one that leaked, and the form that will be hashed.
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
			return Fault{}
		}
		if listed(answer, digits[5:]) {
			return Fault{CodeBreached, "The password is known from a breach of another service; choose another, and change it wherever else it is used."}
		}
	}
	return Fault{}
}

// listed reports whether suffix is among lines of the form SUFFIX:COUNT. Lines with a count of 0
// are padding that hides the length of the answer.
func listed(answer, suffix string) bool {
	for line := range strings.Lines(answer) {
		found, count, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && strings.EqualFold(found, suffix) && strings.Trim(count, "0") != "" {
			return true
		}
	}
	return false
}
