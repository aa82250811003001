// openid-client and oauth4webapi register clients, log a person in with them, and manage the registrations.
import assert from 'node:assert/strict'
import { exportJWK, generateKeyPair } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const insecure = { execute: [client.allowInsecureRequests] } // the issuer of the test is http on loopback
const callback = 'https://shop.example.com/callback'
const shop = { client_name: 'Shop', redirect_uris: [callback], grant_types: ['authorization_code', 'refresh_token'] }

const register = (metadata, authentication, initialAccessToken = given.token) =>
  client.dynamicClientRegistration(new URL(given.issuer), metadata, authentication, { ...insecure, initialAccessToken })

const refusal = (status, code) => (err) => (assert.deepEqual([err.status, err.error], [status, code], err.stack), true)
const unauthorized = (err) => (assert.equal(err.cause?.status ?? err.status ?? err.response?.status, 401, err.stack), true)

// login is a whole one, with the metadata that the server answered.
async function login(config, { redirect_uri = callback, scope = 'openid profile email' } = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expected = { pkceCodeVerifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri, scope, state: expected.expectedState, nonce: expected.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  })
  const person = browser()
  const response = await person.open(url)
  assert.deepEqual(person.shown, ['login-submit', 'consent-approve'])
  return client.authorizationCodeGrant(config, response, expected)
}

// manage sends a request to the address of the registration, with its token.
const manage = (config, method, body) => {
  const { registration_client_uri: uri, registration_access_token: token } = config.clientMetadata()
  return client.fetchProtectedResource(config, token, new URL(uri), method, body && JSON.stringify(body),
    body && new Headers({ 'content-type': 'application/json' }))
}

let config, tokens

await step('no registration without an initial access token, or with a wrong one', async () => {
  for (const token of [undefined, 'not the token']) {
    await assert.rejects(client.dynamicClientRegistration(new URL(given.issuer), shop, undefined, { ...insecure, initialAccessToken: token }), unauthorized)
  }
})

await step('a refusal names the member, and uses no token', async () => {
  for (const [metadata, code] of [
    [{ ...shop, redirect_uris: ['http://shop.example.com/callback'] }, 'invalid_redirect_uri'],
    [{ ...shop, token_endpoint_auth_method: 'client_secret_jwt' }, 'invalid_client_metadata'],
  ]) await assert.rejects(register(metadata), refusal(400, code))
})

await step('a web app registers itself', async () => {
  config = await register(shop)
  const registered = config.clientMetadata()
  assert.deepEqual(registered.redirect_uris, [callback])
  assert.equal(registered.client_name, 'Shop')
  assert.equal(registered.client_secret_expires_at, 0)
  assert.equal(registered.token_endpoint_auth_method, 'client_secret_basic')
  assert.ok(registered.client_secret && registered.registration_access_token)
})

await step('a person logs in to it', async () => {
  tokens = await login(config)
  assert.equal(tokens.claims().aud, config.clientMetadata().client_id)
  const user = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
  assert.equal(user.email, given.user.email)
  tokens = await client.refreshTokenGrant(config, tokens.refresh_token)
})

await step('it reads and replaces its registration', async () => {
  const { client_id } = config.clientMetadata()
  const read = await (await manage(config, 'GET')).json()
  assert.equal(read.client_id, client_id)
  assert.equal(read.client_secret, undefined)
  const response = await manage(config, 'PUT', { ...shop, client_id, client_name: 'The Shop', policy_uri: 'https://shop.example.com/privacy' })
  const replaced = await response.json()
  assert.equal(response.status, 200, JSON.stringify(replaced))
  assert.deepEqual([replaced.client_name, replaced.policy_uri], ['The Shop', 'https://shop.example.com/privacy'])
  tokens = await client.refreshTokenGrant(config, tokens.refresh_token) // what was granted stays
})

await step('it deletes itself, and nothing of it works any more', async () => {
  assert.equal((await manage(config, 'DELETE')).status, 204)
  await assert.rejects(manage(config, 'GET'), unauthorized)
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), unauthorized)
})

await step('an app on a device', async () => {
  config = await register({ redirect_uris: ['http://127.0.0.1/callback'], token_endpoint_auth_method: 'none', application_type: 'native' }, client.None())
  assert.equal(config.clientMetadata().client_secret, undefined)
  tokens = await login(config, { redirect_uri: 'http://127.0.0.1:49152/callback' })
  assert.equal(tokens.claims().aud, config.clientMetadata().client_id)
})

await step('private_key_jwt, with the keys in the registration', async () => {
  for (const alg of ['RS256', 'PS256', 'ES256', 'Ed25519']) {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), alg, use: 'sig', kid: alg }
    config = await register({ ...shop, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } },
      client.PrivateKeyJwt({ key: privateKey, kid: alg }))
    tokens = await login(config)
    assert.equal(tokens.claims().aud, config.clientMetadata().client_id)
  }
})

await step('oauth4webapi registers a client that another library uses', async () => {
  const http = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(given.issuer)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http))
  const wrong = await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: [] }, { initialAccessToken: given.token, ...http })
  await assert.rejects(oauth.processDynamicClientRegistrationResponse(wrong), refusal(400, 'invalid_redirect_uri'))
  const answer = await oauth.dynamicClientRegistrationRequest(as, { ...shop, token_endpoint_auth_method: 'client_secret_post' },
    { initialAccessToken: given.token, ...http })
  const registered = await oauth.processDynamicClientRegistrationResponse(answer)
  config = await client.discovery(issuer, registered.client_id, registered, client.ClientSecretPost(registered.client_secret), insecure)
  assert.equal((await login(config)).claims().aud, registered.client_id)
})

await step('a token has only so many uses', async () => {
  await register(shop)
  await assert.rejects(register(shop), unauthorized)
})
