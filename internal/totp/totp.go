// Package totp knows authenticator apps: their keys, the codes that they show (RFC 6238), and the
// URI by which an app takes a key. It has no store and no HTTP, and it is the only package that
// imports the library for codes.
//
//	totp.go  keys, and the check of a code
//	uri.go   the URI that an app reads, and the key as text
//
// A caller that accepts a code must remember its counter, so that no code is accepted twice. Check
// only compares: it does not count wrong codes, which the caller must do before it calls Check.
package totp

import (
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// The limits of a key. New keys have the values that every app supports; other values come from
// imports.
const (
	// RFC 4226 asks for 16 bytes. Apps gave out 10 for years, and a user keeps such a key.
	MinSecret, MaxSecret = 10, 128 // bytes
	MinDigits, MaxDigits = 6, 8
	MinPeriod, MaxPeriod = 15, 300 // seconds
)

// newSecret is the length of a new secret in bytes: the length of SHA-1's output, as RFC 4226
// recommends.
const newSecret = 20

// Key is the key of an authenticator app, with the parameters of its codes. Its formatted form has
// no secret, so that no log holds one.
type Key struct {
	Secret    []byte
	Algorithm string // SHA1, SHA256 or SHA512
	Digits    int    // the length of a code
	Period    int    // seconds for which a code is shown
}

// New makes a key for a new authenticator app. It takes the secret from rand.
func New(rand io.Reader) (Key, error) {
	secret := make([]byte, newSecret)
	if _, err := io.ReadFull(rand, secret); err != nil {
		return Key{}, fmt.Errorf("make the secret of an authenticator app: %w", err)
	}
	return Key{Secret: secret, Algorithm: "SHA1", Digits: 6, Period: 30}, nil
}

// Format writes the parameters without the secret, whatever the verb is.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "TOTP key %s %d/%d", k.Algorithm, k.Digits, k.Period)
}

// Validate returns the first reason for which no code of the key can be checked. The error repeats
// no value of the key.
func (k Key) Validate() error {
	switch {
	case len(k.Secret) < MinSecret || len(k.Secret) > MaxSecret:
		return fmt.Errorf("the length of the secret is not %d to %d bytes", MinSecret, MaxSecret)
	case k.Digits < MinDigits || k.Digits > MaxDigits:
		return fmt.Errorf("the number of digits is not %d to %d", MinDigits, MaxDigits)
	case k.Period < MinPeriod || k.Period > MaxPeriod:
		return fmt.Errorf("the period is not %d to %d seconds", MinPeriod, MaxPeriod)
	}
	if _, ok := algorithms[k.Algorithm]; !ok {
		return errors.New("the algorithm is none of SHA1, SHA256 and SHA512")
	}
	return nil
}

var algorithms = map[string]otp.Algorithm{
	"SHA1": otp.AlgorithmSHA1, "SHA256": otp.AlgorithmSHA256, "SHA512": otp.AlgorithmSHA512,
}

// maxTyped is the longest code in bytes that is looked at: the digits and many spaces.
const maxTyped = 64

// Check reports whether code is the code of the time step of now, of the step before or of the step
// after (RFC 6238 section 5.2), and returns the counter of that step. Counters up to last are
// refused: last is the counter of the last accepted code, or -1 before the first. Spaces in the
// code are ignored, because apps show codes in groups.
//
// In the rare case that two of the steps have the same code, Check returns the later counter. The
// earlier one would allow the same code once more.
func (k Key) Check(code string, now time.Time, last int64) (counter int64, ok bool) {
	typed, ok := digits(code)
	if !ok || len(typed) != k.Digits || k.Validate() != nil || now.Unix() < 0 {
		return 0, false
	}
	// All steps are computed and compared, so that the time does not depend on which one matches.
	counter, ok = 0, false
	current := now.Unix() / int64(k.Period)
	for step := current - 1; step <= current+1; step++ {
		want, err := k.at(step)
		if err != nil {
			return 0, false
		}
		same := subtle.ConstantTimeCompare([]byte(want), typed) == 1
		if same && step > last && step >= 0 {
			counter, ok = step, true
		}
	}
	return counter, ok
}

// at returns the code of a counter.
func (k Key) at(counter int64) (string, error) {
	return hotp.GenerateCodeCustom(k.Text(), uint64(counter), hotp.ValidateOpts{
		Digits: otp.Digits(k.Digits), Algorithm: algorithms[k.Algorithm],
	})
}

// digits returns code without its spaces. It refuses all other characters but ASCII digits: the
// digits of other scripts are no form in which an app shows a code.
func digits(code string) ([]byte, bool) {
	if len(code) > maxTyped {
		return nil, false
	}
	typed := make([]byte, 0, MaxDigits)
	for _, r := range code {
		switch {
		case '0' <= r && r <= '9':
			typed = append(typed, byte(r))
		case !unicode.IsSpace(r):
			return nil, false
		}
	}
	return typed, true
}

// Text returns the secret in base32, as a user types it into an app that has no camera.
func (k Key) Text() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(k.Secret)
}

// Grouped returns Text in groups of four characters, which are easier to read and to type. Apps
// ignore the spaces.
func (k Key) Grouped() string {
	var b strings.Builder
	for i, r := range k.Text() {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
