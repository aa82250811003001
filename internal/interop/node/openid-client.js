// openid-client goes through everything that a web app does with a provider.
import assert from 'node:assert/strict'
import { importJWK } from 'jose'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const insecure = { execute: [client.allowInsecureRequests] } // the issuer of the test is http on loopback
const { basic, post, jwt, spa } = given.clients

const discover = (c, authentication) =>
  client.discovery(new URL(given.issuer), c.client_id, {}, authentication, insecure)

const plain = async (config, parameters) => client.buildAuthorizationUrl(config, parameters)

// login is a whole one: the request, which build makes, the person, the response, the code.
async function login(config, c, agent, { parameters = {}, checks = {}, approve, build = plain } = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expected = { pkceCodeVerifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true }
  const url = await build(config, {
    redirect_uri: c.redirect_uri, scope: 'openid profile email', state: expected.expectedState, nonce: expected.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...parameters,
  })
  const response = await agent.open(url, { approve })
  const redeem = (at = response) => client.authorizationCodeGrant(config, at, { ...expected, ...checks })
  return { response, redeem }
}

const mixedUp = (err) => (assert.match(err.cause.message, /"iss"/), true)
const refusal = (code) => (err) => (assert.equal(err.error, code, err.stack), true)

let config, ada, tokens, claims
const offline = { parameters: { scope: 'openid profile email offline_access', prompt: 'consent' } }

await step('discovery', async () => {
  config = await discover(basic, client.ClientSecretBasic(basic.client_secret))
  const metadata = config.serverMetadata()
  assert.equal(metadata.issuer, given.issuer)
  assert.ok(metadata.supportsPKCE('S256'))
  assert.equal(metadata.authorization_response_iss_parameter_supported, true)
})

await step('login with a code, PKCE, state and nonce', async () => {
  ada = browser()
  const { response, redeem } = await login(config, basic, ada, offline)
  assert.deepEqual(ada.shown, ['login-submit', 'consent-approve'])
  assert.equal(response.searchParams.get('iss'), given.issuer)
  tokens = await redeem()
  claims = tokens.claims()
  assert.equal(claims.aud, basic.client_id)
  assert.equal(tokens.token_type, 'bearer')
  assert.ok(tokens.refresh_token)
  assert.ok(tokens.expiresIn() > 0)
})

await step('userinfo', async () => {
  const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  assert.equal(user.email, given.user.email)
  assert.equal(user.given_name, 'Ada')
})

await step('a second login shows no page', async () => {
  const { redeem } = await login(config, basic, ada)
  assert.deepEqual(ada.shown, [])
  const again = (await redeem()).claims()
  assert.equal(again.sub, claims.sub)
  assert.equal(again.auth_time, claims.auth_time)
})

await step('prompt=none with a session', async () => {
  const { redeem } = await login(config, basic, ada, { parameters: { prompt: 'none', id_token_hint: tokens.id_token } })
  assert.equal((await redeem()).claims().sub, claims.sub)
})

await step('prompt=none without one', async () => {
  const { redeem } = await login(config, basic, browser(), { parameters: { prompt: 'none' } })
  await assert.rejects(redeem(), refusal('login_required'))
})

await step('prompt=login and max_age', async () => {
  const { redeem } = await login(config, basic, ada, { parameters: { prompt: 'login', max_age: '60' }, checks: { maxAge: 60 } })
  assert.deepEqual(ada.shown, ['login-submit'])
  assert.ok((await redeem()).claims().auth_time >= claims.auth_time)
})

await step('a user who says no', async () => {
  const { redeem } = await login(config, basic, browser(), { parameters: { prompt: 'consent' }, approve: false })
  await assert.rejects(redeem(), refusal('access_denied'))
})

await step('refresh', async () => {
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
  assert.notEqual(fresh.access_token, tokens.access_token)
  assert.notEqual(fresh.refresh_token, tokens.refresh_token)
  assert.equal(fresh.claims().sub, claims.sub)
  await client.fetchUserInfo(config, fresh.access_token, claims.sub)
  const narrow = await client.refreshTokenGrant(config, fresh.refresh_token, { scope: 'openid email' })
  assert.equal(narrow.scope, 'openid email')
  tokens = narrow
})

await step('introspection', async () => {
  const access = await client.tokenIntrospection(config, tokens.access_token)
  assert.deepEqual([access.active, access.client_id, access.sub], [true, basic.client_id, claims.sub])
  const refresh = await client.tokenIntrospection(config, tokens.refresh_token, { token_type_hint: 'refresh_token' })
  assert.equal(refresh.active, true)
  assert.deepEqual(await client.tokenIntrospection(config, 'somebody else’s'), { active: false })
})

await step('revocation', async () => {
  await client.tokenRevocation(config, tokens.refresh_token)
  assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false })
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), refusal('invalid_grant'))
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, claims.sub))
})

await step('the issuer of a response is checked', async () => {
  const { response, redeem } = await login(config, basic, ada)
  const forged = new URL(response)
  forged.searchParams.set('iss', 'https://mix-up.example')
  await assert.rejects(redeem(forged), mixedUp)
  forged.searchParams.delete('iss')
  await assert.rejects(redeem(forged), mixedUp)
  await redeem()
})

await step('form_post', async () => {
  const { response, redeem } = await login(config, basic, ada, { parameters: { response_mode: 'form_post' } })
  assert.equal(response.method, 'POST')
  assert.equal(response.url, basic.redirect_uri)
  assert.equal((await redeem()).claims().sub, claims.sub)
})

await step('a code works once, and its copy ends what came of it', async () => {
  const { redeem } = await login(config, basic, ada)
  const first = await redeem()
  await client.fetchUserInfo(config, first.access_token, claims.sub)
  await assert.rejects(redeem(), refusal('invalid_grant'))
  await assert.rejects(client.fetchUserInfo(config, first.access_token, claims.sub))
})

await step('client_secret_post', async () => {
  const posting = await discover(post, client.ClientSecretPost(post.client_secret))
  const { redeem } = await login(posting, post, ada)
  assert.deepEqual(ada.shown, ['consent-approve'])
  assert.equal((await redeem()).claims().aud, post.client_id)
  const wrong = await discover(post, client.ClientSecretPost('not the secret'))
  const refused = await client.clientCredentialsGrant(wrong).catch((err) => err)
  assert.equal(refused.status, 401)
  assert.equal((await refused.response.json()).error, 'invalid_client')
})

await step('client_credentials, by secret', async () => {
  const own = await client.clientCredentialsGrant(config, { scope: 'orders:read', resource: given.resource })
  assert.equal(own.scope, 'orders:read')
  assert.equal(own.refresh_token, undefined)
  const said = await client.tokenIntrospection(config, own.access_token)
  assert.deepEqual([said.active, said.sub, said.aud], [true, basic.client_id, given.resource])
})

await step('private_key_jwt, in every algorithm', async () => {
  for (const jwk of jwt.private_keys) {
    const key = await importJWK(jwk, jwk.alg)
    const signing = await discover(jwt, client.PrivateKeyJwt({ key, kid: jwk.kid }))
    const own = await client.clientCredentialsGrant(signing, { scope: 'orders:read', resource: given.resource })
    assert.equal((await client.tokenIntrospection(signing, own.access_token)).client_id, jwt.client_id)
    const { redeem } = await login(signing, jwt, ada)
    assert.equal((await redeem()).claims().aud, jwt.client_id)
  }
})

await step('a signed request object, in every algorithm', async () => {
  const signing = await discover(jwt, client.PrivateKeyJwt({ key: await importJWK(jwt.private_keys[0], jwt.private_keys[0].alg), kid: jwt.private_keys[0].kid }))
  for (const jwk of jwt.private_keys) {
    const key = await importJWK(jwk, jwk.alg)
    const build = (config, parameters) => client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid: jwk.kid })
    const { redeem } = await login(signing, jwt, ada, { build, parameters: { max_age: '3600', claims: '{"userinfo":{"email":null}}' } })
    assert.equal((await redeem()).claims().aud, jwt.client_id)
  }
  const [, other] = jwt.private_keys
  const key = await importJWK(other, other.alg)
  const late = (config, parameters) => client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid: other.kid }, {
    [client.modifyAssertion]: (header, payload) => { payload.exp -= 3600 },
  })
  const { redeem } = await login(signing, jwt, ada, { build: late })
  await assert.rejects(redeem(), refusal('invalid_request_object'))
})

await step('a pushed request', async () => {
  const { redeem } = await login(config, basic, ada, { build: client.buildAuthorizationUrlWithPAR })
  assert.deepEqual(ada.shown, [])
  assert.equal((await redeem()).claims().aud, basic.client_id)
  const [jwk] = jwt.private_keys
  const signing = await discover(jwt, client.PrivateKeyJwt({ key: await importJWK(jwk, jwk.alg), kid: jwk.kid }))
  const pushed = await login(signing, jwt, ada, { build: client.buildAuthorizationUrlWithPAR })
  assert.equal((await pushed.redeem()).claims().aud, jwt.client_id)
  const evil = { redirect_uri: 'https://evil.test/cb' }
  await assert.rejects(login(config, basic, ada, { build: client.buildAuthorizationUrlWithPAR, parameters: evil }), refusal('invalid_request'))
})

await step('a pushed request object', async () => {
  const [jwk] = jwt.private_keys
  const key = await importJWK(jwk, jwk.alg)
  const signing = await discover(jwt, client.PrivateKeyJwt({ key, kid: jwk.kid }))
  const build = async (config, parameters) => {
    const { searchParams } = await client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid: jwk.kid })
    return client.buildAuthorizationUrlWithPAR(config, searchParams)
  }
  const { redeem } = await login(signing, jwt, ada, { build })
  assert.equal((await redeem()).claims().aud, jwt.client_id)
})

await step('a public client on any port of loopback', async () => {
  const open = await discover(spa, client.None())
  for (const port of [49152, 65535]) {
    const at = { ...spa, redirect_uri: spa.redirect_uri.replace(/:\d+/, `:${port}`) }
    const { redeem } = await login(open, at, ada)
    assert.deepEqual(ada.shown, ['consent-approve']) // each time: any program could listen there
    const got = await redeem()
    assert.equal((await client.refreshTokenGrant(open, got.refresh_token)).claims().sub, claims.sub)
  }
})

await step('logout by the app', async () => {
  const { redeem } = await login(config, basic, ada)
  const got = await redeem()
  const state = client.randomState()
  const left = await ada.open(client.buildEndSessionUrl(config, {
    id_token_hint: got.id_token, post_logout_redirect_uri: basic.post_logout_redirect_uri, state,
  }))
  assert.equal(left.href, `${basic.post_logout_redirect_uri}?state=${state}`)
  assert.deepEqual(ada.shown, [])
  const silent = await login(config, basic, ada, { parameters: { prompt: 'none' } })
  await assert.rejects(silent.redeem(), refusal('login_required'))
  await assert.rejects(client.refreshTokenGrant(config, got.refresh_token), refusal('invalid_grant'))
})
