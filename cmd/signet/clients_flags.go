package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/signet-id/signet/userstore"
)

// clientFlags are the flags with the registration of a client, for create and update.
type clientFlags struct {
	flags      *pflag.FlagSet
	own        []string // without --json and --config, which do not describe the client
	client     userstore.Client
	jwksFile   string
	secretFile string
}

// textFlags are the flags for one text of the registration.
var textFlags = []struct {
	name, field, usage string
	of                 func(*userstore.Client) *string
}{
	{"name", "client_name", "what people call it, its `NAME`; they are asked whether they trust it", func(c *userstore.Client) *string { return &c.Name }},
	{"auth-method", "token_endpoint_auth_method", "`METHOD`: none, client_secret_basic (the default), client_secret_post or private_key_jwt", func(c *userstore.Client) *string { return &c.AuthMethod }},
	{"jwks-uri", "jwks_uri", "`URL` of its public keys, for private_key_jwt and signed request objects", func(c *userstore.Client) *string { return &c.JWKSURI }},
	{"assertion-alg", "token_endpoint_auth_signing_alg", "`algorithm` of its assertions with private_key_jwt (default: any that it has a key for)", func(c *userstore.Client) *string { return &c.AssertionAlg }},
	{"application-type", "application_type", "what `kind` of app it is: web or native", func(c *userstore.Client) *string { return &c.ApplicationType }},
	{"software-id", "software_id", "`id` of the software that it is", func(c *userstore.Client) *string { return &c.SoftwareID }},
	{"software-version", "software_version", "`version` of that software", func(c *userstore.Client) *string { return &c.SoftwareVersion }},
	{"id-token-alg", "id_token_signed_response_alg", "`algorithm` of its ID tokens (default RS256)", func(c *userstore.Client) *string { return &c.IDTokenAlg }},
	{"userinfo-alg", "userinfo_signed_response_alg", "`algorithm` that answers of userinfo are signed with (default: JSON without a signature)", func(c *userstore.Client) *string { return &c.UserinfoAlg }},
	{"introspection-alg", "introspection_signed_response_alg", "`algorithm` that answers of introspection to it are signed with (default: JSON, and RS256 if it asks for signed ones)", func(c *userstore.Client) *string { return &c.IntrospectionAlg }},
	{"pkce", "pkce", "`MODE`: required or optional (default: what oauth.require_pkce says)", func(c *userstore.Client) *string { return &c.PKCE }},
	{"request-object-alg", "request_object_signing_alg", "`algorithm` of its request objects; none: without a signature (default: any that it has a key for)", func(c *userstore.Client) *string { return &c.RequestObjectAlg }},
	{"subject-type", "subject_type", "`TYPE` of the sub by which it knows people: public (the default), or pairwise, which is another one for every sector", func(c *userstore.Client) *string { return &c.SubjectType }},
	{"sector-identifier-uri", "sector_identifier_uri", "`URL` of a JSON array of redirect URIs, which is fetched; clients that name the same host are one sector", func(c *userstore.Client) *string { return &c.SectorIdentifierURI }},
	{"backchannel-logout-uri", "backchannel_logout_uri", "`URL` that is told when one of its sessions ends (OpenID Connect Back-Channel Logout)", func(c *userstore.Client) *string { return &c.BackchannelLogoutURI }},
	{"frontchannel-logout-uri", "frontchannel_logout_uri", "`URL` that ends its session when a hidden frame of the logout page loads it", func(c *userstore.Client) *string { return &c.FrontchannelLogoutURI }},
	{"initiate-login-uri", "initiate_login_uri", "`URL` where it begins a login that it did not begin itself", func(c *userstore.Client) *string { return &c.InitiateLoginURI }},
	{"client-uri", "client_uri", "`URL` of its website", func(c *userstore.Client) *string { return &c.ClientURI }},
	{"logo-uri", "logo_uri", "`URL` of its logo", func(c *userstore.Client) *string { return &c.LogoURI }},
	{"policy-uri", "policy_uri", "`URL` of its privacy policy", func(c *userstore.Client) *string { return &c.PolicyURI }},
	{"tos-uri", "tos_uri", "`URL` of its terms", func(c *userstore.Client) *string { return &c.TOSURI }},
}

// listFlags are the flags that may be repeated.
var listFlags = []struct {
	name, field, usage string
	of                 func(*userstore.Client) *[]string
}{
	{"redirect-uri", "redirect_uris", "a `URI` that logins may end at; may be repeated", func(c *userstore.Client) *[]string { return &c.RedirectURIs }},
	{"grant-type", "grant_types", "`TYPE`: authorization_code (the default), refresh_token, client_credentials, device_code for devices without a browser, or implicit for tokens from the authorization endpoint; may be repeated", func(c *userstore.Client) *[]string { return &c.GrantTypes }},
	{"response-type", "response_types", "`TYPE`: code, which follows from the grant types, or one of oauth.response_types, such as \"code id_token\"; may be repeated", func(c *userstore.Client) *[]string { return &c.ResponseTypes }},
	{"scope", "scope", "a `scope` that it may ask for; may be repeated (default: any)", func(c *userstore.Client) *[]string { return &c.Scopes }},
	{"resource", "resources", "`URI` of a resource server that it may ask access tokens for; may be repeated", func(c *userstore.Client) *[]string { return &c.Resources }},
	{"request-uri", "request_uris", "`URL` of one of its request objects; may be repeated", func(c *userstore.Client) *[]string { return &c.RequestURIs }},
	{"post-logout-redirect-uri", "post_logout_redirect_uris", "a `URI` that logouts may end at; may be repeated", func(c *userstore.Client) *[]string { return &c.PostLogoutRedirectURIs }},
	{"default-acr", "default_acr_values", "an `acr` for acr_values where a request has none; may be repeated", func(c *userstore.Client) *[]string { return &c.DefaultACRValues }},
	{"contact", "contacts", "where the people behind it are reached, such as an email `address`; repeat it for several", func(c *userstore.Client) *[]string { return &c.Contacts }},
}

// shortDeviceGrant is a word for userstore.GrantDeviceCode, which nobody remembers.
const shortDeviceGrant = "device_code"

// boolFlags are the flags that say yes or no.
var boolFlags = []struct {
	name, field, usage string
	of                 func(*userstore.Client) *bool
}{
	{"require-signed-request-object", "require_signed_request_object", "its authorization requests count only as signed request objects", func(c *userstore.Client) *bool { return &c.RequireSignedRequestObject }},
	{"require-pushed", "require_pushed_authorization_requests", "its authorization requests have to be pushed first (RFC 9126)", func(c *userstore.Client) *bool { return &c.RequirePushed }},
	{"dpop-bound", "dpop_bound_access_tokens", "it gets only access tokens that are bound to its key (DPoP, RFC 9449)", func(c *userstore.Client) *bool { return &c.DPoPBoundAccessTokens }},
	{"backchannel-logout-session-required", "backchannel_logout_session_required", "it needs sid in logout tokens, which ours always have", func(c *userstore.Client) *bool { return &c.BackchannelLogoutSessionRequired }},
	{"frontchannel-logout-session-required", "frontchannel_logout_session_required", "its frontchannel-logout-uri gets iss and sid", func(c *userstore.Client) *bool { return &c.FrontchannelLogoutSessionRequired }},
	{"id-token-claims", "id_token_claims", "put the claims of granted scopes into its ID tokens, for an app that does not ask userinfo", func(c *userstore.Client) *bool { return &c.IDTokenClaims }},
	{"first-party", "first_party", "it is your own: nobody is asked for consent, and it may have the account API", func(c *userstore.Client) *bool { return &c.FirstParty }},
}

func (in *clientFlags) add(cmd *cobra.Command, create bool) {
	in.flags = cmd.Flags()
	if create {
		in.flags.StringVar(&in.client.ID, "client-id", "", "its `id`, instead of a random one")
	}
	for _, f := range textFlags {
		in.flags.StringVar(f.of(&in.client), f.name, "", f.usage)
	}
	for _, f := range listFlags {
		in.flags.StringArrayVar(f.of(&in.client), f.name, nil, f.usage)
	}
	in.flags.StringVar(&in.jwksFile, "jwks-file", "", "read its public keys, a JWK set, from this `file`; - is standard input")
	in.flags.StringVar(&in.secretFile, "secret-file", "", "read its secret from this `file`; - is standard input")
	for _, f := range boolFlags {
		in.flags.BoolVar(f.of(&in.client), f.name, false, f.usage)
	}
	in.flags.VisitAll(func(flag *pflag.Flag) { in.own = append(in.own, flag.Name) })
}

func (in *clientFlags) changed() bool { return slices.ContainsFunc(in.own, in.flags.Changed) }

// read reads the files that the flags name, and returns the secret.
func (in *clientFlags) read(a *app) (secret string, err error) {
	for n, grant := range in.client.GrantTypes {
		if grant == shortDeviceGrant {
			in.client.GrantTypes[n] = userstore.GrantDeviceCode
		}
	}
	if in.jwksFile == "-" && in.secretFile == "-" {
		return "", misusef("standard input is one file; give --jwks-file or --secret-file another one")
	}
	if in.jwksFile != "" && in.client.JWKSURI != "" {
		return "", misusef("give --jwks-file or --jwks-uri")
	}
	if in.jwksFile != "" {
		text, err := a.readInput(in.jwksFile, 64<<10)
		if err != nil {
			return "", err
		}
		in.client.JWKS = text
	}
	if in.flags.Changed("secret-file") && in.secretFile == "" {
		return "", misusef("--secret-file is the name of a file, or - for standard input")
	}
	return a.readSecret(in.secretFile)
}

// apply sets the fields of c whose flags are set.
func (in *clientFlags) apply(c *userstore.Client) {
	isSet := in.flags.Changed
	if isSet("client-id") {
		c.ID = in.client.ID
	}
	for _, f := range textFlags {
		if isSet(f.name) {
			*f.of(c) = *f.of(&in.client)
		}
	}
	for _, f := range listFlags {
		if isSet(f.name) {
			*f.of(c) = words(*f.of(&in.client), f.name == "scope")
		}
	}
	switch {
	case isSet("jwks-file"):
		c.JWKS, c.JWKSURI = slices.Clone(in.client.JWKS), ""
	case isSet("jwks-uri"):
		c.JWKS = nil
	}
	for _, f := range boolFlags {
		if isSet(f.name) {
			*f.of(c) = *f.of(&in.client)
		}
	}
}

// words returns the values of a flag that may be repeated, without empty ones. With split each
// value may hold several words, as scope does in a request.
func words(values []string, split bool) (out []string) {
	for _, one := range values {
		switch {
		case split:
			out = append(out, strings.Fields(one)...)
		case one != "":
			out = append(out, one)
		}
	}
	return out
}

// readSecret reads a client secret from a file. Without a file it returns "".
func (a *app) readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	secret, err := a.readSecretLine(file, "secret")
	if err == nil && secret == "" {
		err = errors.New("the secret file is empty; without --secret-file a good secret is made")
	}
	return secret, err
}
