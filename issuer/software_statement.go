package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// SoftwareIssuer is somebody whose software statements (RFC 7591 section 2.3) are believed.
type SoftwareIssuer struct {
	Issuer      string   // iss of the statements
	JWKS        []byte   // its keys, or
	JWKSURI     string   // their address
	SoftwareIDs []string // the software_id that its statements may have; empty: any, and none
}

// CheckSoftwareKeys returns an error if a document is not the key set of a SoftwareIssuer.
func CheckSoftwareKeys(document []byte) error {
	if _, err := parseClientKeys(document); err != nil {
		return fmt.Errorf("is no set of public keys: %w", err)
	}
	return nil
}

var (
	errStatement           = refuse(InvalidSoftwareStatement, "The software statement is not a valid one of an issuer that is known here.")
	errStatementUnapproved = refuse(UnapprovedSoftwareStatement, "The software of this statement is not approved here: ask whoever runs this service.")
)

// statementClaims are the claims that decide whether a statement counts.
type statementClaims struct {
	Issuer     string  `json:"iss"`
	Expires    float64 `json:"exp"`
	NotBefore  float64 `json:"nbf"`
	IssuedAt   float64 `json:"iat"`
	SoftwareID string  `json:"software_id"`
}

// ownMembers are the claims of a statement that are no metadata: those of any JWT, and what only this
// server or the client itself says.
var ownMembers = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "software_statement",
	"client_id", "client_secret", "client_id_issued_at", "client_secret_expires_at", "registration_client_uri", "registration_access_token",
}

// softwareStatement verifies a software statement and returns its claims that are metadata.
func (i *Issuer) softwareStatement(ctx context.Context, compact string) (map[string]json.RawMessage, error) {
	token, err := jose.ParseForeign(compact)
	if err != nil {
		return nil, errStatement.because(err)
	}
	var claims statementClaims
	if err := strictjson.UnmarshalPatch(token.Payload, &claims, strictjson.IgnoreUnknown); err != nil {
		return nil, errStatement.because(err)
	}
	n := slices.IndexFunc(i.SoftwareIssuers, func(s SoftwareIssuer) bool { return s.Issuer != "" && s.Issuer == claims.Issuer })
	if n < 0 {
		return nil, errStatement.because(fmt.Errorf("no issuer %.200q of software statements is configured", claims.Issuer))
	}
	by := i.SoftwareIssuers[n]
	now, skew := float64(i.now().UnixMicro())/1e6, i.ClockSkew.Seconds()
	switch {
	case claims.Expires != 0 && now-skew >= claims.Expires:
		return nil, errStatement.because(fmt.Errorf("the software statement has expired"))
	case claims.NotBefore > now+skew || claims.IssuedAt > now+skew:
		return nil, errStatement.because(fmt.Errorf("the software statement's nbf or iat is in the future"))
	}
	// The keys are looked up as those of a client with this key set.
	keys, err := i.clientKeys(ctx, userstore.Client{
		ID:             "of software statements",
		ClientMetadata: userstore.ClientMetadata{JWKS: by.JWKS, JWKSURI: by.JWKSURI},
	}, token.Header.KeyID)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(keys, func(k jose.PublicKey) bool { return token.Verify(k) == nil }) {
		return nil, errStatement.because(fmt.Errorf("no key of its issuer verifies the software statement"))
	}
	if len(by.SoftwareIDs) > 0 && !slices.Contains(by.SoftwareIDs, claims.SoftwareID) {
		return nil, errStatementUnapproved
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(token.Payload, &members); err != nil {
		return nil, errStatement.because(err)
	}
	for _, name := range ownMembers {
		delete(members, name)
	}
	return members, nil
}
