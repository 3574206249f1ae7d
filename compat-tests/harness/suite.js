// What a suite written in JavaScript needs: the same register of tests, bounds and output as suite.py.
'use strict'

const { randomBytes } = require('node:crypto')
const { spawn } = require('node:child_process')
const { isDeepStrictEqual, inspect } = require('node:util')

const BOOTSTRAP = process.env.BOOTSTRAP_SERVERS || 'localhost:9092'
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const ACKS = { 0: 0, 1: 1, all: -1 }
// The shortest session that Kafka's default group.min.session.timeout.ms allows.
const SESSION_MS = 6000

const tests = []
const children = []

const test = (name, run, seconds = 30) => tests.push({ name, run, seconds })
const fresh = label => `${label}-${randomBytes(5).toString('hex')}`
const short = value => inspect(value, { depth: 6, breakLength: Infinity }).slice(0, 240)

function eq(got, want, what = 'value') {
  if (!isDeepStrictEqual(got, want)) throw new Error(`${what}: got ${short(got)}, want ${short(want)}`)
}

function check(condition, what) {
  if (!condition) throw new Error(what)
}

// Asks until the answer is true. The wait between questions is a poll, never the result.
async function until(what, question, seconds = 20) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const answer = await question()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still not: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function raises(type, act, what = 'call') {
  let result
  try {
    result = await act()
  } catch (error) {
    const kinds = new Set()
    for (let e = error; e; e = e.cause || e.originalError) [e.type, e.name, ...(e.errors || []).map(x => x.type), ...(e.groups || []).map(x => x.error?.type)].forEach(k => kinds.add(k))
    check(kinds.has(type), `${what}: raised ${[...kinds]}: ${error.message}, want ${type}`)
    return error
  }
  throw new Error(`${what}: returned ${short(result)}, want ${type}`)
}

// Another process of this same suite, for members that are to be killed.
function child(...args) {
  const process_ = spawn(process.execPath, ['--no-warnings', process.argv[1], '--child', ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  process_.said = ''
  process_.stdout.on('data', data => { process_.said += data })
  children.push(process_)
  return process_
}

async function main(roles = {}, workers = 6) {
  const args = process.argv.slice(2)
  if (args[0] === '--child') return roles[args[1]](...args.slice(2))
  if (args[0] === '--list') return console.log(tests.map(t => t.name).join('\n'))
  const chosen = tests.filter(t => !args.length || args.some(a => t.name.includes(a))).sort((a, b) => b.seconds - a.seconds)
  let failed = 0
  const one = async ({ name, run, seconds }) => {
    const begun = Date.now()
    let timer
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`timed out after ${seconds} s`)), seconds * 1000) })
    try {
      await Promise.race([run(), late])
      console.log(`ok ${name}`)
    } catch (error) {
      failed += 1
      console.log(`not ok ${name}: ${`${error.name}: ${error.message}`.replace(/\s+/g, ' ').slice(0, 320)}`)
      if (process.env.COMPAT_TRACE) console.error(error)
    }
    clearTimeout(timer)
    if (process.env.COMPAT_TIMES) console.log(`# ${name} took ${((Date.now() - begun) / 1000).toFixed(1)} s`)
  }
  const queue = [...chosen]
  await Promise.all(Array.from({ length: workers }, async () => { while (queue.length) await one(queue.shift()) }))
  children.forEach(c => c.kill('SIGKILL'))
  process.exit(failed ? 1 : 0)
}

module.exports = { BOOTSTRAP, CODECS, ACKS, SESSION_MS, test, fresh, eq, check, until, raises, child, main }
