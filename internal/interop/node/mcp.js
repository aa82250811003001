// Lets a person log in to an MCP server with the OAuth client of an official SDK: @modelcontextprotocol/sdk, or its successor
// @modelcontextprotocol/client. All that the client is told is the server's URL, and how the client is known to the issuer.
import assert from 'node:assert/strict'
import { Provider } from './mcp_provider.js'
import { browser, given, step } from './steps.js'

const successor = given.sdk === '@modelcontextprotocol/client'
const { Client, StreamableHTTPClientTransport, UnauthorizedError, finish } = await import(
  successor ? './mcp_sdk_new.js' : './mcp_sdk_old.js'
)

const kept = new Map()
const storage = {
  getItem: (name) => kept.get(name),
  setItem: (name, text) => kept.set(name, text),
  removeItem: (name) => kept.delete(name),
}
const person = browser()
let approve = true
let response // of the issuer, to which the person was brought
const provider = new Provider(given, storage, async (url) => {
  asked = url.searchParams
  response = (await person.open(url, { approve })).searchParams
})
let asked // the parameters of the last authorization request

let transport, client
async function connect() {
  transport = new StreamableHTTPClientTransport(new URL(given.server), { authProvider: provider })
  client = new Client({ name: given.name, version: '1.0.0' })
  await client.connect(transport)
}

// authorized does something for which the person has to allow something first.
async function authorized(act) {
  await assert.rejects(act(), UnauthorizedError)
  assert.ok(provider.isResponse(response), String(response))
  await finish(transport, response)
  return act()
}

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args })
  assert.ok(!result.isError, JSON.stringify(result))
  return result.structuredContent
}
const scopes = (answer) => answer.scope.split(' ').filter((scope) => scope !== 'offline_access').sort()

const clientID = () => provider.clientInformation().client_id
let me

await step('the server of the URL names the issuer, and a person logs in', async () => {
  await authorized(connect)
  assert.deepEqual(person.shown, ['login-submit', 'consent-approve'])
  assert.equal(asked.get('resource'), given.server)
  assert.equal(asked.get('client_id'), given.client_id ?? given.client_id_metadata ?? clientID())
})

await step('a tool is called', async () => {
  me = await call('whoami')
  assert.equal(me.client_id, clientID())
  assert.deepEqual(scopes(me), ['tools:read'])
})

await step('an access token that the server takes no longer is refreshed', async () => {
  const before = provider.tokens()
  provider.spoil()
  person.shown = []
  assert.deepEqual(await call('whoami'), me)
  assert.notEqual(provider.tokens().access_token, before.access_token)
  assert.notEqual(provider.tokens().refresh_token, before.refresh_token)
  assert.deepEqual(person.shown, [])
})

if (successor) {
  await step('a tool that needs another scope has the person asked for it', async () => {
    const { notes } = await authorized(() => call('note', { text: 'remember' }))
    assert.deepEqual(notes, ['remember'])
    assert.deepEqual(person.shown, ['consent-approve'])
    assert.deepEqual(scopes(await call('whoami')), ['tools:read', 'tools:write'])
  })
} else {
  // It has a refresh token, and takes the refresh for the answer to the challenge.
  await step('a tool that needs another scope is refused', () => assert.rejects(call('note', { text: 'remember' }), /403/))
}

await step('what was allowed is taken back, and the person is asked again', async () => {
  await withdraw(clientID())
  provider.spoil()
  const again = await authorized(() => call('whoami'))
  assert.deepEqual(person.shown, ['consent-approve'])
  assert.deepEqual({ ...again, scope: '' }, { ...me, scope: '' })
})

await step('a person who says no', async () => {
  await withdraw(clientID())
  provider.spoil()
  approve = false
  await assert.rejects(call('whoami'), UnauthorizedError)
  assert.ok(provider.isResponse(response), String(response))
  assert.equal(response.get('error'), 'access_denied')
  if (successor) await assert.rejects(finish(transport, response), /did not allow/)
  assert.equal(provider.tokens(), undefined)
})

// withdraw takes back, as the person does in an app of their own, what they allowed to a client.
async function withdraw(client) {
  const login = await fetch(`${given.issuer}/v1/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(given.user),
  })
  const { access_token: token } = await login.json()
  const answer = await fetch(`${given.issuer}/v1/profile/consents/${encodeURIComponent(client)}`, {
    method: 'DELETE', headers: { authorization: `Bearer ${token}` },
  })
  assert.equal(answer.status, 204, await answer.text())
}
