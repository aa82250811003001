package webauthn

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	library "github.com/go-webauthn/webauthn/webauthn"
)

// ErrNoPasskeys means that no browser would make a passkey for the issuer: its host is an IP
// address, or it is not reached by https.
var ErrNoPasskeys = errors.New("this issuer can have no passkeys")

// RelyingParty is the issuer as WebAuthn sees it. Only New makes one that works.
type RelyingParty struct {
	id, name   string
	origins    []string // exact, the issuer's own first
	ceremonies *library.WebAuthn
}

// New returns the relying party of an issuer, whose host is the RP id. The name is what
// authenticators show. Pages of the issuer's own origin and of the given ones may use its passkeys,
// and no other pages. An origin is written as browsers serialize it ("https://app.example",
// RFC 6454 section 6.2); that of an Android app is "android:apk-key-hash:" and the SHA-256 of its
// certificate in base64url.
//
// The error is an ErrNoPasskeys if the issuer itself is why there can be none.
func New(issuer, name string, origins []string) (*RelyingParty, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the issuer %q is not a URL of http or https", issuer)
	}
	if name == "" {
		return nil, errors.New("a relying party needs a name, which authenticators show")
	}
	rp := &RelyingParty{id: strings.ToLower(u.Hostname()), name: name, origins: []string{origin(u)}}
	if !secure(u) {
		return nil, fmt.Errorf("%w: browsers use passkeys by https only, or on localhost, and the issuer is %s",
			ErrNoPasskeys, rp.origins[0])
	}
	// An IP address is no RP id (section 5.1.2); the library also refuses names without a dot.
	if err := protocol.ValidateRPID(rp.id); err != nil {
		return nil, fmt.Errorf("%w: its host %q is not a domain name: %w", ErrNoPasskeys, rp.id, err)
	}

	var related []string // the origins that a browser looks up at /.well-known/webauthn
	for _, o := range origins {
		web, err := checkOrigin(o)
		if err != nil {
			return nil, err
		}
		if slices.Contains(rp.origins, o) {
			continue
		}
		rp.origins = append(rp.origins, o)
		if web {
			related = append(related, o)
		}
	}
	if len(related) > 0 {
		// The library refuses more names than browsers look at (section 5.11.1).
		if _, err := protocol.NewRelatedOrigins(related...); err != nil {
			return nil, err
		}
	}

	rp.ceremonies, err = library.New(&library.Config{RPID: rp.id, RPDisplayName: name, RPOrigins: rp.origins})
	return rp, err
}

// ID returns the RP id: the issuer's host.
func (rp *RelyingParty) ID() string { return rp.id }

// origin serializes the origin of a URL as browsers do.
func origin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":")
}

// secure reports whether a page of this URL is a secure context, outside of which browsers have no
// WebAuthn.
func secure(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

const androidApp = "android:apk-key-hash:"

// checkOrigin refuses an origin that no browser would ever send, and reports whether the origin is
// that of a web page.
func checkOrigin(o string) (web bool, err error) {
	if hash, ok := strings.CutPrefix(o, androidApp); ok {
		if b, err := decode(hash); err != nil || len(b) != 32 {
			return false, fmt.Errorf("%q is not the origin of an Android app: after %s comes the SHA-256 of its certificate,"+
				" 43 characters of base64url", o, androidApp)
		}
		return false, nil
	}
	u, err := url.Parse(o)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, fmt.Errorf("%q is not an origin like https://app.example", o)
	}
	if canonical := origin(u); o != canonical {
		return false, fmt.Errorf("%q is not an origin as browsers write it; write %s", o, canonical)
	}
	if !secure(u) {
		return false, fmt.Errorf("browsers use passkeys by https only, or on localhost, and the origin is %s", o)
	}
	if strings.Contains(o, "*") || protocol.ValidateRPID(u.Hostname()) != nil {
		return false, fmt.Errorf("the host of the origin %s is not a domain name, so browsers have no passkeys for it", o)
	}
	return true, nil
}

// decode decodes base64url as WebAuthn writes it: without padding, line ends or bits that are left
// over.
func decode(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && base64.RawURLEncoding.EncodeToString(b) != s {
		err = errors.New("not canonical base64url")
	}
	return b, err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
