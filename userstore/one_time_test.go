package userstore

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/outbox"
)

// U-28: links, codes and handles are each good for one purpose, one kind and one id, under one
// secret.
func TestU28OneTimeTextsArePurposeBound(t *testing.T) {
	secret := oneTimeSecret(strings.Repeat("k", 32))
	other := oneTimeSecret(strings.Repeat("l", 32))
	const id, reset, verify = "id0", outbox.ResetPassword, outbox.VerifyEmail
	macOf := func(text string) string { _, mac, _ := strings.Cut(text, "."); return mac }
	seen := map[string]string{}
	for name, text := range map[string]string{
		"the link":                     macOf(secret.link(reset, id)),
		"the link of another kind":     macOf(secret.link(verify, id)),
		"the link of another id":       macOf(secret.link(reset, "id1")),
		"the link of another store":    macOf(other.link(reset, id)),
		"the handle":                   macOf(secret.handle(reset, byRequest, id, "")),
		"the handle of a sign-up":      macOf(secret.handle(reset, bySignup, id, "")),
		"the handle of another kind":   macOf(secret.handle(verify, byRequest, id, "")),
		"the handle of another id":     macOf(secret.handle(reset, byRequest, "id1", "")),
		"the handle of a session":      macOf(secret.handle(reset, byRequest, id, "s")),
		"the code":                     secret.code(reset, id),
		"the code of another kind":     secret.code(verify, id),
		"the code of another id":       secret.code(reset, "id1"),
		"the code of another store":    other.code(reset, id),
		"parts that join to the same":  macOf(secret.link("reset_passwordi", "d0")),
		"parts that join to the other": macOf(secret.handle(reset, "ri", "d0", "")),
	} {
		if earlier, same := seen[text]; same || text == "" {
			t.Errorf("U-28 %s is that of %s", name, earlier)
		}
		seen[text] = name
	}
	if _, ok := secret.readLink(verify, secret.link(reset, id)); ok {
		t.Error("U-28 a link is read as one of another kind")
	}
	if _, _, ok := secret.readHandle(reset, secret.link(reset, id), ""); ok {
		t.Error("U-28 a link is read as a handle")
	}
	if _, _, ok := secret.readHandle(reset, string(bySignup)+secret.handle(reset, byRequest, id, "")[1:], ""); ok {
		t.Error("U-28 the handle of a request is read as that of a sign-up")
	}
	if _, _, ok := secret.readHandle(reset, secret.handle(reset, bySession, id, "s"), "t"); ok {
		t.Error("U-28 the handle of a session is read in another one")
	}
	if secret.isCode(verify, id, secret.code(reset, id)) ||
		!secret.isCode(reset, id, " "+secret.code(reset, id)[:4]+"-"+secret.code(reset, id)[4:]) {
		t.Error("U-28 codes")
	}
}
