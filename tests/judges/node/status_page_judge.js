// The proxy's status page in a real browser: what a person would see, and what would go wrong.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');

const { chromium } = require('playwright-core');
const { version } = require('playwright-core/package.json');

const { feature, run } = require('./judge.js');

const { URL: address, CHROMIUM: executablePath, APPLICATION: application, PICTURES: pictures } = process.env;
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-default-apps', '--disable-extensions',
];

let browser;
const troubles = [];

/** Opens the page in a fresh profile and notes whatever goes wrong there. */
async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.on('console', (message) => troubles.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => troubles.push(`error: ${error}`));
  page.on('requestfailed', (request) => troubles.push(`failed: ${request.url()}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== new URL(address).origin) troubles.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`violates ${event.violatedDirective}`));
  });
  await page.goto(address);
  if (options?.javaScriptEnabled !== false) await page.waitForSelector('#live.good');
  return page;
}

/** Whether anything went wrong since the last time; what was under way at the end does not count. */
async function close(page, name) {
  const seen = troubles.splice(0);
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  await page.context().close();
  troubles.length = 0;
  assert.deepEqual(seen, []);
}

const texts = (page, selector) => page.locator(selector).allTextContents();
const number = async (page, selector) => Number(await page.locator(selector).textContent());

async function shows(page) {
  const applications = await texts(page, '#sessions tbody td:nth-child(3)');
  assert.ok(applications.includes(application), `${applications} lacks the hostile name`);
  assert.equal(applications.length, 3);
  assert.deepEqual(await texts(page, '#sessions tbody td:nth-child(4)'), ['7.4', '7.4', '7.4']);
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal((await texts(page, '#listeners tbody tr')).length, 1);
  assert.equal((await texts(page, '#tokens tbody tr')).length, 1);
  assert.match((await texts(page, '#tokens tbody td:nth-child(4)'))[0], /(h|min)/);
  assert.match((await texts(page, '#recent-errors tbody tr')).join(), /nowhere/);
  assert.equal(await page.locator('table th:not([scope="col"])').count(), 0);
}

feature('the page shows what happens', async () => {
  const page = await open();
  await shows(page);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('#live').getAttribute('aria-live'), 'polite');
  await close(page, 'light');
});

feature('numbers change while one looks', async () => {
  const page = await open();
  const before = await number(page, '#requests');
  await page.waitForFunction((was) => Number(document.getElementById('requests').textContent) > was, before);
  await page.waitForFunction(() => /^[1-9][\d.]*\/s$/.test(document.getElementById('requests-note').textContent));
  await close(page, 'live');
});

feature('the chart has points', async () => {
  const page = await open();
  for (const name of ['p50', 'p95', 'p99']) {
    assert.match(await page.locator(`#chart path.${name}`).getAttribute('d'), /^M[\d.]+ [\d.]+/);
    assert.match(await page.locator(`#${name}`).textContent(), /^[\d.]+ ms$/);
  }
  await close(page, 'chart');
});

feature('sessions are sorted by mouse and keyboard', async () => {
  const page = await open();
  const head = page.locator('#sessions th').nth(2);
  await head.getByRole('button').click();
  assert.equal(await head.getAttribute('aria-sort'), 'ascending');
  const up = await texts(page, '#sessions tbody td:nth-child(3)');
  await page.keyboard.press('Enter');
  assert.equal(await head.getAttribute('aria-sort'), 'descending');
  const down = await texts(page, '#sessions tbody td:nth-child(3)');
  assert.deepEqual(down, [...up].reverse());
  assert.notDeepEqual(up, down);
  await close(page, 'sorted');
});

feature('the dark has its own colours', async () => {
  const back = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await open({ colorScheme: 'light' });
  const bright = await back(light);
  await close(light, 'light');
  const page = await open({ colorScheme: 'dark' });
  assert.notEqual(await back(page), bright);
  await close(page, 'dark');
});

feature('a narrow screen needs no scrolling sideways', async () => {
  const page = await open({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  const [inner, wide] = await page.evaluate(() => [window.innerWidth, document.documentElement.scrollWidth]);
  assert.ok(inner <= 360 && wide <= 360, `${wide} in ${inner}`);
  await close(page, 'narrow');
});

feature('without JavaScript it is a snapshot', async () => {
  const page = await open({ javaScriptEnabled: false });
  await shows(page);
  assert.ok((await number(page, '#requests')) > 0);
  assert.equal(await page.locator('#live').textContent(), 'snapshot');
  assert.ok(await page.locator('noscript p').isVisible());
  await close(page, 'no-script');
});

feature('a page from elsewhere reads nothing', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto('data:text/html,<p>elsewhere');
  const read = await page.evaluate(async (url) => {
    try {
      return await (await fetch(`${url}status.json`)).text();
    } catch {
      return null;
    }
  }, address);
  assert.equal(read, null);
  await context.close();
});

(async () => {
  browser = await chromium.launch({ executablePath, args: ARGUMENTS });
  await run(version);
  await browser.close();
})();
