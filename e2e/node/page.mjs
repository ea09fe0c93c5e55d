// The live page in a real browser: empty state, a device that appears and
// moves, pause, keyboard, a phone's width, both colour schemes, no error.
import { chromium } from 'playwright-core';
import { assert, env, say, done } from './lib.mjs';

const browser = await chromium.launch({ executablePath: env('CHROMIUM'), args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
const problems = [];
page.on('pageerror', (e) => problems.push(String(e)));
page.on('console', (m) => { if (m.type() === 'error') problems.push(m.text()); });
page.on('request', (r) => { if (!r.url().startsWith(env('URL'))) problems.push(`foreign request: ${r.url()}`); });

await page.goto(env('URL'));
await page.getByText('No device has sent anything yet.').waitFor();
say('empty');
const row = page.locator('#device-list li', { hasText: 'page-device' });
await row.waitFor({ timeout: 20_000 });
await row.getByText('21.5').first().waitFor();
await page.locator('#feed li', { hasText: 'page-device' }).first().waitFor();
say('shown');
await row.getByText('22.5').first().waitFor();

await page.locator('#pause').focus();
await page.keyboard.press('Enter');
assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');

for (const colorScheme of ['light', 'dark']) {
  await page.emulateMedia({ colorScheme });
  const [r, g, b] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g).map(Number);
  assert.equal(r + g + b < 384, colorScheme === 'dark', `${colorScheme}: background ${r},${g},${b}`);
}
await page.setViewportSize({ width: 360, height: 740 });
const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
assert.equal(overflow, 0, 'the page scrolls sideways on a phone');
assert.deepEqual(problems, []);
await browser.close();
done();
