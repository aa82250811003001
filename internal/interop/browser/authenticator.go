//go:build interop

package browser

// Authenticator is a virtual authenticator of a tab's page: it makes passkeys and signs with them
// as a phone or a security key does, and asks no person. Its public keys and signatures are real.
//
// Only its tab sees it, and it stays when the tab's page changes. A tab beside needs an
// authenticator of its own, to which Add can copy passkeys. Chromium answers requests only in the
// window's foremost tab (see Tab.Front), and makes at most three resident keys in one authenticator.
type Authenticator struct {
	tab *Tab
	id  string
}

// AuthenticatorOptions are the ways in which authenticators differ. The zero value is the usual
// platform authenticator, built into the device: it keeps passkeys that name their account
// (resident keys), verifies its user, and its user agrees to every request at once.
type AuthenticatorOptions struct {
	Transport          string // "internal" if empty; "usb", "nfc", "ble" are security keys
	Synced             bool   // its passkeys may leave the device and have done so: BE and BS are set
	NoResidentKey      bool   // it keeps no passkey that names its account
	NoUserVerification bool   // it has neither PIN nor fingerprint: it can only prove presence
}

// Credential is a passkey in a virtual authenticator. Its bytes are those of the protocol: the ID
// and UserHandle that a server sees, and the PKCS #8 private key.
type Credential struct {
	ID             []byte `json:"credentialId"`
	Resident       bool   `json:"isResidentCredential"`
	RPID           string `json:"rpId"`
	PrivateKey     []byte `json:"privateKey"`
	UserHandle     []byte `json:"userHandle,omitempty"`
	SignCount      uint32 `json:"signCount"`
	BackupEligible bool   `json:"backupEligibility"`
	BackedUp       bool   `json:"backupState"`
	UserName       string `json:"userName,omitempty"`
	DisplayName    string `json:"userDisplayName,omitempty"`
}

// Authenticator plugs a new virtual authenticator, without passkeys, into the tab. From then on the
// tab's pages see virtual authenticators only. A tab may have several.
func (tab *Tab) Authenticator(o AuthenticatorOptions) *Authenticator {
	tab.t.Helper()
	if o.Transport == "" {
		o.Transport = "internal"
	}
	tab.Do("WebAuthn.enable", nil, nil)
	var added struct {
		ID string `json:"authenticatorId"`
	}
	tab.Do("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": o.Transport, "hasResidentKey": !o.NoResidentKey,
		"hasUserVerification": !o.NoUserVerification, "isUserVerified": !o.NoUserVerification,
		"automaticPresenceSimulation": true,
		"defaultBackupEligibility":    o.Synced, "defaultBackupState": o.Synced,
	}}, &added)
	return &Authenticator{tab: tab, id: added.ID}
}

// Credentials returns the authenticator's passkeys with their private keys and counters.
func (a *Authenticator) Credentials() []Credential {
	a.tab.t.Helper()
	var got struct{ Credentials []Credential }
	a.do("getCredentials", nil, &got)
	return got.Credentials
}

// Add puts a passkey into the authenticator, in place of one with the same ID. A passkey of another
// authenticator becomes a clone, and a lower SignCount a clone that its server can notice.
func (a *Authenticator) Add(c Credential) {
	a.tab.t.Helper()
	a.do("addCredential", map[string]any{"credential": c}, nil)
}

// Delete removes the passkey with this ID, as a person does in the settings of a device.
func (a *Authenticator) Delete(id []byte) {
	a.tab.t.Helper()
	a.do("removeCredential", map[string]any{"credentialId": id}, nil)
}

// SetUserVerified decides whether PIN or fingerprint are right from now on.
func (a *Authenticator) SetUserVerified(right bool) {
	a.tab.t.Helper()
	a.do("setUserVerified", map[string]any{"isUserVerified": right}, nil)
}

// SetPresent decides whether the user agrees to the requests that follow. Requests made without a
// user end when they time out or the page aborts them, even if the user comes back.
func (a *Authenticator) SetPresent(present bool) {
	a.tab.t.Helper()
	a.do("setAutomaticPresenceSimulation", map[string]any{"enabled": present}, nil)
}

// Remove unplugs the authenticator and destroys its passkeys.
func (a *Authenticator) Remove() {
	a.tab.t.Helper()
	a.do("removeVirtualAuthenticator", nil, nil)
}

// do calls a method of the protocol's domain WebAuthn for this authenticator.
func (a *Authenticator) do(method string, params map[string]any, result any) {
	a.tab.t.Helper()
	all := map[string]any{"authenticatorId": a.id}
	for name, value := range params {
		all[name] = value
	}
	a.tab.Do("WebAuthn."+method, all, result)
}
