// Rows 18 and 20: the registry through azure-iothub, and its errors.
import { assert, Registry, env, done } from './lib.mjs';

const registry = Registry.fromConnectionString(env('SERVICE'));
const id = 'node-registry-1';
const body = async (promise) => (await promise).responseBody;

const made = await body(registry.create({ deviceId: id }));
assert.equal(made.deviceId, id);
assert.equal(made.status, 'enabled');
assert.equal(Buffer.from(made.authentication.symmetricKey.primaryKey, 'base64').length >= 16, true);
await assert.rejects(registry.create({ deviceId: id }), (e) => e.name === 'DeviceAlreadyExistsError');

made.status = 'disabled';
made.statusReason = 'broken';
const changed = await body(registry.update(made));
assert.equal(changed.status, 'disabled');
assert.equal(changed.authentication.symmetricKey.primaryKey, made.authentication.symmetricKey.primaryKey);
assert.equal((await body(registry.get(id))).statusReason, 'broken');

const bulk = await body(registry.addDevices([{ deviceId: 'node-bulk-1' }, { deviceId: 'node-bulk-2' }]));
assert.equal(bulk.isSuccessful, true);
const listed = (await body(registry.list())).map((d) => d.deviceId);
for (const d of [id, 'node-bulk-1', 'node-bulk-2']) assert.ok(listed.includes(d), d);
const again = await registry.addDevices([{ deviceId: 'node-bulk-1' }]).then(
  (r) => r.responseBody, (e) => JSON.parse(e.responseBody ?? 'null') ?? e);
assert.match(JSON.stringify(again), /DeviceAlreadyExists/);
await registry.removeDevices([{ deviceId: 'node-bulk-1' }, { deviceId: 'node-bulk-2' }], true);

await registry.addModule({ deviceId: id, moduleId: 'm1' });
assert.deepEqual((await body(registry.getModulesOnDevice(id))).map((m) => m.moduleId), ['m1']);
assert.equal((await body(registry.getModule(id, 'm1'))).moduleId, 'm1');
await registry.removeModule(id, 'm1');

const statistics = await body(registry.getRegistryStatistics());
assert.ok(statistics.totalDeviceCount >= 1 && statistics.disabledDeviceCount >= 1);

await registry.delete(id);
for (const call of ['get', 'getTwin', 'delete']) {
  await assert.rejects(registry[call](id), (e) => e.name === 'DeviceNotFoundError', call);
}
const stranger = Registry.fromConnectionString(env('SERVICE').replace(/SharedAccessKey=.*/, 'SharedAccessKey=' + Buffer.alloc(32).toString('base64')));
await assert.rejects(stranger.get(id), (e) => e.name === 'UnauthorizedError');
done();
