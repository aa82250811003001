// Makes a key pair for each algorithm that a client may sign assertions with, as JWKs.
import { exportJWK, generateKeyPair } from 'jose'

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']
const pairs = await Promise.all(algorithms.map(async (alg) => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const named = async (key) => ({ ...(await exportJWK(key)), kid: `client-${alg}`, alg, use: 'sig' })
  return [await named(publicKey), await named(privateKey)]
}))
console.log(JSON.stringify({ public: { keys: pairs.map((p) => p[0]) }, private: pairs.map((p) => p[1]) }))
