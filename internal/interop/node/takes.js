// Says which of these libraries take an access token, and which refuse it. Told on standard input: the issuer, and tokens with
// their algorithm and audience. Prints a JSON line for each library and token.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import { expressjwt } from 'express-jwt'
import { createDecoder, createVerifier } from 'fast-jwt'
import buildGetJwks from 'get-jwks'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'
import { readFileSync } from 'node:fs'

const { issuer, tokens } = JSON.parse(readFileSync(0, 'utf8'))
const jwks = issuer + '/.well-known/jwks.json'
const getJwks = buildGetJwks()

// behind asks an API behind a middleware of Express.
async function behind(middleware, token) {
  const app = express().use(middleware)
  app.get('/', (req, res) => res.end())
  app.use((err, req, res, next) => res.status(err.status ?? 500).end(err.message))
  const server = app.listen(0, '127.0.0.1')
  try {
    await new Promise((listening) => server.once('listening', listening))
    const answer = await fetch(`http://127.0.0.1:${server.address().port}`, { headers: { Authorization: `Bearer ${token}` } })
    if (answer.status !== 200) throw new Error(await answer.text())
  } finally {
    server.close()
  }
}

const libraries = {
  'jose': (t) => jwtVerify(t.token, createRemoteJWKSet(new URL(jwks)), { issuer, audience: t.audience, typ: 'at+jwt' }),
  'express-oauth2-jwt-bearer': (t) => behind(auth({ issuerBaseURL: issuer, audience: t.audience, strict: true }), t.token),
  'express-jwt with jwks-rsa': (t) => behind(expressjwt({
    secret: jwksRsa.expressJwtSecret({ jwksUri: jwks }), algorithms: [t.alg], issuer, audience: t.audience,
  }), t.token),
  'fast-jwt with get-jwks': (t) => createVerifier({
    key: () => {
      const { kid, alg } = createDecoder({ complete: true })(t.token).header
      return getJwks.getPublicKey({ kid, alg, domain: issuer })
    },
    allowedIss: issuer, allowedAud: t.audience,
  })(t.token),
}

for (const [library, verify] of Object.entries(libraries)) {
  for (const t of tokens) {
    const error = await verify(t).then(() => '', (err) => err.message)
    console.log(JSON.stringify({ library, alg: t.alg, error }))
  }
}
