package apitest

// AccountPages are the pages of the account, each with the button that it has.
var AccountPages = map[string]string{
	"/account": "", "/account/profile": "profile-submit", "/account/address": "address-submit",
	"/account/password": "password-submit",
	"/account/sessions": "", "/account/apps": "", "/account/activity": "", "/account/data": "data-submit",
	"/account/delete": "delete-submit", "/account/security": "", "/account/passkeys": "passkey-begin",
	"/account/authenticator": "totp-begin", "/account/codes": "", "/account/trusted": "",
}
