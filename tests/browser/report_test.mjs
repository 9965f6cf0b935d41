// report.html in Chromium: every chart is drawn, nothing is fetched, nothing overflows, and its data are those of
// results.json. Screenshots are written beside this file.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';
import {pathToFileURL} from 'node:url';
import {chromium} from 'playwright-core';
import {writeTrainingRun} from './sample_runs.mjs';

const directory = mkdtempSync(join(tmpdir(), 'slopewise-browser-'));
const study = join(directory, 'study');
const pages = {study: join(study, 'report.html'), training: join(directory, 'training.html')};
const slopewise = (...options) => execFileSync(process.env.SLOPEWISE, options, {stdio: 'pipe'});
let browser;

before(async () => {
  slopewise('study', '--quick', '--hidden', '16', '--batch', '16', '--quiet', '--out', study);
  const runs = ['local', 'forward'].map((name) => join(directory, name));
  writeTrainingRun(runs[0], {name: 'local', decay: 0.004, withPrior: true});
  writeTrainingRun(runs[1], {name: 'forward', decay: 0.002, withPrior: false});
  slopewise('report', ...runs, '--out', pages.training, '--quiet');
  mkdirSync('screenshots', {recursive: true});
  browser = await chromium.launch({executablePath: process.env.CHROMIUM, args: ['--no-sandbox']});
});

after(async () => {
  await browser?.close();
  rmSync(directory, {recursive: true});
});

// Opens a page and draws it; what it complains of and what it asks a network for are in `complaints`.
async function open(t, name, options = {}) {
  const context = await browser.newContext({viewport: {width: 1440, height: 900}, ...options});
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => /^(file|data|blob):/.test(request.url()) || complaints.push(`request of ${request.url()}`));
  await page.goto(pathToFileURL(pages[name]).href);
  if (options.javaScriptEnabled !== false) await page.waitForFunction(() => document.documentElement.dataset.drawn);
  return {page, complaints};
}

async function download(page, action) {
  const [file] = await Promise.all([page.waitForEvent('download'), action()]);
  return {name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8')};
}

for (const name of Object.keys(pages)) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [390, 1440]) {
      test(`${name}, ${colorScheme}, ${width} pixels wide`, async (t) => {
        const start = performance.now();
        const {page, complaints} = await open(t, name, {colorScheme, viewport: {width, height: 900}});
        t.diagnostic(`drawn in ${Math.round(performance.now() - start)} ms`);

        const charts = await page.locator('figure.chart').evaluateAll((figures) => figures.map((figure) => {
          const {left, right, top, bottom} = figure.getBoundingClientRect();
          // Marks of the data: not of axes, grids, legends or titles, and not empty.
          const marks = [...figure.querySelectorAll('.role-mark path[d], .role-mark line')].filter((mark) =>
            !mark.closest('[aria-hidden=true], .role-legend, .role-axis') && mark.getAttribute('d') !== '');
          return {id: figure.id, marks: marks.length, left, right, top, bottom,
            drawing: figure.querySelector('svg').getBoundingClientRect().right};
        }));
        assert.ok(charts.length >= (name === 'study' ? 15 : 10), `${charts.length} charts`);
        for (const chart of charts) {
          assert.ok(chart.marks > 0, `${chart.id} has no marks`);
          assert.ok(chart.left >= 0 && chart.right <= width && chart.drawing <= chart.right + 1, `${chart.id} is too wide`);
          for (const other of charts) {
            assert.ok(other === chart || other.bottom <= chart.top || other.top >= chart.bottom || other.right <= chart.left ||
              other.left >= chart.right, `${chart.id} overlaps ${other.id}`);
          }
        }
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        assert.deepEqual(complaints, []);
        await page.screenshot({path: `screenshots/${name}-${colorScheme}-${width}.png`, fullPage: true});
      });
    }
  }
}

test('the first screen answers the question and judges every claim', async (t) => {
  const {page} = await open(t, 'study');
  const {claims} = JSON.parse(readFileSync(join(study, 'results.json')));
  assert.match(await page.locator('h1').innerText(), /too noisy/);
  assert.match(await page.locator('.answer').innerText(), /claims measured hold/);
  const rows = page.locator('.claims tbody tr');
  assert.deepEqual(await rows.locator('.verdict').evaluateAll((marks) => marks.map((mark) => mark.classList[1])),
    claims.map(({verdict}) => verdict));
  assert.ok((await rows.last().boundingBox()).y < 900);
});

test('hovering a point shows its values', async (t) => {
  const {page} = await open(t, 'study');
  const {claims} = JSON.parse(readFileSync(join(study, 'results.json')));
  const [first] = claims.find(({id}) => id === 'snr-scaling').series[0].rows;
  const point = page.locator('#chart-snr-scaling .mark-symbol.role-mark path').first();
  await point.scrollIntoViewIfNeeded();
  await point.hover();
  const tip = page.locator('#vg-tooltip-element.visible');
  await tip.waitFor();
  assert.match(await tip.innerText(), new RegExp(`n\\s+${first[0]}\\b`));
});

test('the CSV holds the numbers of results.json, bit for bit', async (t) => {
  const {page} = await open(t, 'study');
  const {claims} = JSON.parse(readFileSync(join(study, 'results.json')));
  for (const id of ['variance-law', 'snr-scaling', 'prior']) {
    const [{columns, rows}] = claims.find((claim) => claim.id === id).series;
    const {name, text} = await download(page, () => page.locator(`#chart-${id} a[download]`).first().click());
    assert.match(name, new RegExp(`^${id}-\\w+\\.csv$`));
    const [header, ...lines] = text.trimEnd().split('\n');
    assert.equal(header.replaceAll('"', ''), columns.join(','));
    assert.deepEqual(lines.map((line) => line.split(',').map(Number)), rows);
  }
});

test('a chart can be saved as SVG and PNG, by keyboard', async (t) => {
  const {page} = await open(t, 'training');
  for (const [kind, beginning] of [['SVG', '<svg'], ['PNG', '\ufffdPNG']]) {
    const {name, text} = await download(page, async () => {
      await page.locator('#chart-slopes').getByRole('button', {name: kind}).focus();
      await page.keyboard.press('Enter');
    });
    assert.equal(name, `slopes.${kind.toLowerCase()}`);
    assert.ok(text.startsWith(beginning), text.slice(0, 20));
  }
});

test('a change of theme redraws the charts', async (t) => {
  const {page} = await open(t, 'study', {colorScheme: 'light'});
  const background = () => page.locator('#chart-prior svg text').first().getAttribute('fill');
  const light = await background();
  await page.emulateMedia({colorScheme: 'dark'});
  await page.waitForFunction((before) => document.querySelector('#chart-prior svg text')?.getAttribute('fill') !== before, light);
  assert.notEqual(await background(), light);
});

describe('without JavaScript', () => {
  for (const name of Object.keys(pages)) {
    test(`the ${name} page shows tables in place of charts`, async (t) => {
      const {page, complaints} = await open(t, name, {javaScriptEnabled: false});
      assert.equal(await page.locator('figure:visible').count(), 0);
      assert.ok(await page.locator('table:visible').count() > 0);
      const data = page.locator('details').first();
      await data.locator('summary').click();
      assert.ok(await data.locator('td:visible').count() > 0);
      assert.deepEqual(complaints, []);
    });
  }
});

test('a report of twenty claims is under 3 MiB', () => {
  assert.ok(statSync(pages.study).size < 3 * 2 ** 20);
});
