// Verifies tokens with jose from npm. See ../doc.go for the protocol.
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const issuer = process.argv[2]
const discovery = await (await fetch(issuer + '/.well-known/openid-configuration')).json()
const keys = createRemoteJWKSet(new URL(discovery.jwks_uri), { cooldownDuration: 0 })

async function answer({ token, audience, typ, reload }) {
  if (reload) return void (await keys.reload())
  const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']
  const { payload } = await jwtVerify(token, keys, { issuer, audience, typ, algorithms, requiredClaims: ['exp'] })
  return payload
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify({ claims: await answer(JSON.parse(line)) }))
  } catch (err) {
    console.log(JSON.stringify({ error: `${err.code}: ${err.message}` }))
  }
}
