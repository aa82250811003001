package mac

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// Browsers and programs hold texts that servers of other versions made, so the bytes must never
// change.
func TestTheMACOfAListIsFixed(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	plain := hmac.New(sha256.New, secret)
	plain.Write(
		[]byte("\x00\x00\x00\x00\x00\x00\x00\x04form\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02id"))
	if got, want := Sum(secret, "form", "", "id"), plain.Sum(nil); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	tail := New(secret, "form", "")
	tail.Write([]byte("\x00\x00\x00\x00\x00\x00\x00\x02id"))
	if got := tail.Sum(nil); !bytes.Equal(got, plain.Sum(nil)) {
		t.Errorf("with a tail: %x", got)
	}
}

func TestNoTwoListsHaveOneMAC(t *testing.T) {
	secret := make([]byte, 32)
	seen := map[string][]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}, {"", "abc"},
		{"abc", ""}, {"\x00\x00\x00\x00\x00\x00\x00\x01a"}} {
		sum := hex.EncodeToString(Sum(secret, parts...))
		if other, ok := seen[sum]; ok {
			t.Errorf("%q and %q have one MAC", parts, other)
		}
		seen[sum] = parts
	}
	if bytes.Equal(Sum([]byte("a"), "x"), Sum([]byte("b"), "x")) {
		t.Error("the secret makes no difference")
	}
}

func TestNoTwoListsJoinAlike(t *testing.T) {
	if got := string(Join("form", "", "id")); got !=
		"\x00\x00\x00\x00\x00\x00\x00\x04form\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02id" {
		t.Errorf("%q", got)
	}
	seen := map[string][]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}, {"abc", ""}} {
		joined := string(Join(parts...))
		if other, ok := seen[joined]; ok {
			t.Errorf("%q and %q are joined alike", parts, other)
		}
		seen[joined] = parts
	}
}
