package configs

// Passkeys is the section `passkeys`.
type Passkeys struct {
	// Origins of apps, other than the issuer's own, whose pages use the passkeys of this service, such
	// as https://app.example.com; /.well-known/webauthn tells browsers. Like http.cors_origins they
	// may call us. Passkeys belong to the host of the issuer. Browsers take origins of five
	// registrable domains; example.com and example.de count once.
	Origins []string `key:"origins"`
}
