// What an MCP client keeps of its user's login, for the OAuth clients of both of the official SDKs. A page and a program differ
// in where they keep it and in how the user gets to the issuer.
export class Provider {
  #given
  #kept
  #visit

  // given: how the client is known, and to where it is redirected. kept: a Storage. visit brings the user to an address.
  constructor(given, kept, visit) {
    this.#given = given
    this.#kept = kept
    this.#visit = visit
    this.redirectUrl = given.redirect_uri
    this.clientMetadataUrl = given.client_id_metadata
    if (given.client_id && !this.clientInformation()) this.saveClientInformation({ client_id: given.client_id })
  }

  get clientMetadata() {
    return {
      client_name: this.#given.name,
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }
  }

  state() {
    this.#write('state', crypto.randomUUID())
    return this.#read('state')
  }
  isResponse = (params) => params.get('state') === this.#read('state') && params.get('iss') === this.#given.issuer

  clientInformation = () => this.#read('client')
  saveClientInformation = (client) => this.#write('client', client)
  tokens = () => this.#read('tokens')
  saveTokens = (tokens) => this.#write('tokens', tokens)
  codeVerifier = () => this.#read('verifier')
  saveCodeVerifier = (verifier) => this.#write('verifier', verifier)
  discoveryState = () => this.#read('discovery')
  saveDiscoveryState = (state) => this.#write('discovery', state)
  redirectToAuthorization = (url) => this.#visit(url)

  invalidateCredentials(what) {
    for (const [name, item] of Object.entries({ client: 'client', tokens: 'tokens', verifier: 'verifier', discovery: 'discovery' })) {
      if (what === 'all' || what === name) this.#kept.removeItem(item)
    }
  }

  // spoil puts something in the place of the access token that no server takes, as if the token had expired.
  spoil() {
    this.saveTokens({ ...this.tokens(), access_token: 'expired' })
  }

  #read(name) {
    return JSON.parse(this.#kept.getItem(name) ?? 'null') ?? undefined
  }
  #write(name, value) {
    this.#kept.setItem(name, JSON.stringify(value))
  }
}
