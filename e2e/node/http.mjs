// Device HTTPS: one message, a batch, and a cloud-to-device message completed.
import http from 'azure-iot-device-http';
import { assert, Client, Message, env, within, done } from './lib.mjs';

const client = Client.fromConnectionString(env('CS'), http.Http);
await within(10, 'open', client.open());
const m = new Message(JSON.stringify({ temperature: 1, row: 17 }));
m.messageId = 'h1';
m.properties.add('k', 'v');
await within(10, 'answer', client.sendEvent(m));
await within(10, 'answer to the batch', client.sendEventBatch([new Message('{"b":1}'), new Message('{"b":2}')]));
const received = await within(20, 'cloud-to-device message', new Promise((resolve) => client.on('message', resolve)));
assert.equal(received.data.toString(), '{"n":0}');
await within(10, 'completion', client.complete(received));
done();
