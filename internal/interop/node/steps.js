// What a script goes through, in order; the test reads on standard output how far it came, and demands every step by name.
import { createInterface } from 'node:readline'
import { Agent } from './agent.js'

// The test says on standard input where the issuer is, who logs in, and which clients are registered.
export const given = JSON.parse((await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value)

export const browser = () => new Agent(given.issuer, given.user)

export async function step(name, act) {
  try {
    await act()
  } catch (err) {
    console.error(`${name}:`, err)
    process.exit(1)
  }
  console.log(name)
}
