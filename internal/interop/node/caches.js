// An API behind one of these libraries with the caches that it has by default. Told by arguments: the library, the issuer, and the
// port to listen at.
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import { expressjwt } from 'express-jwt'
import { createDecoder, createVerifier } from 'fast-jwt'
import buildGetJwks from 'get-jwks'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import jwksRsa from 'jwks-rsa'

const [library, issuer, port] = process.argv.slice(2)
const audience = 'https://api.example.com'
const jwksUri = issuer + '/.well-known/jwks.json'
const verified = (verify) => (req, res, next) => verify(req.get('Authorization').slice('Bearer '.length)).then(() => next(), next)

const middlewares = {
  'jose': () => {
    const keys = createRemoteJWKSet(new URL(jwksUri))
    return verified((token) => jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' }))
  },
  'express-oauth2-jwt-bearer': () => auth({ issuer, jwksUri, audience, strict: true }),
  'express-jwt with jwks-rsa': () => expressjwt({
    secret: jwksRsa.expressJwtSecret({ jwksUri }), algorithms: ['RS256'], issuer, audience,
  }),
  'fast-jwt with get-jwks': () => {
    const getJwks = buildGetJwks()
    const decode = createDecoder({ complete: true })
    const verify = createVerifier({
      key: ({ header: { kid, alg } }) => getJwks.getPublicKey({ kid, alg, domain: issuer }), allowedIss: issuer, allowedAud: audience,
    })
    return verified(async (token) => decode(token) && verify(token))
  },
}

const app = express().use(middlewares[library]())
app.get('/orders', (req, res) => res.end())
app.use((err, req, res, next) => res.status(401).end(err.message))
app.listen(Number(port), '127.0.0.1')
