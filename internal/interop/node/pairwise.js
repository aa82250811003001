// openid-client logs one person in to apps that know people by pairwise subject identifiers.
import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const insecure = { execute: [client.allowInsecureRequests] } // the issuer of the test is http on loopback
const { one, two, far, joined, member } = given.clients
const ada = browser()

const discover = (c) => client.discovery(new URL(given.issuer), c.client_id, {}, client.ClientSecretBasic(c.client_secret), insecure)

// login is a whole one; openid-client checks the ID token.
async function login(c, more = {}) {
  const config = await discover(c)
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: c.redirect_uri, scope: 'openid email', state: expectedState,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...more,
  })
  const response = await ada.open(url)
  const tokens = await client.authorizationCodeGrant(config, response, { pkceCodeVerifier, expectedState, idTokenExpected: true })
  return { config, tokens, sub: tokens.claims().sub }
}

let first

await step('discovery says pairwise', async () => {
  const config = await discover(one)
  assert.deepEqual(config.serverMetadata().subject_types_supported, ['public', 'pairwise'])
})

await step('userinfo has the sub of the ID token', async () => {
  first = await login(one)
  // openid-client throws if the sub of userinfo is another one.
  const user = await client.fetchUserInfo(first.config, first.tokens.access_token, first.sub)
  assert.equal(user.email, given.user.email)
})

await step('a refreshed ID token has it, too', async () => {
  const refreshed = await client.refreshTokenGrant(first.config, first.tokens.refresh_token)
  assert.equal(refreshed.claims().sub, first.sub)
  first.tokens = refreshed
})

await step('introspection says it', async () => {
  assert.equal((await client.tokenIntrospection(first.config, first.tokens.access_token)).sub, first.sub)
})

await step('an app at the same host knows the same person', async () => {
  assert.equal((await login(two)).sub, first.sub)
})

await step('an app at another host does not', async () => {
  const other = (await login(far)).sub
  assert.notEqual(other, first.sub)
  await assert.rejects(login(far, { prompt: 'none', claims: JSON.stringify({ id_token: { sub: { value: first.sub } } }) }),
    (err) => (assert.equal(err.error, 'login_required', err.stack), true))
})

await step('apps of one sector_identifier_uri know the same person', async () => {
  assert.equal((await login(joined)).sub, (await login(member)).sub)
})

await step('the ID token is a hint', async () => {
  const again = await login(one, { prompt: 'none', id_token_hint: first.tokens.id_token })
  assert.equal(again.sub, first.sub)
})
