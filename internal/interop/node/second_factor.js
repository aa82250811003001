// A web app on openid-client steps a login up by acr_values. The codes are those of otplib.
import assert from 'node:assert/strict'
import * as client from 'openid-client'
import { generateSync } from 'otplib'
import { browser, given, step } from './steps.js'

const app = given.clients.app
const config = await client.discovery(new URL(given.issuer), app.client_id, {}, client.ClientSecretBasic(app.client_secret), {
  execute: [client.allowInsecureRequests], // the issuer of the test is http on loopback
})

// Each code counts once, and one of the next step is taken as well.
let used = 0
function code() {
  const now = Math.floor(Date.now() / 1000)
  const at = Math.max(now, used + 30)
  assert.ok(at - now < 60, 'the codes of this moment are used up')
  used = at - (at % 30)
  return generateSync({ secret: given.secret, epoch: at })
}

async function login(agent, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedNonce = client.randomNonce()
  const response = await agent.open(client.buildAuthorizationUrl(config, {
    redirect_uri: app.redirect_uri, scope: 'openid', nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...parameters,
  }))
  const tokens = await client.authorizationCodeGrant(config, response, { pkceCodeVerifier, expectedNonce, idTokenExpected: true })
  return { ...tokens.claims(), hint: tokens.id_token }
}

const ada = browser()
let first, weak

await step('discovery names both values of acr', () => {
  assert.deepEqual(config.serverMetadata().acr_values_supported, ['1', '2'])
})

await step('a login takes a code, and says so', async () => {
  ada.second = { code: code(), trust: 'yes' }
  first = await login(ada)
  assert.deepEqual(ada.shown, ['login-submit', 'second-submit', 'consent-approve'])
  assert.equal(first.acr, '2')
  assert.deepEqual([...first.amr].sort(), ['mfa', 'otp', 'pwd'])
})

await step('a trusted browser proves one factor, and says so', async () => {
  await ada.open(client.buildEndSessionUrl(config, { id_token_hint: first.hint, post_logout_redirect_uri: app.post_logout_redirect_uri }))
  weak = await login(ada)
  assert.deepEqual(ada.shown, ['login-submit'])
  assert.equal(weak.acr, '1')
  assert.deepEqual(weak.amr, ['pwd'])
})

await step('acr_values steps it up, asking only for what is missing', async () => {
  ada.second = { code: code() }
  const strong = await login(ada, { acr_values: '2' })
  assert.deepEqual(ada.shown, ['second-submit'])
  assert.equal(strong.acr, '2')
  assert.equal(strong.sub, weak.sub)
  assert.equal(strong.auth_time, weak.auth_time) // the oldest proof that it rests on
})

await step('what is strong enough is asked for nothing', async () => {
  const again = await login(ada, { acr_values: '2', prompt: 'none' })
  assert.deepEqual(ada.shown, [])
  assert.equal(again.acr, '2')
})
