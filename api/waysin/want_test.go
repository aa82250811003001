package waysin_test

import "github.com/signet-id/signet/userstore"

// wayTable is what every way asks for under a policy.
type wayTable struct {
	policy         userstore.SecondFactorPolicy
	heading, about string
	want           string
}

var wayTables = []wayTable{
	{
		policy: userstore.SecondFactorOptional, heading: "accounts.second_factor: optional",
		about: "The default.",
		want: `| way | no second factor | authenticator app | passkey |
| --- | --- | --- | --- |
| **the password is known** | | | |
| POST /v1/login | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, of another first-party client | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, with the scope admin | in, acr 1, scope admin | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, and then a code of the app | in, acr 1 | in, acr 2 | refused: invalid_code |
| POST /v1/login, and then a recovery code | in, acr 1 | in, acr 2 | in, acr 2 |
| POST /v1/login, and then a passkey | in, acr 1 | refused: no_passkeys | in, acr 2 |
| POST /v1/login, and then a code of the app, with the scope admin | in, acr 1, scope admin | in, acr 2, scope admin | asks for passkey, recovery_code |
| POST /v1/login, and then the setup, without the mailbox | in, acr 1 | refused: login_expired | refused: login_expired |
| POST /v1/login, and then the setup of an app, with the mailbox | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, and then the setup of a passkey, with the mailbox | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/passkey/login, by a passkey of the account | has none | has none | in, acr 2 |
| POST /v1/passkey/login, by a passkey of somebody else | refused: invalid_code | refused: invalid_code | refused: invalid_code |
| login page | in, acr 1 | asks for totp | asks for passkey |
| login page, for an app of the issuer's own | in, acr 1 | asks for totp | asks for passkey |
| login page, for a public client of a third party | in, acr 1 | asks for totp | asks for passkey |
| login page, for an app of a metadata document | in, acr 1 | asks for totp | asks for passkey |
| login page, for an app that asks for the scope admin | in, acr 1, scope admin | asks for totp | asks for passkey |
| login page, for an app that asks for acr_values=2 | in, acr 1 | asks for totp | asks for passkey |
| login page, in a browser that was logged in before | in, acr 1 | asks for totp | asks for passkey |
| login page, and then the second step | in, acr 1 | in, acr 2 | in, acr 2 |
| login page, and then a recovery code | in, acr 1 | in, acr 2 | in, acr 2 |
| login page, and then the setup of an app, with the mailbox | in, acr 1 | asks for totp | asks for passkey |
| login page, and then the setup of a passkey, with the mailbox | in, acr 1 | asks for totp | asks for passkey |
| login page, where the address has to be proved first, with the mailbox | in, acr 1 | asks for totp | asks for passkey |
| login page, by a passkey of the account | has none | has none | in, acr 2 |
| login page, by a passkey of somebody else | refused | refused | refused |
| login page, in a trusted browser | in, acr 1 | in, acr 1 | in, acr 1 |
| login page, in a trusted browser, for an app that asks for acr_values=2 | in, acr 1 | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for prompt=login | in, acr 1 | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for max_age | in, acr 1 | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for the scope admin | in, acr 1, scope admin | in, acr 1, scope admin | in, acr 1, scope admin |
| POST /v1/login, by a password that an admin set | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, by a password of signet users set-password | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, of an account that signet users import made | in, acr 1 | asks for totp | in, acr 1 |
| POST /v1/email/verify, with the password, and then POST /v1/login | in, acr 1 | asks for totp, recovery_code | asks for passkey, recovery_code |
| sign-up page, and a new account | in, acr 1 | — | — |
| sign-up page, and a new account whose address has to be proved | in, acr 1 | — | — |
| sign-up page, with the account's own address | refused: taken | refused: taken | refused: taken |
| login page, for an app that gets tokens at once | in, acr 1 | asks for totp | asks for passkey |
| login page, for an app that gets tokens at once, and then the second step | in, acr 1 | in, acr 2 | in, acr 2 |
| login page, for an app that gets tokens at once, where the address has to be proved first, with the mailbox | in, acr 1 | asks for totp | asks for passkey |
| login page, for an app that gets tokens at once, and then the setup of an app, with the mailbox | in, acr 1 | asks for totp | asks for passkey |
| page of a device | in, acr 1 | asks for totp | asks for passkey |
| page of a device, and then the second step | in, acr 1 | in, acr 2 | in, acr 2 |
| **the mailbox is read** | | | |
| POST /v1/password/reset | done | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/password/reset, and then the second step | done | done | done |
| reset page | done | asks for totp | asks for passkey |
| reset page, and then the second step | done | done | done |
| invitation | done | asks for totp | asks for passkey |
| invitation, and then the second step | done | done | done |
| POST /v1/email/verify, the first proof of the address, with a new password | done | done, the factor is removed | done, the factor is removed |
| page for the proof of an address, the first proof, with a new password | done | done, the factor is removed | done, the factor is removed |
| undo of a change of address that came after the factor | done | asks for totp | asks for passkey |
| undo of a change of address that came after the factor, and then the second step | done | done | done |
| undo of a change of address that came before the factor | done | done, the factor is removed | done, the factor is removed |
| undo of the first second factor | no message | done, the factor is removed | done, the factor is removed |
| undo of another second factor | — | asks for totp | asks for passkey |
| undo of another second factor, and then the second step | — | done | done |
| undo of the first second factor, a week later | no message | refused | refused |
| confirmation of a change of address, at the page, not signed in | asks for the password | asks for the password | asks for the password |
| **a session, a grant, a token or a code of before is held** | | | |
| session of before, prompt=none | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, acr_values=2 | in, acr 1 | asks for totp | asks for passkey |
| session of before, acr_values=2, prompt=none | in, acr 1 | refused: login_required | refused: login_required |
| session of before, where acr 2 is essential | refused: unmet_authentication_requirements | asks for totp | asks for passkey |
| session of before, where acr 2 is essential, prompt=none | refused: unmet_authentication_requirements | refused: login_required | refused: login_required |
| session of before, prompt=login | asks for the password | asks for the password | asks for the password |
| session of before, max_age=0 | asks for the password | asks for the password | asks for the password |
| session of before, with the scope admin | in, acr 1, scope admin | in, acr 1, scope admin | in, acr 1, scope admin |
| session of before, and a request by POST | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, and a request that is too long for an address | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for a public client of a third party | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, in a tab that showed the login page | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, in a tab that goes on to the consent | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, /account | in | in | in |
| session of before, another password at /account/password | done | asks for totp | asks for passkey |
| session of before, another address at /account/address | done | asks for totp | asks for passkey |
| session of before, confirmation of a change of address that was begun before | done | done | done |
| session of before, the deletion of the account | done | asks for totp | asks for passkey |
| POST /v1/refresh, of a grant of before | in, acr 1 | in, acr 1 | in, acr 1 |
| POST /v1/refresh, of a grant of before with the scope admin | in, acr 1, scope admin | in, acr 1, scope admin | in, acr 1, scope admin |
| POST /oauth2/token, refresh of a grant of before, by an app of the issuer's own | in, acr 1 | in, acr 1 | in, acr 1 |
| POST /oauth2/token, refresh of a grant of before, by a public client of a third party | in, acr 1 | in, acr 1 | in, acr 1 |
| POST /oauth2/token, a code of before | in, acr 1 | in, acr 1 | in, acr 1 |
| POST /oauth2/token, a code of before, for a public client of a third party | in, acr 1 | in, acr 1 | in, acr 1 |
| POST /oauth2/token, a code of before whose session has ended | refused: invalid_grant | refused: invalid_grant | refused: invalid_grant |
| access token of before, GET /v1/profile | done | done | done |
| access token of before, POST /v1/profile/password with the password | done | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, POST /v1/profile/email with the password | done | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, POST /v1/profile/email/confirm of a change that was begun before | done | done | done |
| access token of before, POST /v1/profile/factors/totp with the password | refused: mail_code_required | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, POST /v1/profile/prove with the password | done | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, GET /v1/profile/export | refused: recent_proof_required | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, DELETE /v1/profile with the password | done | refused: recent_proof_required | refused: recent_proof_required |
| access token of before with the scope admin, GET /v1/admin/users | done | done | done |
| access token of before with the scope admin, POST /v1/admin/users/{id}/password | done | refused: recent_proof_required | refused: recent_proof_required |
| session of before, for an app that gets tokens at once | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, prompt=none | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, by POST | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, and a request that is too long for an address | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for a public client that gets tokens at once | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, in a tab that showed the login page | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, for a public client that gets tokens at once, in a tab that goes on to the consent | in, acr 1 | in, acr 1 | in, acr 1 |
| session of before, and a device | in, acr 1 | in, acr 1 | in, acr 1 |
| device of before, which was allowed and has not asked yet | in, acr 1 | in, acr 1 | in, acr 1 |
`,
	},
	{
		policy: userstore.SecondFactorRequired, heading: "accounts.second_factor: required",
		about: "Everybody has to have a second factor. What is held of before was got before the policy was set.",
		want: `| way | no second factor | authenticator app | passkey |
| --- | --- | --- | --- |
| **the password is known** | | | |
| POST /v1/login | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, of another first-party client | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, with the scope admin | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, and then a code of the app | asks to set one up | in, acr 2 | refused: invalid_code |
| POST /v1/login, and then a recovery code | asks to set one up | in, acr 2 | in, acr 2 |
| POST /v1/login, and then a passkey | asks to set one up | refused: no_passkeys | in, acr 2 |
| POST /v1/login, and then a code of the app, with the scope admin | asks to set one up | in, acr 2, scope admin | asks for passkey, recovery_code |
| POST /v1/login, and then the setup, without the mailbox | refused: mail_code_required | refused: login_expired | refused: login_expired |
| POST /v1/login, and then the setup of an app, with the mailbox | in, acr 2 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, and then the setup of a passkey, with the mailbox | in, acr 2 | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/passkey/login, by a passkey of the account | has none | has none | in, acr 2 |
| POST /v1/passkey/login, by a passkey of somebody else | refused: invalid_code | refused: invalid_code | refused: invalid_code |
| login page | asks to set one up | asks for totp | asks for passkey |
| login page, for an app of the issuer's own | asks to set one up | asks for totp | asks for passkey |
| login page, for a public client of a third party | asks to set one up | asks for totp | asks for passkey |
| login page, for an app of a metadata document | asks to set one up | asks for totp | asks for passkey |
| login page, for an app that asks for the scope admin | asks to set one up | asks for totp | asks for passkey |
| login page, for an app that asks for acr_values=2 | asks to set one up | asks for totp | asks for passkey |
| login page, in a browser that was logged in before | asks to set one up | asks for totp | asks for passkey |
| login page, and then the second step | asks to set one up | in, acr 2 | in, acr 2 |
| login page, and then a recovery code | asks to set one up | in, acr 2 | in, acr 2 |
| login page, and then the setup of an app, with the mailbox | in, acr 2 | asks for totp | asks for passkey |
| login page, and then the setup of a passkey, with the mailbox | in, acr 2 | asks for totp | asks for passkey |
| login page, where the address has to be proved first, with the mailbox | asks to set one up | asks for totp | asks for passkey |
| login page, by a passkey of the account | has none | has none | in, acr 2 |
| login page, by a passkey of somebody else | refused | refused | refused |
| login page, in a trusted browser | asks to set one up | in, acr 1 | in, acr 1 |
| login page, in a trusted browser, for an app that asks for acr_values=2 | asks to set one up | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for prompt=login | asks to set one up | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for max_age | asks to set one up | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for the scope admin | asks to set one up | asks for totp | asks for passkey |
| POST /v1/login, by a password that an admin set | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, by a password of signet users set-password | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, of an account that signet users import made | asks to set one up | asks for totp | asks to set one up |
| POST /v1/email/verify, with the password, and then POST /v1/login | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| sign-up page, and a new account | asks for the mailbox | — | — |
| sign-up page, and a new account whose address has to be proved | asks to set one up | — | — |
| sign-up page, with the account's own address | refused: taken | refused: taken | refused: taken |
| login page, for an app that gets tokens at once | asks to set one up | asks for totp | asks for passkey |
| login page, for an app that gets tokens at once, and then the second step | asks to set one up | in, acr 2 | in, acr 2 |
| login page, for an app that gets tokens at once, where the address has to be proved first, with the mailbox | asks to set one up | asks for totp | asks for passkey |
| login page, for an app that gets tokens at once, and then the setup of an app, with the mailbox | in, acr 2 | asks for totp | asks for passkey |
| page of a device | asks to set one up | asks for totp | asks for passkey |
| page of a device, and then the second step | asks to set one up | in, acr 2 | in, acr 2 |
| **the mailbox is read** | | | |
| POST /v1/password/reset | done | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/password/reset, and then the second step | done | done | done |
| reset page | done | asks for totp | asks for passkey |
| reset page, and then the second step | done | done | done |
| invitation | done | asks for totp | asks for passkey |
| invitation, and then the second step | done | done | done |
| POST /v1/email/verify, the first proof of the address, with a new password | done | done, the factor is removed | done, the factor is removed |
| page for the proof of an address, the first proof, with a new password | done | done, the factor is removed | done, the factor is removed |
| undo of a change of address that came after the factor | done | asks for totp | asks for passkey |
| undo of a change of address that came after the factor, and then the second step | done | done | done |
| undo of a change of address that came before the factor | done | done, the factor is removed | done, the factor is removed |
| undo of the first second factor | no message | done, the factor is removed | done, the factor is removed |
| undo of another second factor | — | asks for totp | asks for passkey |
| undo of another second factor, and then the second step | — | done | done |
| undo of the first second factor, a week later | no message | refused | refused |
| confirmation of a change of address, at the page, not signed in | asks for the password | asks for the password | asks for the password |
| **a session, a grant, a token or a code of before is held** | | | |
| session of before, prompt=none | refused: login_required | in, acr 1 | in, acr 1 |
| session of before | asks for the password | in, acr 1 | in, acr 1 |
| session of before, acr_values=2 | asks for the password | asks for totp | asks for passkey |
| session of before, acr_values=2, prompt=none | refused: login_required | refused: login_required | refused: login_required |
| session of before, where acr 2 is essential | asks for the password | asks for totp | asks for passkey |
| session of before, where acr 2 is essential, prompt=none | refused: login_required | refused: login_required | refused: login_required |
| session of before, prompt=login | asks for the password | asks for the password | asks for the password |
| session of before, max_age=0 | asks for the password | asks for the password | asks for the password |
| session of before, with the scope admin | asks for the password | asks for totp | asks for passkey |
| session of before, and a request by POST | asks for the password | in, acr 1 | in, acr 1 |
| session of before, and a request that is too long for an address | asks for the password | in, acr 1 | in, acr 1 |
| session of before, for a public client of a third party | asks for the password | in, acr 1 | in, acr 1 |
| session of before, in a tab that showed the login page | asks for the password | in, acr 1 | in, acr 1 |
| session of before, in a tab that goes on to the consent | asks for the password | in, acr 1 | in, acr 1 |
| session of before, /account | asks to set one up | in | in |
| session of before, another password at /account/password | asks to set one up | asks for totp | asks for passkey |
| session of before, another address at /account/address | asks to set one up | asks for totp | asks for passkey |
| session of before, confirmation of a change of address that was begun before | asks to set one up | done | done |
| session of before, the deletion of the account | asks to set one up | asks for totp | asks for passkey |
| POST /v1/refresh, of a grant of before | refused: token_invalid | in, acr 1 | in, acr 1 |
| POST /v1/refresh, of a grant of before with the scope admin | refused: token_invalid | in, acr 1 | in, acr 1 |
| POST /oauth2/token, refresh of a grant of before, by an app of the issuer's own | refused: invalid_grant | in, acr 1 | in, acr 1 |
| POST /oauth2/token, refresh of a grant of before, by a public client of a third party | refused: invalid_grant | in, acr 1 | in, acr 1 |
| POST /oauth2/token, a code of before | refused: invalid_grant | in, acr 1 | in, acr 1 |
| POST /oauth2/token, a code of before, for a public client of a third party | refused: invalid_grant | in, acr 1 | in, acr 1 |
| POST /oauth2/token, a code of before whose session has ended | refused: invalid_grant | refused: invalid_grant | refused: invalid_grant |
| access token of before, GET /v1/profile | refused: token_invalid | done | done |
| access token of before, POST /v1/profile/password with the password | refused: token_invalid | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, POST /v1/profile/email with the password | refused: token_invalid | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, POST /v1/profile/email/confirm of a change that was begun before | refused: token_invalid | done | done |
| access token of before, POST /v1/profile/factors/totp with the password | refused: token_invalid | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, POST /v1/profile/prove with the password | refused: token_invalid | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, GET /v1/profile/export | refused: token_invalid | refused: recent_proof_required | refused: recent_proof_required |
| access token of before, DELETE /v1/profile with the password | refused: token_invalid | refused: recent_proof_required | refused: recent_proof_required |
| access token of before with the scope admin, GET /v1/admin/users | refused: token_invalid | refused: insufficient_scope | refused: insufficient_scope |
| access token of before with the scope admin, POST /v1/admin/users/{id}/password | refused: token_invalid | refused: insufficient_scope | refused: insufficient_scope |
| session of before, for an app that gets tokens at once | asks for the password | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, prompt=none | refused: login_required | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, by POST | asks for the password | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, and a request that is too long for an address | asks for the password | in, acr 1 | in, acr 1 |
| session of before, for a public client that gets tokens at once | asks for the password | in, acr 1 | in, acr 1 |
| session of before, for an app that gets tokens at once, in a tab that showed the login page | asks for the password | in, acr 1 | in, acr 1 |
| session of before, for a public client that gets tokens at once, in a tab that goes on to the consent | asks for the password | in, acr 1 | in, acr 1 |
| session of before, and a device | asks for the password | in, acr 1 | in, acr 1 |
| device of before, which was allowed and has not asked yet | refused: invalid_grant | in, acr 1 | in, acr 1 |
`,
	},
	{
		policy: userstore.SecondFactorAdmins, heading: "accounts.second_factor: admins",
		about: "For accounts with the role admin. For all others the first table holds.",
		want: `| way | no second factor | authenticator app | passkey |
| --- | --- | --- | --- |
| **the password is known** | | | |
| POST /v1/login, with the scope admin | asks to set one up | asks for totp, recovery_code | asks for passkey, recovery_code |
| POST /v1/login, and then a code of the app, with the scope admin | asks to set one up | in, acr 2, scope admin | asks for passkey, recovery_code |
| login page, for an app that asks for the scope admin | asks to set one up | asks for totp | asks for passkey |
| login page, in a trusted browser, for an app that asks for the scope admin | asks to set one up | asks for totp | asks for passkey |
| **a session, a grant, a token or a code of before is held** | | | |
| session of before, with the scope admin | asks for the password | asks for totp | asks for passkey |
| POST /v1/refresh, of a grant of before with the scope admin | refused: token_invalid | in, acr 1 | in, acr 1 |
| access token of before with the scope admin, GET /v1/admin/users | refused: token_invalid | refused: insufficient_scope | refused: insufficient_scope |
| access token of before with the scope admin, POST /v1/admin/users/{id}/password | refused: token_invalid | refused: insufficient_scope | refused: insufficient_scope |
`,
	},
}
