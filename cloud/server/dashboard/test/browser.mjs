// Drives the page in a headless Chromium. Arguments: address, token, a video, a
// file that is none, a larger video. Environment: CHROMIUM (path), SHOTS (folder for pictures).
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { chromium } from 'playwright-core';

const [, , address, token, video, broken, large] = process.argv;
const shots = process.env.SHOTS;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
const faults = [];

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (e) => faults.push(`page error: ${e.message}`));
  page.on('console', (m) => { if (/Content Security Policy/.test(m.text())) faults.push(m.text()); });
  return page;
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

const row = (page, name) => page.locator('#footage .row', { hasText: name });
const step = (text) => console.log(`- ${text}`);

try {
  const page = await open();
  await page.goto(`${address}/`);
  await page.getByText('No footage yet').waitFor();
  await page.locator('#health', { hasText: 'Live' }).waitFor();
  await shot(page, 'empty-1280');
  step('an empty list says what to do, and the page is live');

  assert.ok(await page.locator('#waiting').isHidden());
  const picture = await page.screenshot({ type: 'jpeg', quality: 60, clip: { x: 0, y: 0, width: 320, height: 180 } });
  const b64 = (s) => Buffer.from(s).toString('base64');
  const sent = await page.request.post(`${address}/files/`, { data: picture, headers: {
    'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream', 'Upload-Length': String(picture.length), Authorization: `Bearer ${token}`,
    'Upload-Metadata': `footage ${b64('seen-first')},kind ${b64('thumbnail')},filename ${b64('DJI_0042.MP4')}` } });
  assert.equal(sent.status(), 201);
  await page.reload();
  const first = page.locator('#waiting-list li', { hasText: 'DJI_0042.MP4' });
  await first.waitFor();
  await page.waitForFunction(() => document.querySelector('#waiting-list img')?.naturalWidth === 320);
  await shot(page, 'waiting-1280');
  step('a thumbnail shows what waits at its station');

  await page.goto(`${address}/#token=${token}`);
  await page.waitForFunction(() => !location.hash && localStorage.getItem('cattle-token'));
  step('the token is taken from the address and removed from it');

  await page.locator('#files').setInputFiles([video, broken]);
  const name = basename(video);
  await row(page, name).waitFor();
  await row(page, name).locator('[data-state=processing]').waitFor();
  const bar = row(page, name).locator('progress');
  const begun = await bar.evaluate((e) => e.value);
  await page.waitForFunction(([n, v]) => {
    const e = [...document.querySelectorAll('#footage .row')].find((r) => r.textContent.includes(n))?.querySelector('progress');
    return e && !e.hidden && e.value > v;
  }, [name, begun]);
  await shot(page, 'progress-1280');
  step('the upload is there and its progress moves without a reload');

  await page.locator('#uploads .up.failed').waitFor();
  assert.match(await page.locator('#uploads .up.failed').innerText(), /video/i);
  step('what is no video is refused with a reason');

  await row(page, name).locator('[data-state=done]').waitFor({ timeout: 60_000 });
  assert.match(await row(page, name).innerText(), /12[\s\S]*11 to 14/);
  step('the count and its interval are there');

  await row(page, name).locator('button').click();
  await page.locator('#detail .still').waitFor();
  await page.waitForFunction(() => document.querySelector('#detail .still')?.naturalWidth > 0);
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#detail').getByText('CSV', { exact: true }).click()]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  await shot(page, 'detail-1280');
  await page.keyboard.press('Escape');
  step('the detail shows the still and hands out the results');

  // The same file again is known by its content.
  await page.locator('#files').setInputFiles([video]);
  await row(page, 'Duplicate').waitFor();
  step('the same file again is shown as a duplicate');

  // A job that fails shows why and can be tried again from the keyboard.
  const failing = { name: 'fails-first.mp4', mimeType: 'video/mp4', buffer: Buffer.concat([Buffer.from('\0\0\0\x20ftypisom', 'latin1'), Buffer.alloc(5000, 7)]) };
  await page.locator('#files').setInputFiles([failing]);
  await row(page, 'fails-first').locator('[data-state=failed]').waitFor();
  assert.match(await row(page, 'fails-first').innerText(), /cut off/);
  await shot(page, 'list-1280');
  await row(page, 'fails-first').locator('button').focus();
  await page.keyboard.press('Enter');
  await page.locator('[data-retry]').waitFor();
  await shot(page, 'failed-1280');
  await page.locator('[data-retry]').focus();
  await page.keyboard.press('Enter');
  await page.locator('#detail .result').waitFor();
  await page.keyboard.press('Escape');
  step('a failed job tells why and counts after another try');

  for (const [width, colour] of [[360, 'light'], [360, 'dark'], [1280, 'dark']]) {
    const other = await open({ viewport: { width, height: 780 }, colorScheme: colour, isMobile: width < 500, hasTouch: width < 500 });
    await other.goto(`${address}/`);
    await row(other, name).first().waitFor();
    const over = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `the page is ${over} px too wide at ${width} px`);
    await shot(other, `list-${width}-${colour}`);
    await row(other, name).last().locator('button').click();
    await other.waitForFunction(() => document.querySelector('#detail .still')?.naturalWidth > 0);
    await shot(other, `detail-${width}-${colour}`);
    await other.context().close();
  }
  step('it fits a phone, light and dark');

  // Without a token it is asked for, once, and a wrong one is asked for again.
  const stranger = await open();
  await stranger.goto(`${address}/`);
  await row(stranger, name).first().waitFor();
  await stranger.locator('#files').setInputFiles([{ ...failing, name: 'asked.mp4', buffer: Buffer.concat([failing.buffer, Buffer.from('asked')]) }]);
  await stranger.locator('#token[open]').waitFor();
  await stranger.locator('#token-value').fill('cc_wrong');
  await stranger.keyboard.press('Enter');
  await stranger.getByText('does not know this token').waitFor();
  await shot(stranger, 'token-1280');
  await stranger.locator('#token-value').fill(token);
  await stranger.keyboard.press('Enter');
  await row(stranger, 'asked.mp4').locator('[data-state=done]').waitFor();
  step('a missing or wrong token is asked for');

  // An upload cut by a reload goes on where it stopped, once the file is chosen again.
  const link = await page.context().newCDPSession(page);
  await link.send('Network.enable');
  const speed = (upload) => link.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: upload });
  await speed(700_000);
  const starts = [];
  page.on('request', (r) => { if (r.method() === 'PATCH') starts.push(Number(r.headers()['upload-offset'])); });
  await page.locator('#files').setInputFiles([large]);
  const uploading = page.locator('#uploads .up', { hasText: basename(large) });
  await page.waitForFunction((n) => [...document.querySelectorAll('#uploads .up')].find((r) => r.textContent.includes(n))?.querySelector('progress').value > 0.15, basename(large));
  await uploading.getByText('Pause').click();
  await uploading.getByText('Paused').waitFor();
  await shot(page, 'paused-1280');
  await page.reload();
  await uploading.getByText('Not finished').waitFor();
  await speed(-1);
  await page.locator('#files').setInputFiles([large]);
  await row(page, basename(large)).locator('[data-state=done]').waitFor({ timeout: 60_000 });
  assert.equal(starts[0], 0);
  assert.ok(starts.at(-1) > 100_000, `the upload began at ${starts}`);
  step('an upload goes on after a reload where it stopped');

  // The server goes and comes back; whoever started this does both on these words.
  console.log('STOP');
  await page.getByText('No connection to the server').waitFor();
  await shot(page, 'lost-1280');
  console.log('START');
  await page.locator('#banner').waitFor({ state: 'hidden', timeout: 60_000 });
  await page.locator('#health', { hasText: 'Live' }).waitFor();
  await page.locator('#files').setInputFiles([{ ...failing, name: 'after.mp4', buffer: Buffer.concat([failing.buffer, Buffer.from('after')]) }]);
  await row(page, 'after.mp4').locator('[data-state=done]').waitFor({ timeout: 60_000 });
  step('a lost server is told, and the page goes on when it is back');

  assert.deepEqual(faults, []);
  console.log('OK');
} catch (err) {
  console.error(err);
  console.error(faults.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
