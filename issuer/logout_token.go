package issuer

import (
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/signet-id/signet/userstore"
)

// logoutClaims are the claims of a logout token (OpenID Connect Back-Channel Logout section 2.4).
type logoutClaims struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  string       `json:"aud"`
	IssuedAt  int64        `json:"iat"`
	Expires   int64        `json:"exp"`
	ID        string       `json:"jti"`
	Events    logoutEvents `json:"events"`
	SessionID string       `json:"sid"`
}

type logoutEvents struct {
	Logout struct{} `json:"http://schemas.openid.net/event/backchannel-logout"`
}

// logoutTokenLifetime is the lifetime that the specification recommends at most. No logout token lives
// longer than ID tokens: a key stays published for what they need.
const logoutTokenLifetime = 2 * time.Minute

// LogoutToken returns the token that tells client c that a session of its has ended. Each attempt to
// send one signs another, so that none arrives expired, but all of a session have one jti: an app that
// gets two can tell.
func (i *Issuer) LogoutToken(s userstore.AppSession, c userstore.Client) (string, error) {
	now := i.now()
	signers, err := i.signers()
	if err != nil {
		return "", err
	}
	jti := sha256.Sum256([]byte("logout token of " + s.SessionID))
	token, err := i.sign(signers.of(c.IDTokenAlg), TypeLogoutToken, &logoutClaims{
		Issuer:    i.URL,
		Subject:   subjectOf(&userstore.Grant{UserID: s.UserID, Subject: s.Subject}),
		Audience:  c.ID,
		IssuedAt:  now.Unix(),
		Expires:   now.Add(min(logoutTokenLifetime, i.IDLifetime)).Unix(),
		ID:        base64.RawURLEncoding.EncodeToString(jti[:16]),
		SessionID: s.SessionID,
	}, nil)
	if err == nil {
		i.Counts.token(kindLogout, &c)
	}
	return token, err
}
