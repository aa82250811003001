// oauth4webapi leaves every request and every check to be called by itself: so each answer of ours is looked at by name, access
// tokens by RFC 9068 and those of a resource server included.
import assert from 'node:assert/strict'
import { importJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import { browser, given, step } from './steps.js'

const insecure = { [oauth.allowInsecureRequests]: true } // the issuer of the test is http on loopback
const { basic, jwt, spa, tenant } = given.clients
const issuer = new URL(given.issuer)

// login is a whole one: the request, the person, the checked response, the tokens.
async function login(as, c, authentication, agent, { parameters = {}, maxAge } = {}) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const url = new URL(as.authorization_endpoint)
  for (const [name, value] of Object.entries({
    client_id: c.client_id, redirect_uri: c.redirect_uri, response_type: 'code', scope: 'openid email', state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  })) url.searchParams.set(name, value)
  const response = await agent.open(url)
  const callback = response instanceof Request ? new URLSearchParams(await response.text()) : response.searchParams
  const checked = oauth.validateAuthResponse(as, c, callback, state)
  const answer = await oauth.authorizationCodeGrantRequest(as, c, authentication, checked, c.redirect_uri, verifier, insecure)
  const tokens = await oauth.processAuthorizationCodeResponse(as, c, answer, { expectedNonce: nonce, requireIdToken: true, maxAge })
  return { response, tokens, claims: oauth.getValidatedIdTokenClaims(tokens) }
}

const refusal = (code) => (err) => (assert.equal(err.error, code, err.stack), true)

let as, tokens, claims
const ada = browser()
const none = oauth.None()
const secret = oauth.ClientSecretBasic(basic.client_secret)

await step('discovery, of OpenID Connect and of RFC 8414', async () => {
  for (const algorithm of ['oidc', 'oauth2']) {
    as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...insecure }))
  }
  assert.ok(as.code_challenge_methods_supported.includes('S256'))
})

await step('login of a confidential client', async () => {
  const got = await login(as, basic, secret, ada, { parameters: { max_age: '600' }, maxAge: 600 })
  ;({ tokens, claims } = got)
  assert.equal(claims.iss, given.issuer)
  assert.ok(got.response.searchParams.has('iss'))
})

// The library leaves that out of an answer that came straight from us, unless it is asked.
await step('the signature of an ID token, by the published keys', async () => {
  const verifier = oauth.generateRandomCodeVerifier()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: basic.client_id, redirect_uri: basic.redirect_uri, response_type: 'code', scope: 'openid',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const callback = oauth.validateAuthResponse(as, basic, await ada.open(url))
  const answer = await oauth.authorizationCodeGrantRequest(as, basic, secret, callback, basic.redirect_uri, verifier, insecure)
  await oauth.processAuthorizationCodeResponse(as, basic, answer, { requireIdToken: true })
  await oauth.validateApplicationLevelSignature(as, answer, insecure)
})

await step('userinfo', async () => {
  const response = await oauth.userInfoRequest(as, basic, tokens.access_token, insecure)
  const user = await oauth.processUserInfoResponse(as, basic, claims.sub, response)
  assert.equal(user.email, given.user.email)
  assert.equal(user.given_name, undefined) // profile was not asked for
})

await step('a redirect URI with a query, and client_secret_post', async () => {
  const got = await login(as, tenant, oauth.ClientSecretPost(tenant.client_secret), ada)
  assert.equal(got.response.searchParams.get('tenant'), 'one')
  assert.equal(got.claims.aud, tenant.client_id)
})

await step('form_post', async () => {
  const { response } = await login(as, basic, secret, ada, { parameters: { response_mode: 'form_post' } })
  assert.equal(response.url, basic.redirect_uri)
})

await step('a response to another request is not taken', async () => {
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: basic.client_id, redirect_uri: basic.redirect_uri, response_type: 'code', scope: 'openid', state: 'ours',
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()), code_challenge_method: 'S256',
  })
  const response = await ada.open(url)
  assert.throws(() => oauth.validateAuthResponse(as, basic, response, 'another'), /state/)
  response.searchParams.set('iss', 'https://mix-up.example')
  assert.throws(() => oauth.validateAuthResponse(as, basic, response, 'ours'), /iss/)
})

await step('errors come back to the app', async () => {
  await assert.rejects(login(as, basic, secret, browser(), { parameters: { prompt: 'none' } }), refusal('login_required'))
  await assert.rejects(login(as, basic, secret, ada, { parameters: { scope: 'everything' } }), refusal('invalid_scope'))
  await assert.rejects(login(as, basic, secret, ada, { parameters: { request: 'e30.e30.' } }), refusal('request_not_supported'))
  await assert.rejects(login(as, basic, secret, ada, { parameters: { code_challenge: '' } }), refusal('invalid_request'))
})

await step('refresh by a public client', async () => {
  const got = await login(as, spa, none, ada, { parameters: { scope: 'openid email offline_access' } })
  const response = await oauth.refreshTokenGrantRequest(as, spa, none, got.tokens.refresh_token, insecure)
  const fresh = await oauth.processRefreshTokenResponse(as, spa, response)
  assert.equal(oauth.getValidatedIdTokenClaims(fresh).sub, got.claims.sub)
  // Another client gets nothing for it.
  const stolen = await oauth.refreshTokenGrantRequest(as, basic, secret, fresh.refresh_token, insecure)
  await assert.rejects(oauth.processRefreshTokenResponse(as, basic, stolen), refusal('invalid_grant'))
})

await step('an access token for a resource server, by RFC 9068', async () => {
  const got = await login(as, basic, secret, ada, { parameters: { scope: 'openid orders:read', resource: given.resource, prompt: 'consent' } })
  const request = new Request(given.resource, { headers: { authorization: `Bearer ${got.tokens.access_token}` } })
  const token = await oauth.validateJwtAccessToken(as, request, given.resource, insecure)
  assert.deepEqual([token.sub, token.client_id, token.scope], [claims.sub, basic.client_id, 'openid orders:read'])
  await assert.rejects(oauth.validateJwtAccessToken(as, request, 'https://another.example', insecure), /aud/)
  const idToken = new Request(given.resource, { headers: { authorization: `Bearer ${got.tokens.id_token}` } })
  await assert.rejects(oauth.validateJwtAccessToken(as, idToken, given.resource, insecure), /typ/)
})

await step('private_key_jwt, client_credentials', async () => {
  for (const jwk of jwt.private_keys) {
    const signing = oauth.PrivateKeyJwt({ key: await importJWK(jwk, jwk.alg), kid: jwk.kid })
    const parameters = { scope: 'orders:read orders:write', resource: given.resource }
    const response = await oauth.clientCredentialsGrantRequest(as, jwt, signing, parameters, insecure)
    const own = await oauth.processClientCredentialsResponse(as, jwt, response)
    const request = new Request(given.resource, { headers: { authorization: `Bearer ${own.access_token}` } })
    assert.equal((await oauth.validateJwtAccessToken(as, request, given.resource, insecure)).sub, jwt.client_id)
    const asked = await oauth.introspectionRequest(as, jwt, signing, own.access_token, insecure)
    assert.equal((await oauth.processIntrospectionResponse(as, jwt, asked)).active, true)
  }
})

await step('revocation', async () => {
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, basic, secret, tokens.refresh_token, insecure))
  const asked = await oauth.introspectionRequest(as, basic, secret, tokens.access_token, insecure)
  assert.deepEqual(await oauth.processIntrospectionResponse(as, basic, asked), { active: false })
  const response = await oauth.userInfoRequest(as, basic, tokens.access_token, insecure)
  await assert.rejects(oauth.processUserInfoResponse(as, basic, claims.sub, response), (err) => err.cause[0].parameters.error === 'invalid_token')
})

await step('logout by the app', async () => {
  const { tokens } = await login(as, basic, secret, ada)
  const url = new URL(as.end_session_endpoint)
  url.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: basic.post_logout_redirect_uri, state: 'bye' })
  assert.equal((await ada.open(url)).href, `${basic.post_logout_redirect_uri}?state=bye`)
  await assert.rejects(login(as, basic, secret, ada, { parameters: { prompt: 'none' } }), refusal('login_required'))
})
