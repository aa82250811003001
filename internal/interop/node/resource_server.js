// A small resource server behind a library that nobody here wrote, set up as its README says, for `signet doctor`. Told on the
// command line: the library, the issuer, the audience and the port.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import { expressjwt } from 'express-jwt'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'

const [library, issuer, audience, port] = process.argv.slice(2)
const jwks = issuer + '/.well-known/jwks.json'

// withJose is what docs/resource-servers.md shows, as a middleware.
function withJose() {
  const keys = createRemoteJWKSet(new URL(jwks))
  return async (req, res, next) => {
    const [scheme, token] = (req.headers.authorization ?? '').split(' ')
    if (!/^bearer$/i.test(scheme) || !token) return res.status(401).set('WWW-Authenticate', 'Bearer').end()
    try {
      await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', algorithms: ['RS256', 'EdDSA'], requiredClaims: ['exp', 'sub'] })
      next()
    } catch (err) {
      res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').end()
    }
  }
}

const middleware = {
  'jose': withJose,
  'express-oauth2-jwt-bearer': () => auth({ issuerBaseURL: issuer, audience, strict: true }),
  'express-jwt': () => expressjwt({ secret: jwksRsa.expressJwtSecret({ jwksUri: jwks, cache: true }), algorithms: ['RS256'], issuer, audience }),
}[library]

const app = express().use(middleware())
app.get('/', (req, res) => res.end('a secret'))
app.use((err, req, res, next) => res.status(err.status ?? 500).set(err.headers ?? {}).end(err.message))
app.listen(Number(port), '127.0.0.1')
