// The browser that another program opens for a person: visit.js URL goes there, does what the pages ask for, and goes to where
// it is sent. The environment says who the person is.
import assert from 'node:assert/strict'
import { Agent } from './agent.js'

const back = await new Agent(process.env.PERSON_ISSUER, JSON.parse(process.env.PERSON)).open(process.argv[2])
const answer = await fetch(back)
assert.ok(answer.ok, await answer.text())
