// A web app on openid-client steps a login up, because an API behind express-oauth2-jwt-bearer asks for it by the challenge of
// RFC 9470. The codes are those of otplib.
import assert from 'node:assert/strict'
import express from 'express'
import { auth, claimEquals } from 'express-oauth2-jwt-bearer'
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
    redirect_uri: app.redirect_uri, scope: 'openid', resource: given.resource, nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...parameters,
  }))
  const tokens = await client.authorizationCodeGrant(config, response, { pkceCodeVerifier, expectedNonce, idTokenExpected: true })
  return { ...tokens.claims(), hint: tokens.id_token, token: tokens.access_token }
}

// The API knows the issuer's URL, its own, and that a transfer takes two factors.
const api = express()
const challenge = 'Bearer error="insufficient_user_authentication", error_description="A transfer takes two factors.", acr_values="2"'
const strong = (req, res, next) => claimEquals('acr', '2')(req, res, (weak) => weak ? res.status(401).set('WWW-Authenticate', challenge).end() : next())
api.post('/transfers', auth({ issuerBaseURL: given.issuer, audience: given.resource, strict: true }), strong, (req, res) => res.json(req.auth.payload))
api.use((err, req, res, next) => res.status(err.status ?? 500).set(err.headers).end(err.message))
const server = api.listen(0, '127.0.0.1')
await new Promise((listening) => server.once('listening', listening))
server.unref()

const transfer = (token) => client.fetchProtectedResource(config, token, new URL(`http://127.0.0.1:${server.address().port}/transfers`), 'POST')

// refused is the challenges of the API that openid-client reads.
async function refused(token) {
  try {
    await transfer(token)
  } catch (err) {
    assert.ok(err instanceof client.WWWAuthenticateChallengeError, err.stack)
    assert.equal(err.status, 401)
    return err.cause
  }
  assert.fail('the API takes the token')
}

const ada = browser()
let first, weak, asked

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

await step('an API behind express-oauth2-jwt-bearer refuses its token, and openid-client reads what the API asks for', async () => {
  const challenges = await refused(weak.token)
  assert.deepEqual(challenges.map((c) => c.scheme), ['bearer'])
  asked = challenges[0].parameters
  assert.equal(asked.error, 'insufficient_user_authentication')
  assert.deepEqual(Object.keys(asked).sort(), ['acr_values', 'error', 'error_description'])
  const [{ parameters: forged }] = await refused(`${weak.token.slice(0, -8)}AAAAAAAA`) // that it is a good token was looked at
  assert.equal(forged.error, 'invalid_token')
})

await step('acr_values steps it up, asking only for what is missing', async () => {
  ada.second = { code: code() }
  const strong = await login(ada, { acr_values: asked.acr_values })
  assert.deepEqual(ada.shown, ['second-submit'])
  assert.equal(strong.acr, '2')
  assert.equal(strong.sub, weak.sub)
  assert.equal(strong.auth_time, weak.auth_time) // the oldest proof that it rests on
  const answer = await transfer(strong.token)
  assert.equal(answer.status, 200)
  const { acr, amr, sub, aud } = await answer.json()
  assert.deepEqual({ acr, amr: amr.sort(), sub, aud }, { acr: '2', amr: ['mfa', 'otp', 'pwd'], sub: strong.sub, aud: given.resource })
})

await step('the token of before stays as weak as it was', async () => {
  const [{ parameters }] = await refused(weak.token)
  assert.equal(parameters.error, 'insufficient_user_authentication')
})

await step('what is strong enough is asked for nothing', async () => {
  const again = await login(ada, { acr_values: '2', prompt: 'none' })
  assert.deepEqual(ada.shown, [])
  assert.equal(again.acr, '2')
})
