// Opens every view of the page in Firefox over WebDriver BiDi and uses the main actions. Arguments: ADDRESS TOKEN FILE,
// where FILE has [{path, ready}] with expressions that are true when a view is shown. Prints a line for each fault, and
// ends with 1 when there is one.
import { readFileSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

const [address, token, file] = process.argv.slice(2);
const { helpers, views } = JSON.parse(readFileSync(file, 'utf8'));
const patience = 60_000;
const faults = [];
const browser = await puppeteer.launch({ browser: 'firefox', executablePath: process.env.FIREFOX || '/usr/bin/firefox-esr', headless: true,
  extraPrefsFirefox: { 'network.captive-portal-service.enabled': false, 'app.update.enabled': false } });
try {
  for (const screen of [{ width: 1280, height: 900, scheme: 'light' }, { width: 360, height: 740, scheme: 'dark' }]) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport({ width: screen.width, height: screen.height });
    page.on('pageerror', (err) => faults.push(`${page.url()}: script error: ${err.message}`));
    page.on('console', (m) => { if (m.type() === 'error') faults.push(`${page.url()}: console: ${m.text()}`); });
    const until = (expression) => page.waitForFunction(new Function(`${helpers}; return !!(${expression});`), { timeout: patience, polling: 100 });
    const run = (body) => page.evaluate(new Function(`${helpers}; ${body}`));
    for (const view of views) {
      await page.goto(address + view.path, { waitUntil: 'domcontentloaded', timeout: patience });
      try { await until(view.ready); } catch (err) { faults.push(`${view.path} at ${screen.width}: ${err.message}`); continue; }
      const over = await run('return document.documentElement.scrollWidth - innerWidth');
      if (over > 0) faults.push(`${view.path} at ${screen.width}: ${over} px too wide`);
      console.log(`ok: ${view.path} at ${screen.width}`);
    }
    await actions(page, until, run);
    await context.close();
  }
} finally {
  await browser.close();
}
for (const fault of faults) console.log(`fault: ${fault}`);
process.exit(faults.length ? 1 : 0);

// actions: links, Back, filters, the language, an order to a station and the priority of a job.
async function actions(page, until, run) {
  await page.goto(`${address}/#token=${token}`);
  await until("having('#sites', 'north').some(shown) && !location.hash");
  await page.click('.nav a[href="/flights"]');
  await until("all('#footage .row').length > 20 && location.pathname === '/flights'");
  await page.goBack();
  await until("having('#sites', 'north').some(shown) && location.pathname === '/'");
  await page.goto(`${address}/stations/dock-1`);
  await until("shown(document.querySelector('#orders [data-command=pause]'))");
  await page.click('#orders [data-command=pause]');
  await until("document.querySelector('#reply').textContent.includes('done pause')");
  await page.goto(`${address}/queue`);
  await until("all('#jobs select').length > 0");
  await page.select('#jobs select', '5');
  await until("all('#jobs select').some((e) => e.value === '5' && !e.disabled)");
  await page.goto(`${address}/settings`);
  await until("shown(document.querySelector('#appearance select'))");
  await page.select('#appearance select', 'es');
  await until("document.documentElement.lang === 'es' && having('.nav', 'Estaciones').some(shown)");
  await run("localStorage.clear(); document.cookie.split('; ').forEach((c) => { document.cookie = c.split('=')[0] + '=; Path=/; Max-Age=0'; })");
  console.log('ok: actions');
}
