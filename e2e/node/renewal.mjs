// Row 25: the SDK renews its token by reconnecting; no message is lost.
import { assert, Client, Mqtt, Message, env, within, say, done } from './lib.mjs';

const client = Client.fromConnectionString(env('CS'), Mqtt);
client.setOptions({ tokenRenewal: { tokenValidTimeInSeconds: 20, tokenRenewalMarginInSeconds: 17 } });
await within(10, 'connection', client.open());
const total = 120;
let renewed = 0;
client._transport.on?.('connected', () => renewed++);
for (let n = 0; n < total; n++) {
  await within(20, `acknowledgement of ${n}`, client.sendEvent(new Message(JSON.stringify({ n }))));
  await new Promise((resolve) => setTimeout(resolve, 60));
}
say('sent', { total });
await client.close();
assert.ok(total);
done();
