// Row 3: a message with every property the SDK can set, over TCP and WebSocket (row 10).
import { Client, Mqtt, MqttWs, Message, env, within, say, done } from './lib.mjs';

const transports = { tcp: Mqtt, ws: MqttWs };
const client = Client.fromConnectionString(env('CS'), transports[env('TRANSPORT')]);
await within(15, 'connection', client.open());
const m = new Message(JSON.stringify({ temperature: 21.5, row: 3 }));
m.messageId = 'id 1/ä';
m.correlationId = 'c&1';
m.contentType = 'application/json';
m.contentEncoding = 'utf-8';
m.properties.add('a b', 'c&d=e');
m.properties.add('plus', '1+1');
m.properties.add('ünï', '√');
const result = await within(10, 'acknowledgement', client.sendEvent(m));
say('acknowledged', { result: result.constructor.name });
await within(30, 'acknowledgements', Promise.all(
  Array.from({ length: 200 }, (_, i) => client.sendEvent(new Message(JSON.stringify({ n: i }))))));
await client.close();
done();
