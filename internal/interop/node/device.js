// openid-client signs one person in on devices, by the device authorization grant (RFC 8628).
import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const insecure = { execute: [client.allowInsecureRequests] } // the issuer of the test is http on loopback
const { tv, box } = given.clients
const ada = browser()
const scope = 'openid email offline_access'

let config, tokens

await step('discovery has the endpoint and the grant type', async () => {
  config = await client.discovery(new URL(given.issuer), tv.client_id, {}, client.None(), insecure)
  const server = config.serverMetadata()
  assert.equal(server.device_authorization_endpoint, `${given.issuer}/oauth2/device`)
  assert.ok(server.grant_types_supported.includes('urn:ietf:params:oauth:grant-type:device_code'))
})

// The person answers while the device polls, in a browser of their own.
async function login(config, approve = true) {
  const asked = await client.initiateDeviceAuthorization(config, { scope })
  assert.equal(new URL(asked.verification_uri_complete).searchParams.get('user_code'), asked.user_code)
  const [answered] = await Promise.all([
    client.pollDeviceAuthorizationGrant(config, asked), ada.answer(asked.verification_uri_complete, { approve }),
  ])
  return answered
}

await step('a public client logs a person in', async () => {
  tokens = await login(config)
  const claims = tokens.claims() // openid-client has checked the ID token
  assert.equal(claims.nonce, undefined)
  assert.equal(tokens.scope, scope)
  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  assert.equal(user.email, given.user.email)
})

await step('it stays signed in', async () => {
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  assert.equal(refreshed.claims().sub, tokens.claims().sub)
})

await step('the person is asked again, and says no', async () => {
  await assert.rejects(login(config, false), (err) => (assert.equal(err.error, 'access_denied', err.stack), true))
})

await step('a confidential client logs a person in', async () => {
  const confidential = await client.discovery(new URL(given.issuer), box.client_id, {}, client.ClientSecretBasic(box.client_secret), insecure)
  assert.equal((await login(confidential)).claims().sub, tokens.claims().sub)
})

await step('a scope that is not the client\'s is refused', async () => {
  await assert.rejects(client.initiateDeviceAuthorization(config, { scope: 'openid admin' }),
    (err) => (assert.equal(err.error, 'invalid_scope', err.stack), true))
})
