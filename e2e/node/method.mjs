// Row 8: direct methods: answered, unanswered, offline.
import { assert, Client, Mqtt, ServiceClient, env, within, done } from './lib.mjs';

const id = env('DEVICE');
const service = ServiceClient.fromConnectionString(env('SERVICE'));
const invoke = (methodName, payload, responseTimeoutInSeconds = 10) =>
  service.invokeDeviceMethod(id, { methodName, payload, responseTimeoutInSeconds, connectTimeoutInSeconds: 0 });

await assert.rejects(invoke('reboot', null), (e) => {
  assert.equal(e.response.statusCode, 404);
  assert.match(e.responseBody, /404103/);
  return true;
}, 'offline');

const client = Client.fromConnectionString(env('CS'), Mqtt);
await within(10, 'connection', client.open());
await new Promise((resolve) => {
  client.onDeviceMethod('reboot', (request, response) => response.send(201, { got: request.payload }));
  client.onDeviceMethod('sleep', () => {});
  client.onDeviceMethod('probe', (_, response) => response.send(200));
  const untilSubscribed = async () => {
    try { await invoke('probe', null); resolve(); } catch { setImmediate(untilSubscribed); }
  };
  untilSubscribed();
});
const { result } = await within(15, 'answer', invoke('reboot', { delay: 1.5, text: 'ü' }));
assert.deepEqual(result, { status: 201, payload: { got: { delay: 1.5, text: 'ü' } } });
await assert.rejects(invoke('sleep', {}, 5), (e) => e.name === 'GatewayTimeoutError' || /504/.test(String(e.response?.statusCode)), 'time-out');
await client.close();
done();
