// Rows 1, 2 and 14: who may connect, and what the others are told.
import { assert, Client, Mqtt, NoRetry, Message, env, within, done } from './lib.mjs';

async function open(connectionString) {
  const client = Client.fromConnectionString(connectionString, Mqtt);
  client.setRetryPolicy(new NoRetry());
  await within(10, 'answer to CONNECT', client.open());
  return client;
}

const client = await open(env('CS'));
await client.sendEvent(new Message('{"row":1}'));
await client.close();

for (const name of ['CS_WRONG_KEY', 'CS_UNKNOWN', 'CS_DISABLED']) {
  await assert.rejects(open(env(name)), (e) => e.name === 'UnauthorizedError', name);
}
const expired = Client.fromSharedAccessSignature(env('SAS_EXPIRED'), Mqtt);
expired.setRetryPolicy(new NoRetry());
await assert.rejects(within(10, 'answer to CONNECT', expired.open()), (e) => e.name === 'UnauthorizedError', 'expired');

// The string of a device in the cloud, with nothing but GatewayHostName added.
const redirected = await open(env('CS_CLOUD') + ';GatewayHostName=localhost');
await redirected.sendEvent(new Message('{"row":14}'));
await redirected.close();
done();
