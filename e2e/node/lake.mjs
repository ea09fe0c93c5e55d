// Reads the Parquet files of the lake with hyparquet and prints what is in them,
// as python/lake.py does.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

const folder = process.argv[2]
const parsers = { timestampFromMicroseconds: us => us } // a Date has milliseconds only
const columns = {}, strings = {}, booleans = { on: 0 }, days = new Set()
let rows = 0, from, to

for (const entry of await readdir(folder, { recursive: true })) {
  if (!entry.startsWith('year=') || !entry.endsWith('.parquet')) continue
  days.add(entry.slice(0, entry.lastIndexOf('/')))
  const file = await asyncBufferFromFile(join(folder, entry))
  for (const row of await parquetReadObjects({ file, compressors, parsers })) {
    rows++
    const time = Number(row.time)
    if (from === undefined || time < from) from = time
    if (to === undefined || time > to) to = time
    for (const name of ['temperature', 'humidity', 'motor.speed']) number(name, row[name])
    for (const name of ['motor.state', 'label']) {
      if (row[name] != null) strings[name] = (strings[name] ?? 0) + 1
    }
    if (row.on === true) booleans.on++
  }
}
console.log(JSON.stringify({ rows, days: days.size, from, to, columns, strings, booleans }))

function number(name, value) {
  if (value == null) return
  const n = columns[name] ??= { count: 0, sum: 0, min: value, max: value }
  n.count++
  n.sum += value
  n.min = Math.min(n.min, value)
  n.max = Math.max(n.max, value)
}
