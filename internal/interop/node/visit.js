// The browser that another program opens for a person: visit.js URL goes there, does what the pages ask for, and goes to where
// it is sent. The environment says who the person is.
import assert from 'node:assert/strict'
import { Agent } from './agent.js'

const back = await new Agent(process.env.PERSON_ISSUER, JSON.parse(process.env.PERSON)).open(process.argv[2])

// A program may open the browser first and listen for the answer then: a person is slower than that, and this one is not.
const arrive = async () => {
  for (let tries = 0; ; tries++) {
    try {
      return await fetch(back)
    } catch (error) {
      if (error.cause?.code !== 'ECONNREFUSED' || tries === 200) throw error
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}
const answer = await arrive()
assert.ok(answer.ok, await answer.text())
