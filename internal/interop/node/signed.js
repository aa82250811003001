// openid-client reads signed answers of userinfo and introspection, and jose verifies them.
import assert from 'node:assert/strict'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']
const insecure = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] } // it fetches the keys and verifies

const discover = (c, metadata) =>
  client.discovery(new URL(given.issuer), c.client_id, metadata, client.ClientSecretBasic(c.client_secret), insecure)

async function login(config, c, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: c.redirect_uri, scope: 'openid email', resource: given.resource,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...parameters,
  })
  return client.authorizationCodeGrant(config, await browser().open(url), { pkceCodeVerifier, idTokenExpected: true })
}

const { plain } = given.clients
let tokens

await step('discovery lists the algorithms', async () => {
  const metadata = (await discover(plain, {})).serverMetadata()
  for (const list of ['userinfo_signing_alg_values_supported', 'introspection_signing_alg_values_supported']) {
    assert.deepEqual([...metadata[list]].sort(), [...algorithms].sort(), list)
  }
})

for (const alg of algorithms) {
  const c = given.clients[alg]
  await step(`userinfo signed with ${alg}`, async () => {
    const config = await discover(c, { userinfo_signed_response_alg: alg })
    tokens = await login(config, c, { claims: JSON.stringify({ userinfo: { given_name: { value: 'Ada' } } }) })
    const { sub } = tokens.claims()
    const user = await client.fetchUserInfo(config, tokens.access_token, sub)
    assert.deepEqual([user.sub, user.email, user.given_name, user.iss, user.aud],
      [sub, given.user.email, 'Ada', given.issuer, c.client_id])
  })
  await step(`introspection signed with ${alg}`, async () => {
    const config = await discover(c, { introspection_signed_response_alg: alg })
    const access = await client.tokenIntrospection(config, tokens.access_token)
    assert.deepEqual([access.active, access.client_id, access.aud], [true, c.client_id, given.resource])
    assert.deepEqual(await client.tokenIntrospection(config, 'somebody else’s'), { active: false })
  })
  await step(`${alg} is not taken for another`, async () => {
    const wrong = alg === 'ES256' ? 'PS256' : 'ES256'
    const config = await discover(c, { userinfo_signed_response_alg: wrong, introspection_signed_response_alg: wrong })
    await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub))
    await assert.rejects(client.tokenIntrospection(config, tokens.access_token))
  })
}

await step('a service that is registered for none asks by Accept', async () => {
  const config = await discover(plain, { introspection_signed_response_alg: 'RS256' })
  const access = await client.tokenIntrospection(config, tokens.access_token)
  assert.deepEqual([access.active, access.aud], [true, given.resource])
  const json = await client.tokenIntrospection(await discover(plain, {}), tokens.access_token)
  assert.deepEqual(json, access)
})

await step('jose verifies an answer, which is no access token', async () => {
  const metadata = (await discover(plain, {})).serverMetadata()
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
  const response = await fetch(metadata.introspection_endpoint, {
    method: 'POST', body: new URLSearchParams({ token: tokens.access_token }),
    headers: { accept: 'application/token-introspection+jwt', authorization: 'Basic ' + btoa(`${plain.client_id}:${plain.client_secret}`) },
  })
  assert.equal(response.headers.get('content-type'), 'application/token-introspection+jwt')
  const answer = await response.text()
  const expected = { issuer: given.issuer, audience: plain.client_id }
  const { payload } = await jwtVerify(answer, keys, { ...expected, typ: 'token-introspection+jwt' })
  assert.deepEqual(Object.keys(payload).sort(), ['aud', 'iat', 'iss', 'token_introspection'])
  await assert.rejects(jwtVerify(answer, keys, { ...expected, typ: 'at+jwt' }))
  const asToken = await fetch(metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${answer}` } })
  assert.equal(asToken.status, 401)
})
