package registration_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
)

var cheap = hashes.Params{MemoryKiB: 8, Time: 1, Threads: 1}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// fields lists the faults of a ValidationError, as "field code".
func fields(t *testing.T, err error) []string {
	t.Helper()
	var v *userstore.ValidationError
	if !errors.As(err, &v) {
		t.Fatalf("not a ValidationError: %v", err)
	}
	var out []string
	for _, f := range v.Fields {
		out = append(out, f.Field+" "+f.Code)
	}
	return out
}
