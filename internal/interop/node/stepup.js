// Step-up by RFC 9470, read by others: an API behind express-oauth2-jwt-bearer demands an acr of tokens like ours, and oauth4webapi
// reads the challenges of our verifier and does what they say.
import assert from 'node:assert/strict'
import express from 'express'
import { auth, claimCheck, claimEquals } from 'express-oauth2-jwt-bearer'
import * as oauth from 'oauth4webapi'
import { given, step } from './steps.js'

const { issuer, audience, tokens, service } = given
const insecure = { [oauth.allowInsecureRequests]: true } // the servers of the test are http on loopback

// ask calls the service by oauth4webapi: the status of its answer, and the challenges that the library read.
async function ask(path, token) {
  try {
    return { status: (await oauth.protectedResourceRequest(token, 'POST', new URL(path, service), undefined, undefined, insecure)).status }
  } catch (err) {
    assert.ok(err instanceof oauth.WWWAuthenticateChallengeError, err.stack)
    return { status: err.status, challenges: err.cause }
  }
}

// challenged asserts the one challenge, but for its words for people.
async function challenged(path, token, status, parameters) {
  const got = await ask(path, tokens[token])
  assert.equal(got.status, status, `${path}, ${token}`)
  assert.equal(got.challenges.length, 1)
  const [{ scheme, parameters: { error_description: words, ...rest } }] = got.challenges
  assert.equal(scheme, 'bearer')
  assert.match(words, /^[A-Z][\x20-\x7e]+\.$/)
  assert.deepEqual(rest, parameters, `${path}, ${token}`)
}

await step('an API behind express-oauth2-jwt-bearer demands an acr and a recent login', async () => {
  const app = express()
  app.use(auth({ issuerBaseURL: issuer, audience, strict: true }))
  app.get('/strong', claimEquals('acr', '2'), (req, res) => res.json(req.auth.payload.amr))
  app.get('/recent', claimCheck(({ auth_time: at }) => Date.now() / 1000 - at < 1800), (req, res) => res.end())
  app.use((err, req, res, next) => res.status(err.status ?? 500).set(err.headers).end(err.message))
  const server = app.listen(0, '127.0.0.1')
  try {
    await new Promise((listening) => server.once('listening', listening))
    const get = (path, token) => fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers: { Authorization: `Bearer ${tokens[token]}` } })
    const strong = await get('/strong', 'strong')
    assert.equal(strong.status, 200, strong.headers.get('www-authenticate'))
    assert.deepEqual(await strong.json(), ['pwd', 'otp', 'mfa'])
    assert.equal((await get('/recent', 'weak')).status, 200)
    for (const [path, token] of [['/strong', 'weak'], ['/strong', 'client'], ['/recent', 'old'], ['/recent', 'client']]) {
      assert.equal((await get(path, token)).status, 401, `${path}, ${token}`)
    }
  } finally {
    server.close()
  }
})

await step('oauth4webapi reads the challenges of the verifier', async () => {
  const error = 'insufficient_user_authentication'
  await challenged('/strong', 'weak', 401, { error, acr_values: '2' })
  await challenged('/either', 'other', 401, { error, acr_values: '2 1' })
  await challenged('/recent', 'old', 401, { error, max_age: '300' })
  await challenged('/transfers', 'old', 401, { error, acr_values: '2', max_age: '300' })
  await challenged('/transfers', 'narrow', 401, { error, scope: 'transfers:write', acr_values: '2', max_age: '300' })
  // Nobody can log in for a client, so it is not sent to log in.
  for (const path of ['/strong', '/recent', '/either', '/transfers']) await challenged(path, 'client', 403, { error: 'insufficient_scope' })
  for (const path of ['/strong', '/recent', '/either', '/transfers']) assert.deepEqual(await ask(path, tokens.strong), { status: 200 })
})

await step('the client asks the issuer for what the challenge names, and comes through', async () => {
  const as = { issuer, authorization_endpoint: given.authorization, token_endpoint: given.token }
  const client = { client_id: 'test-client' }
  const { challenges: [{ parameters: asked }] } = await ask('/transfers', tokens.narrow)
  const verifier = oauth.generateRandomCodeVerifier()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: client.client_id, response_type: 'code', redirect_uri: 'https://app.test/callback', scope: asked.scope,
    acr_values: asked.acr_values, max_age: asked.max_age,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const redirect = await fetch(url, { redirect: 'manual' })
  const response = oauth.validateAuthResponse(as, client, new URL(redirect.headers.get('location')))
  const answer = await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), response, 'https://app.test/callback', verifier, insecure)
  const fresh = await oauth.processAuthorizationCodeResponse(as, client, answer)
  assert.deepEqual(await ask('/transfers', fresh.access_token), { status: 200 })
})
