// An app with DPoP (RFC 9449), twice: openid-client does it by itself, nonces included, and oauth4webapi
// step by step. The key is made here, and its tokens are of no use without it.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { browser, given, step } from './steps.js'

const insecure = { execute: [client.allowInsecureRequests] } // the issuer of the test is http on loopback
const { basic, spa } = given.clients
const scope = 'openid email offline_access'

const refusal = (code) => (err) => (assert.equal(err.error, code, err.stack), true)
const boundTo = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).cnf?.jkt

async function login(config, c, DPoP, agent, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const sent = {
    redirect_uri: c.redirect_uri, scope, state: expectedState, prompt: 'consent',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...parameters,
  }
  const response = await agent.open(client.buildAuthorizationUrl(config, sent))
  return (by = DPoP) => client.authorizationCodeGrant(config, response, { pkceCodeVerifier, expectedState, idTokenExpected: true }, undefined, { DPoP: by })
}

const ada = browser()
const keys = await client.randomDPoPKeyPair('ES256')
const otherKeys = await client.randomDPoPKeyPair('Ed25519')
let config, handle, other, tokens, sub

await step('discovery lists the algorithms of proofs', async () => {
  config = await client.discovery(new URL(given.issuer), spa.client_id, {}, client.None(), insecure)
  assert.ok(config.serverMetadata().dpop_signing_alg_values_supported.includes('ES256'))
  handle = client.getDPoPHandle(config, keys)
  other = client.getDPoPHandle(config, otherKeys)
})

await step('a public client logs in, and its tokens are bound', async () => {
  tokens = await (await login(config, spa, handle, ada))()
  assert.equal(tokens.token_type, 'dpop')
  assert.equal(boundTo(tokens.access_token), await handle.calculateThumbprint())
  sub = tokens.claims().sub
})

await step('userinfo with a proof, and not without', async () => {
  assert.equal((await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP: handle })).email, given.user.email)
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, sub))
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, sub, { DPoP: other }))
})

await step('a public client refreshes with its key alone', async () => {
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), refusal('invalid_grant'))
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: other }), refusal('invalid_grant'))
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: handle })
  assert.equal(boundTo(fresh.access_token), boundTo(tokens.access_token))
  await client.fetchUserInfo(config, fresh.access_token, sub, { DPoP: handle })
})

await step('a code that is bound to a key by dpop_jkt', async () => {
  const redeem = await login(config, spa, handle, ada, { dpop_jkt: await handle.calculateThumbprint() })
  await assert.rejects(redeem(other), refusal('invalid_grant'))
  assert.equal((await redeem()).token_type, 'dpop')
})

await step('a pushed request with a proof', async () => {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: spa.redirect_uri, scope, code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  }, { DPoP: handle })
  const response = await ada.open(url)
  const redeem = (by) => client.authorizationCodeGrant(config, response, { pkceCodeVerifier, idTokenExpected: true }, undefined, { DPoP: by })
  await assert.rejects(redeem(other), refusal('invalid_grant'))
  assert.equal((await redeem(handle)).token_type, 'dpop')
})

await step('a confidential client refreshes with a new key', async () => {
  const confidential = await client.discovery(new URL(given.issuer), basic.client_id, {}, client.ClientSecretBasic(basic.client_secret), insecure)
  const [first, second] = [client.getDPoPHandle(confidential, keys), client.getDPoPHandle(confidential, otherKeys)]
  const got = await (await login(confidential, basic, first, ada))()
  const fresh = await client.refreshTokenGrant(confidential, got.refresh_token, undefined, { DPoP: second })
  assert.equal(boundTo(fresh.access_token), await second.calculateThumbprint())
  const asked = await client.tokenIntrospection(confidential, fresh.access_token)
  assert.deepEqual([asked.active, asked.token_type, asked.cnf.jkt], [true, 'DPoP', await second.calculateThumbprint()])
})

await step('oauth4webapi, step by step', async () => {
  const unsafe = { [oauth.allowInsecureRequests]: true }
  const as = await oauth.processDiscoveryResponse(new URL(given.issuer), await oauth.discoveryRequest(new URL(given.issuer), unsafe))
  const DPoP = oauth.DPoP(spa, await oauth.generateKeyPair('PS256'))
  const verifier = oauth.generateRandomCodeVerifier()
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: spa.client_id, redirect_uri: spa.redirect_uri, response_type: 'code', scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  })
  const callback = oauth.validateAuthResponse(as, spa, await ada.open(url))
  // again makes a request once more if it was for a nonce that it failed.
  const again = async (request, process) => {
    try {
      return await process(await request())
    } catch (err) {
      if (!oauth.isDPoPNonceError(err)) throw err
      assert.ok(given.nonces)
      return process(await request())
    }
  }
  const got = await again(
    () => oauth.authorizationCodeGrantRequest(as, spa, oauth.None(), callback, spa.redirect_uri, verifier, { DPoP, ...unsafe }),
    (answer) => oauth.processAuthorizationCodeResponse(as, spa, answer, { requireIdToken: true }),
  )
  assert.equal(got.token_type, 'dpop')
  const { sub } = oauth.getValidatedIdTokenClaims(got)
  await again(
    () => oauth.userInfoRequest(as, spa, got.access_token, { DPoP, ...unsafe }),
    (answer) => oauth.processUserInfoResponse(as, spa, sub, answer),
  )
  const fresh = await again(
    () => oauth.refreshTokenGrantRequest(as, spa, oauth.None(), got.refresh_token, { DPoP, ...unsafe }),
    (answer) => oauth.processRefreshTokenResponse(as, spa, answer),
  )
  assert.equal(boundTo(fresh.access_token), boundTo(got.access_token))
})
