// openid-client logs people in with the response types that have an ID token in the response itself: code id_token
// and id_token, each in the fragment and by form_post.
import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const insecure = { execute: [client.allowInsecureRequests] } // the issuer of the test is http on loopback
const { hybrid, implicit, basic } = given.clients

const discover = (c, authentication, responses) =>
  client.discovery(new URL(given.issuer), c.client_id, {}, authentication, { execute: [...insecure.execute, ...responses] })

// ask sends the person to the authorization endpoint. It answers the response, and what it is checked against.
async function ask(config, c, agent, parameters = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const expected = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: c.redirect_uri, scope: 'openid profile email', state: expected.expectedState, nonce: expected.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  })
  return { response: await agent.open(url), expected }
}

const refusal = (code) => (err) => (assert.equal(err.error, code, err.stack), true)

let config, ada, claims

await step('discovery lists the response types', async () => {
  config = await discover(hybrid, client.ClientSecretBasic(hybrid.client_secret), [client.useCodeIdTokenResponseType])
  const metadata = config.serverMetadata()
  assert.deepEqual(metadata.response_types_supported, ['code', 'id_token', 'id_token token', 'code id_token'])
  assert.deepEqual(metadata.response_modes_supported, ['query', 'fragment', 'form_post'])
  assert.ok(metadata.grant_types_supported.includes('implicit'))
})

await step('code id_token in the fragment', async () => {
  ada = browser()
  const { response, expected } = await ask(config, hybrid, ada)
  assert.deepEqual(ada.shown, ['login-submit', 'consent-approve'])
  assert.equal(response.search, '')
  assert.deepEqual([...new URLSearchParams(response.hash.slice(1)).keys()].sort(), ['code', 'id_token', 'iss', 'session_state', 'state'])
  const tokens = await client.authorizationCodeGrant(config, response, expected)
  claims = tokens.claims()
  assert.equal(claims.aud, hybrid.client_id)
  assert.ok(tokens.refresh_token)
  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  assert.equal(user.email, given.user.email)
})

await step('code id_token by form_post', async () => {
  const { response, expected } = await ask(config, hybrid, ada, { response_mode: 'form_post' })
  assert.equal(response.method, 'POST')
  assert.equal(response.url, hybrid.redirect_uri)
  const tokens = await client.authorizationCodeGrant(config, response, expected)
  assert.equal(tokens.claims().sub, claims.sub)
})

await step('a code in the place of another does not fit its ID token', async () => {
  const one = await ask(config, hybrid, ada)
  const other = await ask(config, hybrid, ada)
  const mixed = new URL(one.response)
  const values = new URLSearchParams(mixed.hash.slice(1))
  values.set('code', new URLSearchParams(other.response.hash.slice(1)).get('code'))
  mixed.hash = values.toString()
  await assert.rejects(client.authorizationCodeGrant(config, mixed, one.expected), (err) => (assert.match(err.cause.message, /"c_hash"/), true))
})

await step('id_token in the fragment, with the claims of the scopes', async () => {
  config = await discover(implicit, client.None(), [client.useIdTokenResponseType])
  const { response, expected } = await ask(config, implicit, ada)
  const got = await client.implicitAuthentication(config, response, expected.expectedNonce, { expectedState: expected.expectedState })
  assert.deepEqual([got.sub, got.aud, got.email, got.given_name], [claims.sub, implicit.client_id, given.user.email, 'Ada'])
})

await step('id_token by form_post', async () => {
  const { response, expected } = await ask(config, implicit, ada, { response_mode: 'form_post' })
  const got = await client.implicitAuthentication(config, response, expected.expectedNonce, { expectedState: expected.expectedState })
  assert.equal(got.sub, claims.sub)
})

await step('a silent renewal, and one without a session', async () => {
  const { response, expected } = await ask(config, implicit, ada, { prompt: 'none' })
  const got = await client.implicitAuthentication(config, response, expected.expectedNonce, { expectedState: expected.expectedState })
  assert.equal(got.sub, claims.sub)
  const refused = await ask(config, implicit, browser(), { prompt: 'none' })
  await assert.rejects(
    client.implicitAuthentication(config, refused.response, refused.expected.expectedNonce, { expectedState: refused.expected.expectedState }),
    refusal('login_required'))
})

await step('a client that is not registered for it is refused in the fragment', async () => {
  config = await discover(basic, client.ClientSecretBasic(basic.client_secret), [client.useCodeIdTokenResponseType])
  const { response, expected } = await ask(config, basic, ada)
  await assert.rejects(client.authorizationCodeGrant(config, response, expected), refusal('unauthorized_client'))
})
