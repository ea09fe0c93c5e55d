// Row 5: a newer connection with the same id wins, the older is told.
import { Client, Mqtt, Message, NoRetry, env, next, within, done } from './lib.mjs';

const open = async () => {
  const c = Client.fromConnectionString(env('CS'), Mqtt);
  c.setRetryPolicy(new NoRetry());
  await within(10, 'connection', c.open());
  return c;
};
const first = await open();
const gone = within(10, 'disconnect of the first', next(first, 'disconnect'));
const second = await open();
await gone;
await within(10, 'acknowledgement', second.sendEvent(new Message('{"row":5}')));
await second.close();
done();
