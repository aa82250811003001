package sqlstore_test

import (
	"crypto/sha256"
	"time"

	"github.com/signet-id/signet/userstore"
)

// roomy are limits that no test reaches.
var roomy = userstore.PushedLimits{OfClient: 1000, InAll: 1000}

// pushedBy is a pushed request of the built-in client, another one for each user.
func pushedBy(u userstore.User, now time.Time) userstore.PushedRequest {
	return userstore.PushedRequest{ID: sha256.Sum256([]byte(u.ID)), ClientID: userstore.FirstPartyClientID,
		Request: []byte("{}"), ExpiresAt: now.Add(time.Minute)}
}

// useBy is its use for a code.
func useBy(u userstore.User, now time.Time, code byte) userstore.PushedUse {
	return userstore.PushedUse{ID: sha256.Sum256([]byte("used " + u.ID)), ClientID: userstore.FirstPartyClientID,
		Code: userstore.CodeHash{code}, Now: now, Known: now.Add(time.Hour)}
}
