// An app of express-openid-connect whose sessions end when Signet says so (OpenID Connect Back-Channel Logout), and the person
// who uses it in several browsers. The operator's acts are done by the command.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import express from 'express'
import expressOpenID from 'express-openid-connect'
import { Agent } from './agent.js'
import { given, step } from './steps.js'

const run = promisify(execFile)
const signet = (...args) => run(given.signet, [...args, '--config', given.config])

// Where the library notes which sessions have ended.
const ended = new Map()
const store = {
  get: (id, done) => done(null, ended.get(id)),
  set: (id, value, done) => done(null, void ended.set(id, value)),
  destroy: (id, done) => done(null, void ended.delete(id)),
}

const app = express()
const told = [] // what the receiver answered
app.use('/backchannel-logout', (req, res, next) => {
  res.on('finish', () => told.push(res.statusCode))
  next()
})
app.use(expressOpenID.auth({
  issuerBaseURL: given.issuer, baseURL: given.app, clientID: given.client.client_id, clientSecret: given.client.client_secret,
  secret: 'a secret of the app, for its cookies', authRequired: false, idpLogout: true,
  authorizationParams: { response_type: 'code', scope: 'openid profile' },
  backchannelLogout: { store },
}))
app.get('/', (req, res) => res.json({ in: req.oidc.isAuthenticated(), sid: req.oidc.idTokenClaims?.sid }))
await new Promise((ready) => app.listen(given.port, '127.0.0.1', ready))

// Visitor is a browser at the app, and at the hosted pages when the app sends it there.
class Visitor {
  #cookies = new Map()

  constructor(user) {
    this.pages = new Agent(given.issuer, user)
  }

  async get(path) {
    const response = await fetch(new URL(path, given.app), {
      redirect: 'manual', headers: { cookie: [...this.#cookies].map((c) => c.join('=')).join('; ') },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
      if (value) this.#cookies.set(name, value)
      else this.#cookies.delete(name)
    }
    return response
  }

  async login() {
    const toIssuer = await this.get('/login')
    assert.equal(toIssuer.status, 302)
    const back = await this.pages.open(toIssuer.headers.get('location'))
    assert.equal(back.origin, given.app)
    assert.equal((await this.get(back)).status, 302)
    assert.equal((await this.state()).in, true)
    return this
  }

  async state() {
    return (await this.get('/')).json()
  }

  // out waits until the app has ended the session of this browser.
  async out() {
    for (let n = 0; n < 1000; n++) {
      if (!(await this.state()).in) return
      await new Promise((wait) => setTimeout(wait, 20))
    }
    throw new Error(`still logged in; the receiver answered ${told}, it knows ${[...ended.keys()]}`)
  }
}

const { ada, bob } = given.users
const bystander = await new Visitor(bob).login()

await step('logout of the browser at the hosted page', async () => {
  const browser = await new Visitor(ada).login()
  const sid = (await browser.state()).sid
  await browser.pages.open(new URL('/oauth2/logout', given.issuer)).catch(() => {}) // it ends at a page that has no form
  assert.deepEqual(browser.pages.shown, ['logout-confirm'])
  await browser.out()
  assert.ok(ended.has(`${given.issuer}|${sid}`))
})

await step('logout by the app', async () => {
  const browser = await new Visitor(ada).login()
  const other = await new Visitor(ada).login()
  const away = await browser.get('/logout')
  await browser.pages.open(away.headers.get('location'))
  await browser.out()
  await other.out() // the library ends every session of the sub
})

await step('the operator ends all sessions', async () => {
  const browser = await new Visitor(ada).login()
  await signet('users', 'revoke-sessions', ada.email)
  await browser.out()
})

await step('the operator sets another password', async () => {
  const browser = await new Visitor(ada).login()
  await run('sh', ['-c', 'printf %s "$0" | "$1" users set-password "$2" --password-file - --config "$3"', 'another staple battery horse',
    given.signet, ada.email, given.config])
  await browser.out()
  ada.password = 'another staple battery horse'
})

await step('the operator disables the user', async () => {
  const browser = await new Visitor(ada).login()
  await signet('users', 'disable', ada.email)
  await browser.out()
})

await step('nobody else is logged out', async () => {
  assert.equal((await bystander.state()).in, true)
  assert.ok(told.length >= 6 && told.every((status) => status === 204), `the receiver answered ${told}`)
})

process.exit(0)
