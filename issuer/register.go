package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// A client may register itself (RFC 7591, OIDC Registration) and manage its registration (RFC 7592).
// registration.Registry holds the rules of clients; here is how a request is read, who may send it,
// and what the answer says.

// Values of Issuer.Registration (oauth.registration).
const (
	RegistrationClosed = "closed" // only operators register clients
	RegistrationToken  = "token"  // whoever holds an initial access token
	RegistrationOpen   = "open"   // anybody
)

// Codes of RFC 7591 section 3.2.2; InvalidRedirectURI is one of them, too.
const (
	InvalidClientMetadata       Code = "invalid_client_metadata"
	InvalidSoftwareStatement    Code = "invalid_software_statement"
	UnapprovedSoftwareStatement Code = "unapproved_software_statement"
)

var (
	errRegistrationClosed = refuse(InvalidToken, "Clients do not register themselves here: ask whoever runs this service.")
	errInitialToken       = refuse(InvalidToken, "The initial access token is unknown, used up or expired: ask whoever runs this service for another.")
	errNoInitialToken     = refuse(TokenMissing, "Registering a client needs an initial access token, in the header Authorization: Bearer.")
	errManagement         = refuse(InvalidToken, "The client is gone, or this is not its registration access token.")
	errNotManageable      = refuse(NotManageable, "The client is disabled or managed by operators: ask whoever runs this service.")
	errOtherClientID      = refuse(InvalidRequest, "Send the client_id of the registration that is replaced.")
	errOtherSecret        = refuse(InvalidRequest, "The client_secret is not the one of this client: leave it out, or send the one that was issued.")
)

// TokenMissing: a token is needed, and none was sent.
const TokenMissing Code = "missing_token"

// ClientInformation is the answer about a registration (RFC 7591 section 3.2.1, RFC 7592 section 3).
type ClientInformation struct {
	ClientID        string         `json:"client_id"`
	ClientSecret    string         `json:"client_secret,omitempty"` // only in the answer that made it
	IssuedAt        int64          `json:"client_id_issued_at"`
	SecretExpiresAt *int64         `json:"client_secret_expires_at,omitempty"` // 0: never; absent without a secret
	Name            string         `json:"client_name"`
	AuthMethod      string         `json:"token_endpoint_auth_method"`
	GrantTypes      userstore.List `json:"grant_types"`
	ResponseTypes   userstore.List `json:"response_types"`
	RedirectURIs    userstore.List `json:"redirect_uris"`
	Scope           string         `json:"scope,omitempty"`
	IDTokenAlg      string         `json:"id_token_signed_response_alg,omitempty"`

	userstore.ClientMetadata

	RegistrationURI   string `json:"registration_client_uri"`
	RegistrationToken string `json:"registration_access_token"`
}

// ownMetadata is what a client may say of itself, besides userstore.ClientMetadata.
type ownMetadata struct {
	ClientID     string   `json:"client_id"`     // of a replacement only
	ClientSecret string   `json:"client_secret"` // the same
	Name         string   `json:"client_name"`
	AuthMethod   string   `json:"token_endpoint_auth_method"`
	GrantTypes   []string `json:"grant_types"`
	Scope        string   `json:"scope"`
	IDTokenAlg   string   `json:"id_token_signed_response_alg"`
	userstore.ClientMetadata
}

// Register registers a client: token is the initial access token, or empty; body the JSON of its
// metadata. Every error is an *Error.
func (i *Issuer) Register(ctx context.Context, token string, body []byte) (ClientInformation, error) {
	ctx, by, err := i.mayRegister(ctx, token)
	if err != nil {
		return ClientInformation{}, err
	}
	asked, err := i.readRegistration(ctx, body)
	if err != nil {
		return ClientInformation{}, refuseRegistration(err)
	}
	next := asked.client()
	if !i.mayBeConfidential(by) {
		if next, err = asPublic(next); err != nil {
			return ClientInformation{}, err
		}
	}
	c, secret, access, err := i.Registry.Register(ctx, next, by)
	if err != nil {
		return ClientInformation{}, refuseRegistration(err)
	}
	return i.clientInformation(c, secret, access), nil
}

// mayRegister decides by oauth.registration and token whether a client may be registered. The context
// that it returns has the holder of the token as its actor. A token that is sent has to be valid even
// where none is needed.
func (i *Issuer) mayRegister(ctx context.Context, token string) (context.Context, *userstore.RegistrationToken, error) {
	switch {
	case !i.registers():
		return ctx, nil, errRegistrationClosed
	case token == "" && i.RegistersAnybody():
		return ctx, nil, nil
	case token == "":
		return ctx, nil, errNoInitialToken
	}
	t, err := i.Registry.RegistrationToken(ctx, token)
	if err != nil {
		return ctx, nil, refuseRegistration(err)
	}
	return audit.As(ctx, audit.Actor{Type: audit.ByRegistrationToken, ID: t.ID}, "", ""), &t, nil
}

// registers reports whether clients may register themselves. A mode that is unknown is closed.
func (i *Issuer) registers() bool {
	return i.Registration == RegistrationToken || i.RegistersAnybody()
}

// RegistersAnybody reports whether clients may register themselves without an initial access token.
func (i *Issuer) RegistersAnybody() bool { return i.Registration == RegistrationOpen || i.OpenToPublic }

// mayBeConfidential reports whether a client that is registered with an initial access token, or
// with none, may get a secret or have keys.
func (i *Issuer) mayBeConfidential(by *userstore.RegistrationToken) bool {
	return i.Registration == RegistrationOpen || i.Registration == RegistrationToken && by != nil
}

var errPublicOnly = refuse(InvalidClientMetadata,
	"token_endpoint_auth_method: only public clients register themselves here: send none, or leave it out.")

// asPublic returns c as a public client. A client that asks for a secret, or says nothing, does
// without one and learns this from the answer (RFC 7591 section 3.2.1): a secret that anybody can
// have proves as little as none. A client with keys of its own is refused: it relies on proving who
// it is.
func asPublic(c userstore.Client) (userstore.Client, error) {
	switch c.AuthMethod {
	case "", userstore.AuthNone, userstore.AuthBasic, userstore.AuthPost:
		c.AuthMethod = userstore.AuthNone
		return c, nil
	}
	return c, errPublicOnly
}

// Registered reads the registration of a client, by its registration access token. Every error is an
// *Error.
func (i *Issuer) Registered(ctx context.Context, id, access string) (ClientInformation, error) {
	_, c, err := i.ownRegistration(ctx, id, access)
	if err != nil {
		return ClientInformation{}, err
	}
	return i.clientInformation(c, "", access), nil
}

// ReplaceRegistration replaces the registration of a client by the metadata in body. Every error is
// an *Error.
func (i *Issuer) ReplaceRegistration(ctx context.Context, id, access string, body []byte) (ClientInformation, error) {
	ctx, now, err := i.ownRegistration(ctx, id, access)
	if err != nil {
		return ClientInformation{}, err
	}
	asked, err := i.readRegistration(ctx, body)
	if err != nil {
		return ClientInformation{}, refuseRegistration(err)
	}
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		if asked.has(name) {
			return ClientInformation{}, refuse(InvalidRequest, "Leave "+name+" out: the server says it, the client does not.")
		}
	}
	if asked.said.ClientID != id {
		return ClientInformation{}, errOtherClientID
	}
	next := asked.client()
	if now.Public() && !i.mayBeConfidential(nil) { // it may have been registered as what anybody may register
		if next, err = asPublic(next); err != nil {
			return ClientInformation{}, err
		}
	}
	c, secret, err := i.Registry.Replace(ctx, id, asked.said.ClientSecret, next)
	if err != nil {
		return ClientInformation{}, refuseRegistration(err)
	}
	i.readAnew(ctx, id)
	return i.clientInformation(c, secret, access), nil
}

// readAnew replaces the cached client after a change, so that this replica knows the change at once;
// the others know it when what they have cached is over.
func (i *Issuer) readAnew(ctx context.Context, id string) {
	_, _ = i.Cache.reload(ctx, id, i.now(), i.readClient)
}

// WithdrawRegistration deletes a client with everything granted to it. Every error is an *Error.
func (i *Issuer) WithdrawRegistration(ctx context.Context, id, access string) error {
	ctx, c, err := i.ownRegistration(ctx, id, access)
	if err != nil {
		return err
	}
	if err := i.Registry.Withdraw(ctx, c); err != nil {
		return refuseRegistration(err)
	}
	i.readAnew(ctx, id)
	return nil
}

// ownRegistration returns the client that manages its registration, as the actor of the context.
func (i *Issuer) ownRegistration(ctx context.Context, id, access string) (context.Context, userstore.Client, error) {
	refusal.Client(ctx, id)
	c, err := i.Registry.Registered(ctx, id, access)
	if err == nil {
		err = registration.Manageable(c)
	}
	if err != nil {
		return ctx, c, refuseRegistration(err)
	}
	return audit.As(ctx, audit.Actor{Type: audit.ByClient, ID: id}, id, ""), c, nil
}

// keepUsed records that a client is used, so that it does not expire. Whether it is still there is for
// the next statement to say.
func (i *Issuer) keepUsed(ctx context.Context, c userstore.Client) error {
	if c.UnusedUntil.IsZero() {
		return nil
	}
	if err := i.Registry.Store.KeepClient(ctx, c.ID); err != nil && !errors.Is(err, userstore.ErrNotFound) {
		return failed(err)
	}
	return nil
}

func (i *Issuer) clientInformation(c userstore.Client, secret, access string) ClientInformation {
	d := c.Document(secret)
	d.ClientMetadata.PKCE = "" // the operator's decision, and not of the standard
	if d.Scope != "" {         // it names what the client may ask for, and these need no registration
		for _, s := range i.SelfMadeScopes() {
			if !slices.Contains(c.Scopes, s) {
				d.Scope += " " + s
			}
		}
	}
	return ClientInformation{
		ClientID: d.ClientID, ClientSecret: d.ClientSecret, IssuedAt: d.IssuedAt, SecretExpiresAt: d.SecretExpiresAt,
		Name: d.Name, AuthMethod: d.AuthMethod, GrantTypes: d.GrantTypes, ResponseTypes: d.ResponseTypes,
		RedirectURIs: d.RedirectURIs, Scope: d.Scope, IDTokenAlg: d.IDTokenAlg, ClientMetadata: d.ClientMetadata,
		RegistrationURI: i.endpoint("/oauth2/register/" + c.ID), RegistrationToken: access,
	}
}

// askedRegistration is a request as it was read, with the claims of its software statement.
type askedRegistration struct {
	said    ownMetadata
	members map[string]json.RawMessage
}

// has reports whether a member was sent, and is not null (RFC 7592 section 2.2).
func (a askedRegistration) has(name string) bool {
	value, ok := a.members[name]
	return ok && string(value) != "null"
}

func (a askedRegistration) client() userstore.Client {
	return userstore.Client{
		Name: a.said.Name, AuthMethod: a.said.AuthMethod, GrantTypes: a.said.GrantTypes,
		Scopes: userstore.SplitScope(a.said.Scope), IDTokenAlg: a.said.IDTokenAlg, ClientMetadata: a.said.ClientMetadata,
	}
}

// readRegistration reads the metadata of a client. Members that are not known here are ignored, as RFC
// 7591 section 2 has it. The claims of a software statement replace the members of their names.
func (i *Issuer) readRegistration(ctx context.Context, body []byte) (askedRegistration, error) {
	var a askedRegistration
	if err := strictjson.UnmarshalPatch(body, &a.said, strictjson.IgnoreUnknown); err != nil {
		return a, err
	}
	if err := json.Unmarshal(body, &a.members); err != nil {
		return a, err
	}
	if statement := a.said.SoftwareStatement; statement != "" {
		claims, err := i.softwareStatement(ctx, statement)
		if err != nil {
			return a, err
		}
		for name, value := range claims {
			a.members[name] = value
		}
		merged, err := json.Marshal(a.members)
		if err != nil {
			return a, err
		}
		a.said = ownMetadata{}
		if err := strictjson.UnmarshalPatch(merged, &a.said, strictjson.IgnoreUnknown); err != nil {
			return a, err
		}
	}
	return a, a.refuseUnsupported()
}

// unsupportedMembers promise a client what this server does not do. To ignore such a member would
// leave the client with less than it asked for.
var unsupportedMembers = append(slices.Clone(registration.EncryptionMembers),
	"authorization_signed_response_alg", "tls_client_certificate_bound_access_tokens",
	"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip",
	"tls_client_auth_san_email",
)

func (a askedRegistration) refuseUnsupported() error {
	for _, name := range unsupportedMembers {
		if value := string(a.members[name]); a.has(name) && value != "false" && value != `""` {
			return refuse(InvalidClientMetadata, name+": this server cannot do that; leave it out.")
		}
	}
	return nil
}

// refuseRegistration is failed for what is refused of a registration: the faults of the metadata
// become the codes of RFC 7591 section 3.2.2.
func refuseRegistration(err error) error {
	var invalid *userstore.ValidationError
	var strict *strictjson.Error
	var said *Error
	switch {
	case errors.As(err, &said): // first: it may have one of the others as its cause
		return said
	case errors.As(err, &invalid):
		var all []registrationFault
		for _, f := range invalid.Fields {
			all = append(all, registrationFault{f.Field, f.Message})
		}
		return refuseMetadata(all)
	case errors.As(err, &strict):
		var all []registrationFault
		for _, p := range strict.Problems {
			all = append(all, registrationFault{p.Field, p.Message})
		}
		return refuseMetadata(all)
	case errors.Is(err, registration.ErrToken):
		return errInitialToken
	case errors.Is(err, userstore.ErrNotFound):
		return errManagement
	case errors.Is(err, registration.ErrNotManageable):
		return errNotManageable
	case errors.Is(err, registration.ErrWrongSecret):
		return errOtherSecret
	case errors.Is(err, userstore.ErrRateLimited):
		return refuse(RateLimited, "Too many clients were registered: try again later.").because(err)
	}
	return failed(err)
}

type registrationFault struct{ field, message string }

// faultsSaid is how many faults a refusal names.
const faultsSaid = 5

func refuseMetadata(all []registrationFault) error {
	code := InvalidClientMetadata
	if slices.ContainsFunc(all, func(f registrationFault) bool {
		return f.field == "redirect_uris" || strings.HasPrefix(f.field, "redirect_uris.")
	}) {
		code = InvalidRedirectURI
	}
	var said []string
	for _, f := range all[:min(len(all), faultsSaid)] {
		if f.field == "" {
			f.field = "the body"
		}
		said = append(said, fmt.Sprintf("%.100s: %s", f.field, f.message))
	}
	return refuse(code, strings.Join(said, " "))
}
