// Row 19: queries over twins, page by page.
import { assert, Registry, env, done } from './lib.mjs';

const registry = Registry.fromConnectionString(env('SERVICE'));
const ids = Array.from({ length: 25 }, (_, i) => `node-query-${String(i).padStart(2, '0')}`);
await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
for (const [i, id] of ids.entries()) {
  await registry.updateTwin(id, { tags: { fleet: 'query', floor: i % 3 } }, '*');
}
const query = registry.createQuery("SELECT * FROM devices WHERE tags.fleet = 'query'", 10);
const pages = [];
while (query.hasMoreResults) pages.push((await query.nextAsTwin()).result.map((t) => t.deviceId));
assert.deepEqual(pages.flat().sort(), ids);
assert.deepEqual(pages.map((p) => p.length).filter((n) => n > 0), [10, 10, 5]);

const counted = registry.createQuery("SELECT tags.floor AS floor, COUNT() AS number FROM devices WHERE tags.fleet = 'query' GROUP BY tags.floor");
const rows = (await counted.next()).result.sort((a, b) => a.floor - b.floor);
assert.deepEqual(rows, [{ floor: 0, number: 9 }, { floor: 1, number: 8 }, { floor: 2, number: 8 }]);
await assert.rejects(registry.createQuery('SELECT * FORM devices').nextAsTwin(), (e) => e.name === 'ArgumentError');
await registry.removeDevices(ids.map((deviceId) => ({ deviceId })), true);
done();
