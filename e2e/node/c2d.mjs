// Row 9: cloud-to-device messages, also those sent before the device came.
import { assert, Client, Mqtt, env, within, say, done } from './lib.mjs';

const client = Client.fromConnectionString(env('CS'), Mqtt);
await within(10, 'connection', client.open());
const count = Number(env('COUNT'));
const messages = [];
await within(20, `${count} messages`, new Promise((resolve) => {
  client.on('message', (m) => {
    messages.push(m);
    client.complete(m, () => { if (messages.length === count) resolve(); });
  });
}));
assert.deepEqual(messages.map((m) => m.data.toString()), Array.from({ length: count }, (_, i) => `{"n":${i}}`));
const properties = Object.fromEntries(messages[0].properties.propertyList.map((p) => [p.key, p.value]));
say('properties', { properties, messageId: messages[0].messageId });
await client.close();
done();
