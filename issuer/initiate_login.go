package issuer

import "github.com/signet-id/signet/userstore"

// InitiateLogin returns the address at which a client begins a login that it did not begin itself
// (OIDC Core section 4); empty: the client has none. Only a person's click leads there: the client
// begins a request of its own, as it would from its own page.
func (i *Issuer) InitiateLogin(client userstore.Client) string {
	if client.InitiateLoginURI == "" || !client.DisabledAt.IsZero() {
		return ""
	}
	return withQuery(client.InitiateLoginURI, [][2]string{{"iss", i.URL}})
}
