package issuer

import (
	"encoding/json"
	"time"

	"github.com/signet-id/signet/userstore"
)

// A handle carries what one request learned to the next one: as JSON with a MAC, through the app or
// the browser. Nothing of it is stored until it is spent.

// Until is the end of a handle, as a part of what the handle holds. The zero value is over.
type Until struct {
	Ends int64 `json:"ends"` // seconds since 1970
}

// Until returns the end of a handle that lasts from now on.
func (i *Issuer) Until(lasts time.Duration) Until { return Until{i.Now().Add(lasts).Unix()} }

// Over reports whether the end has come.
func (u Until) Over(now time.Time) bool { return now.Unix() >= u.Ends }

// Within returns the earlier end: a handle made with another one does not outlast it.
func (u Until) Within(other Until) Until { return Until{min(u.Ends, other.Ends)} }

// Left is how long it is until the end.
func (u Until) Left(now time.Time) time.Duration { return time.Duration(u.Ends-now.Unix()) * time.Second }

// Once is the end of a handle that is good for one use, and the id by which its use is remembered.
type Once struct {
	ID string `json:"id"`
	Until
}

// Once returns a new id and the end of a handle that lasts from now on.
func (i *Issuer) Once(lasts time.Duration) Once { return Once{i.NewID(), i.Until(lasts)} }

// Spent is what is stored when the handle is used.
func (o Once) Spent() userstore.Handle { return userstore.HandleUntil(o.ID, o.Ends) }

// Sealed is one kind of handle, which holds a T. The purpose keeps the kinds apart: a handle of one kind
// is not taken in the place of another.
type Sealed[T interface{ Over(now time.Time) bool }] struct {
	Purpose string // of the MAC
	Longest int    // bytes; longer than any handle of this kind
}

// Seal makes a handle. Its holder can read it, but cannot change it.
func (s Sealed[T]) Seal(i *Issuer, held T) (string, error) {
	text, err := json.Marshal(held)
	if err != nil {
		return "", err
	}
	return i.Seal(s.Purpose, text)
}

// Open returns what a handle of this kind holds; ok is false for every other text, and for a handle
// that is over. The error says that the secret of the MAC cannot be read.
func (s Sealed[T]) Open(i *Issuer, handle string) (held T, ok bool, err error) {
	held, ok, err = s.Read(i, handle)
	if !ok || held.Over(i.Now()) {
		return *new(T), false, err
	}
	return held, true, nil
}

// Read is Open, but also reads a handle that is over: the caller has to ask.
func (s Sealed[T]) Read(i *Issuer, handle string) (held T, ok bool, err error) {
	if len(handle) > s.Longest {
		return held, false, nil
	}
	text, ok, err := i.Unseal(s.Purpose, handle)
	if !ok || json.Unmarshal(text, &held) != nil {
		return *new(T), false, err
	}
	return held, true, nil
}
