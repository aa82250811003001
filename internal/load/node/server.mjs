// The OpenID Connect provider that Signet is measured beside, with its own documented settings and no database. One
// line of JSON on standard input says which keys, clients and sessions it has; one line on standard output says that
// it listens, with the tokens of those sessions. It ends when standard input closes.
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const lines = createInterface({ input: process.stdin })
const setup = JSON.parse((await lines[Symbol.asyncIterator]().next()).value)
process.stdin.on('end', () => process.exit(0)).resume()

// Store keeps everything in memory, as the example of an adapter in the provider's documents does. The adapter that
// the provider comes with forgets what is older than its last thousand entries, and so the sessions of this run.
const entries = new Map()
class Store {
  constructor(model) { this.model = model }
  async upsert(id, payload) { entries.set(`${this.model}:${id}`, payload) }
  async find(id) { return entries.get(`${this.model}:${id}`) }
  async consume(id) { entries.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000) }
  async destroy(id) { entries.delete(`${this.model}:${id}`) }
  async findByUserCode() {}
  async findByUid() {}
  async revokeByGrantId() {}
}

const { RS256, EdDSA } = setup.resources
const lifetime = 24 * 3600
const provider = new Provider(setup.issuer, {
  adapter: Store,
  jwks: setup.jwks,
  clients: [
    { client_id: 'machine', client_secret: setup.secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    {
      client_id: 'app', token_endpoint_auth_method: 'none', application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['http://127.0.0.1/cb'],
    },
  ],
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { profile: ['name'], email: ['email', 'email_verified'] },
  findAccount: (ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: setup.person.name, email: setup.person.email, email_verified: true }),
  }),
  rotateRefreshToken: true,
  ttl: { AccessToken: lifetime, ClientCredentials: 600, Grant: lifetime, RefreshToken: lifetime },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => EdDSA,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'profile email',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: resource === RS256 ? 'RS256' : 'EdDSA' } },
      }),
    },
  },
})
provider.on('server_error', (ctx, err) => console.error(err))
provider.on('grant.error', (ctx, err) => console.error(err))

const client = await provider.Client.find('app')

// session returns the grant of a session of the app, with what every token of it has in common.
async function session(resource, scope) {
  const grant = new provider.Grant({ clientId: 'app', accountId: setup.person.sub })
  if (resource) grant.addResourceScope(resource, scope)
  else grant.addOIDCScope(scope)
  return { client, accountId: setup.person.sub, grantId: await grant.save(), gty: 'authorization_code', scope }
}

const refresh = {}
for (const alg of ['RS256', 'EdDSA']) {
  refresh[alg] = []
  for (let n = 0; n < setup.sessions; n++) {
    const of = await session(setup.resources[alg], 'profile email')
    refresh[alg].push(await new provider.RefreshToken({ ...of, resource: setup.resources[alg] }).save())
  }
}
const userinfo = []
for (let n = 0; n < setup.sessions; n++) {
  userinfo.push(await new provider.AccessToken(await session('', 'openid profile email')).save())
}

const server = provider.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ address: `127.0.0.1:${server.address().port}`, refresh, userinfo }))
})
