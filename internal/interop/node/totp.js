// Prints the codes that otplib shows at the given times (seconds since 1970) for each otpauth URI.
import { createInterface } from 'node:readline'
import { generateSync } from 'otplib'

const { uris, times } = JSON.parse((await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next()).value)

console.log(JSON.stringify(uris.map((uri) => {
  const q = new URL(uri).searchParams
  const key = {
    secret: q.get('secret'), algorithm: q.get('algorithm').toLowerCase(), digits: Number(q.get('digits')), period: Number(q.get('period')),
  }
  return times.map((epoch) => generateSync({ ...key, epoch }))
})))
