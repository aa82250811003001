// A person in front of a browser that runs no JavaScript: it keeps cookies, follows redirects for as long as they stay with
// the issuer, and fills in the hosted pages by the ids of their elements.
export class Agent {
  #cookies = new Map()
  #origin
  #user

  // How the person takes a second step: fields of its page, such as a code.
  second = {}

  shown = [] // the pages on which something was done, since the last address that was opened

  constructor(issuer, user) {
    this.#origin = new URL(issuer).origin
    this.#user = user
  }

  // open goes to an address and does what the pages ask for, until the browser is sent to somebody else. That is answered: a
  // URL, or for a form that is posted a Request. approve: what to say on the consent page.
  async open(url, { approve = true } = {}) {
    this.shown = []
    let page = await this.#follow(url)
    while (typeof page === 'string') {
      if (page.includes('id="login-submit"')) {
        page = await this.#submit(page, 'login-submit', this.#user)
      } else if (page.includes('id="second-submit"')) {
        page = await this.#submit(page, 'second-submit', this.second)
      } else if (page.includes('id="consent-approve"')) {
        page = await this.#submit(page, approve ? 'consent-approve' : 'consent-deny', {})
      } else if (page.includes('id="logout-confirm"')) {
        page = await this.#submit(page, 'logout-confirm', {})
      } else {
        const { action, fields } = form(page, '') // form_post: a script sends it, which nobody else has to press
        return new Request(new URL(action), { method: 'POST', body: fields })
      }
    }
    return page
  }

  // answer opens verification_uri_complete of a device, and does what the pages ask for.
  async answer(url, { approve = true } = {}) {
    this.shown = []
    let page = await this.#submit(await this.#follow(url), 'device-submit', {})
    if (page.includes('id="login-submit"')) page = await this.#submit(page, 'login-submit', this.#user)
    return text(await this.#submit(page, approve ? 'device-approve' : 'device-deny', {}))
  }

  async #submit(page, button, values) {
    if (this.shown.includes(button)) throw new Error(`#${button} was shown again: ${text(page)}`)
    this.shown.push(button)
    const { action, fields } = form(page, button)
    for (const [name, value] of Object.entries(values)) {
      if (!page.includes(`<input id="${name}"`) && !inputs(page).includes(name)) throw new Error(`the page has no #${name}`)
      fields.set(name, value)
    }
    return this.#follow(new URL(action, this.#origin), fields)
  }

  async #follow(url, body) {
    for (let hops = 0; hops < 10; hops++) {
      const headers = { accept: 'text/html', cookie: [...this.#cookies].map((c) => c.join('=')).join('; ') }
      if (body) Object.assign(headers, { origin: this.#origin, 'sec-fetch-site': 'same-origin' })
      const response = await fetch(url, { method: body ? 'POST' : 'GET', headers, body, redirect: 'manual' })
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
        if (/max-age=0/i.test(line)) this.#cookies.delete(name)
        else this.#cookies.set(name, value)
      }
      const location = response.headers.get('location')
      if (!location) {
        const page = await response.text()
        if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${text(page)}`)
        return page
      }
      url = new URL(location, url)
      body = undefined
      if (url.origin !== this.#origin) return url
    }
    throw new Error(`redirected in circles at ${url}`)
  }
}

// form is where the form with that button goes, and what is in it; without a button, the first one.
function form(page, button) {
  for (const [, attributes, inside] of page.matchAll(/<form ([^>]*)>(.*?)<\/form>/gs)) {
    if (button && !inside.includes(`id="${button}"`)) continue
    const fields = new URLSearchParams()
    for (const [input] of inside.matchAll(/<input [^>]*>/g)) {
      fields.set(attribute(input, 'name'), attribute(input, 'value'))
    }
    const pressed = button && inside.match(new RegExp(`<button [^>]*id="${button}"[^>]*>`))[0]
    if (pressed && attribute(pressed, 'name')) fields.set(attribute(pressed, 'name'), attribute(pressed, 'value'))
    return { action: attribute(attributes, 'action'), fields }
  }
  throw new Error(`the page has no form with ${button || 'anything'}: ${text(page)}`)
}

const inputs = (page) => Array.from(page.matchAll(/<input [^>]*>/g), ([input]) => attribute(input, 'name'))

function attribute(tag, name) {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? ''
  const named = { amp: '&', lt: '<', gt: '>', quot: '"' }
  return value.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (_, decimal, hex, name) =>
    name ? named[name] : String.fromCodePoint(decimal ? Number(decimal) : parseInt(hex, 16)))
}

const text = (page) => page.replace(/<style.*?<\/style>|<[^>]*>/gs, ' ').replace(/\s+/g, ' ').trim()
