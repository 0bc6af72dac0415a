// Launches `true` through sandbox-runtime when it is told to, and says how many seconds that took.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const told = JSON.parse((await lines.next()).value)
const { SandboxManager } = await import(`${told.srt}/dist/index.js`)
const ballast = Buffer.alloc(told.resident, 1)
await SandboxManager.initialize({
  network: { allowedDomains: [], deniedDomains: [] },
  filesystem: { denyRead: [], allowWrite: [told.work], denyWrite: [] },
})
process.chdir(told.work)

async function launch() {
  const command = await SandboxManager.wrapWithSandbox('/usr/bin/true')
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.resume()
  child.stderr.on('data', data => (said += data))
  const code = await new Promise(resolve => child.on('close', resolve))
  if (code !== 0) throw new Error(`${code}: ${said}`)
}

// so many at a time, as threads elsewhere; what ticks is the one thread there is
async function many(threads, each) {
  let longest = 0
  let last = performance.now()
  const ticking = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last - 1)
    last = now
  }, 1)
  const start = performance.now()
  const one = async () => {
    for (let n = 0; n < each; n++) await launch()
  }
  await Promise.all(Array.from({ length: threads }, one))
  const took = performance.now() - start
  longest = Math.max(longest, performance.now() - last - 1)
  clearInterval(ticking)
  return `${took / 1e3} ${longest / 1e3}`
}

console.log(`ready ${ballast.length}`)
for (let next = await lines.next(); !next.done; next = await lines.next()) {
  if (next.value) {
    console.log(await many(...next.value.split(' ').map(Number)))
    continue
  }
  const start = performance.now()
  await launch()
  console.log((performance.now() - start) / 1e3)
}
await SandboxManager.reset()
process.exit(0)
