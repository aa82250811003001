// An MCP client in a page, bundled by the test with one of the SDKs. The page is left for every login, so all state is in the
// browser's storage.
import { Client, StreamableHTTPClientTransport, finish } from 'sdk'
import { Provider } from './mcp_provider.js'

class Agent {
  #given
  #provider

  constructor(given) {
    this.#given = given
    this.#provider = new Provider(given, sessionStorage, (url) => location.assign(url))
  }

  // call connects and calls a tool, or leaves the page for a login.
  async call(name, args = {}) {
    const transport = this.#transport()
    const client = new Client({ name: this.#given.name, version: '1.0.0' })
    await client.connect(transport)
    const result = await client.callTool({ name, arguments: args })
    await client.close()
    if (result.isError) throw new Error(JSON.stringify(result))
    return result.structuredContent
  }

  // back takes the response with which the issuer sent the browser back to this page.
  async back() {
    const response = new URL(location).searchParams
    if (!this.#provider.isResponse(response)) throw new Error(`not the response to the request: ${response}`)
    await finish(this.#transport(), response)
  }

  spoil = () => this.#provider.spoil()
  get clientID() {
    return this.#provider.clientInformation().client_id
  }
  get accessToken() {
    return this.#provider.tokens().access_token
  }

  #transport() {
    return new StreamableHTTPClientTransport(new URL(this.#given.server), { authProvider: this.#provider })
  }
}

window.agent = (given) => new Agent(given)
