// Row 6: get, report and desired, seen from the device and from the service.
import { assert, Client, Mqtt, Registry, env, next, within, done } from './lib.mjs';

const id = env('DEVICE');
const registry = Registry.fromConnectionString(env('SERVICE'));
const client = Client.fromConnectionString(env('CS'), Mqtt);
await within(10, 'connection', client.open());
const twin = await within(10, 'twin', client.getTwin());
assert.ok(Number.isInteger(twin.properties.desired.$version));

const report = (patch) => new Promise((resolve, reject) =>
  twin.properties.reported.update(patch, (e) => (e ? reject(e) : resolve())));
await within(10, 'answer to the report', report({ firmware: { version: '1.2.3' }, odd: 9007199254740991 / 2, gone: 1 }));
await within(10, 'answer to the report', report({ gone: null }));

const seen = (await registry.getTwin(id)).responseBody;
assert.deepEqual(seen.properties.reported.firmware, { version: '1.2.3' });
assert.equal('gone' in seen.properties.reported, false);
assert.ok(seen.properties.reported.$metadata.firmware.version.$lastUpdated);

const wanted = new Promise((resolve) => twin.on('properties.desired.interval', resolve));
const updated = (await registry.updateTwin(id, { properties: { desired: { interval: 5 } }, tags: { site: 'north' } }, seen.etag)).responseBody;
assert.equal(await within(10, 'desired property', wanted), 5);
assert.equal(updated.properties.desired.$version, seen.properties.desired.$version + 1);
assert.equal(updated.tags.site, 'north');

await assert.rejects(registry.updateTwin(id, { tags: { site: 'south' } }, seen.etag), (e) => e.name === 'InvalidEtagError', 'stale etag');
await assert.rejects(within(10, 'refusal', report({ 'a.b': 1 })), undefined, 'a dot in a name');
await client.close();
done();
