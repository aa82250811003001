// Keeps the page up to date. Without this script everything works; the reader loads the page again.
'use strict'

const parser = new DOMParser()
document.getElementById('look').remove() // what is there without this script
const again = 700 // milliseconds between two looks

// draw takes over what has changed in the parts that are alive.
function draw(fresh) {
  if (fresh.body.dataset.session !== document.body.dataset.session) {
    location.reload()
    return
  }
  for (const part of document.querySelectorAll('[data-live]')) {
    const now = fresh.querySelector(`[data-live="${part.dataset.live}"]`)
    if (!now) part.remove()
    else if (now.innerHTML !== part.innerHTML) part.innerHTML = now.innerHTML
  }
  for (const step of document.querySelectorAll('.step')) {
    const now = fresh.getElementById(step.id)
    if (now) step.className = now.className
  }
  // Only new lines are added, so that a screen reader reads no line twice.
  const log = document.getElementById('events')
  const known = Number(log.firstElementChild?.dataset.n ?? 0)
  for (const line of [...fresh.querySelectorAll('#events li')].reverse()) {
    if (Number(line.dataset.n) > known) log.prepend(line)
  }
}

async function look() {
  const answer = await fetch('/', { headers: { Accept: 'text/html' } })
  if (answer.ok) draw(parser.parseFromString(await answer.text(), 'text/html'))
}

async function keepLooking() {
  try {
    if (!document.hidden) await look()
    document.body.classList.remove('over')
  } catch {
    document.body.classList.add('over') // the tour has ended
  }
  setTimeout(keepLooking, again)
}

// A button does its work without a new page, so that the reader stays where they are. What leads to
// another page, logging out, is left to the browser.
document.addEventListener('submit', async (event) => {
  const form = event.target
  if (form.getAttribute('action') === '/logout') return
  event.preventDefault()
  const button = form.querySelector('button')
  button.setAttribute('aria-disabled', 'true')
  try {
    const answer = await fetch(form.action, { method: 'POST' })
    if (answer.ok) draw(parser.parseFromString(await answer.text(), 'text/html'))
    else form.submit() // it shows what is wrong
  } catch {
    document.body.classList.add('over')
  }
  button.removeAttribute('aria-disabled')
})

setTimeout(keepLooking, again)
