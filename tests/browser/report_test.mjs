// report.html in Chromium: every chart is drawn, nothing is fetched, nothing overflows, and its data are those of
// results.json. Screenshots are written beside this file.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';
import {pathToFileURL} from 'node:url';
import {chromium} from 'playwright-core';
import {changedStudy, writeOddRun, writeTrainingRun} from './sample_runs.mjs';

const directory = mkdtempSync(join(tmpdir(), 'slopewise-browser-'));
const study = join(directory, 'study');
const pages = {study: join(study, 'report.html'), training: join(directory, 'training.html')};
// Pages whose data are hostile to logarithmic axes, or many.
const ten = Array.from({length: 10}, (_, i) => `activities, learned feedback, run ${i}`);
const odd = Object.fromEntries(['zeros', 'none positive', 'one point', 'ten runs', 'study of zeros', 'study of negatives', 'study of gaps',
  'study of one row']
  .map((name) => [name, join(directory, `${name}.html`)]));
const slopewise = (...options) => execFileSync(process.env.SLOPEWISE, options, {stdio: 'pipe'});
let browser;

before(async () => {
  slopewise('study', '--quick', '--hidden', '16', '--batch', '16', '--quiet', '--out', study);
  const runs = ['local', 'forward'].map((name) => join(directory, name));
  writeTrainingRun(runs[0], {name: 'local', decay: 0.004, withPrior: true});
  writeTrainingRun(runs[1], {name: 'forward', decay: 0.002, withPrior: false});
  slopewise('report', ...runs, '--out', pages.training, '--quiet');
  writeOddPages();
  mkdirSync('screenshots', {recursive: true});
  browser = await chromium.launch({executablePath: process.env.CHROMIUM, args: ['--no-sandbox']});
});

function writeOddPages() {
  const run = (name, write, options) => {
    const path = join(directory, name);
    write(path, {name, ...options});
    return path;
  };
  const report = (page, ...paths) => slopewise('report', ...paths, '--out', odd[page], '--quiet');
  report('zeros', run('odd', writeOddRun), run('even', writeTrainingRun, {decay: 0.004, withPrior: true}));
  report('one point', run('short', writeOddRun, {lines: 1}));
  report('ten runs', ...ten.map((name, i) => run(name, writeTrainingRun, {decay: 0.001 * (i + 1), withPrior: i % 3 === 0})),
    run('cut off', writeOddRun, {lines: 0}));
  const flat = run('flat', writeOddRun);
  const metrics = readFileSync(join(flat, 'metrics.jsonl'), 'utf8').replaceAll(/"(loss|snr|slope_rms)":[^,]+/g, '"$1":0');
  writeFileSync(join(flat, 'metrics.jsonl'), metrics);
  const results = JSON.parse(readFileSync(join(flat, 'results.json')));
  results.curve.forEach((point) => Object.assign(point, {test_loss: 0, test_error: 0}));
  writeFileSync(join(flat, 'results.json'), JSON.stringify(results));
  report('none positive', flat);

  const measured = JSON.parse(readFileSync(join(study, 'results.json')));
  const changed = (page, results) => {
    mkdirSync(join(directory, page));
    writeFileSync(join(directory, page, 'results.json'), JSON.stringify(results));
    report(page, join(directory, page));
  };
  changed('study of zeros', changedStudy(measured, (value, row) => row % 3 === 1 ? 0 : value));
  changed('study of negatives', changedStudy(measured, (value, row, column) =>
    ['threads', 'batch'].includes(column) ? value : row % 3 === 1 ? -value : row % 3 === 2 ? null : value));
  changed('study of gaps', changedStudy(measured, (value, row, column) => /^(backward|low|high)/.test(column) ? null : value));
  changed('study of one row', {...measured, claims: measured.claims.map((claim) => ({...claim,
    series: claim.series.map((series) => ({...series, rows: series.rows.slice(0, 1), ...(series.labels && {labels: series.labels.slice(0, 1)})}))}))});
}

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
  await page.goto(pathToFileURL(pages[name] ?? odd[name]).href);
  if (options.javaScriptEnabled !== false) await page.waitForFunction(() => document.documentElement.dataset.drawn);
  return {page, complaints};
}

// A page that tests only look at, drawn once.
const lookedAt = new Map();
const look = (name) => {
  if (!lookedAt.has(name)) lookedAt.set(name, open({after: () => {}}, name));
  return lookedAt.get(name);
};

async function download(page, action) {
  const [file] = await Promise.all([page.waitForEvent('download'), action()]);
  return {name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8')};
}

// What a chart shows: its marks of the data, not of axes, grids, legends or titles, and not empty; and where it stands.
const chartsOf = (page) => page.locator('figure.chart').evaluateAll((figures) => figures.map((figure) => {
  const {left, right, top, bottom} = figure.getBoundingClientRect();
  const marks = [...figure.querySelectorAll('.role-mark path[d], .role-mark line')].filter((mark) =>
    !mark.closest('[aria-hidden=true], .role-legend, .role-axis') && mark.getAttribute('d') !== '');
  const legend = [...figure.querySelectorAll('.role-legend-label text')];
  const view = figure.querySelector('.mark-group.role-frame .background').getBoundingClientRect();
  return {id: figure.id, marks: marks.length, left, right, top, bottom,
    drawing: figure.querySelector('svg').getBoundingClientRect().right, height: view.height,
    outside: marks.filter((mark) => {
      const box = mark.getBoundingClientRect();
      return !(box.bottom >= view.top - 10 && box.top <= view.bottom + 10);  // NaN coordinates too
    }).length,
    text: figure.querySelector('svg').textContent,
    legend: legend.map((label) => label.textContent),
    legendRight: Math.max(0, ...legend.map((label) => label.getBoundingClientRect().right)),
    feet: [...figure.querySelectorAll('.mark-symbol.role-mark path')].filter((mark) => mark.getAttribute('fill') === 'transparent').length};
}));

function assertLegible(charts, width) {
  for (const chart of charts) {
    assert.ok(chart.marks > 0, `${chart.id} has no marks`);
    assert.equal(chart.outside, 0, `${chart.id} has marks outside its frame`);
    assert.ok(chart.left >= 0 && chart.right <= width && chart.drawing <= chart.right + 1, `${chart.id} is too wide`);
    assert.ok(chart.legendRight <= chart.right + 1, `the legend of ${chart.id} is cut`);
    assert.ok(chart.legend.every((label) => !label.includes('…')), `${chart.id}: ${chart.legend}`);
    assert.doesNotMatch(chart.text, /\d[mkµn]\b|-\d|_|\|grad/, `${chart.id}: numbers or names as they are typed`);
    for (const other of charts) {
      assert.ok(other === chart || other.bottom <= chart.top || other.top >= chart.bottom || other.right <= chart.left ||
        other.left >= chart.right, `${chart.id} overlaps ${other.id}`);
    }
  }
}

for (const name of Object.keys(pages)) {
  for (const [colorScheme, width] of [['light', 1440], ['dark', 390]]) {
    test(`${name}, ${colorScheme}, ${width} pixels wide`, async (t) => {
      const start = performance.now();
      const {page, complaints} = await open(t, name, {colorScheme, viewport: {width, height: 900}});
      t.diagnostic(`drawn in ${Math.round(performance.now() - start)} ms`);
      const charts = await chartsOf(page);
      assert.ok(charts.length >= (name === 'study' ? 15 : 12), `${charts.length} charts`);
      assertLegible(charts, width);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      assert.deepEqual(complaints, []);
      await page.screenshot({path: `screenshots/${name}-${colorScheme}-${width}.png`, fullPage: true});
    });
  }
}

// The charts that have a logarithmic axis, by their specifications.
const logarithmic = (page) => page.locator('figure.chart').evaluateAll((figures) => figures
  .filter((figure) => figure.querySelector('.spec').textContent.includes('"type":"log"')).map(({id}) => id));

for (const name of Object.keys(odd)) {
  test(`data of ${name}`, async () => {
    const {page, complaints} = await look(name);
    const charts = await chartsOf(page);
    assert.ok(charts.length >= 5, `${charts.length} charts`);
    assertLegible(charts, 1440);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 1440);
    assert.deepEqual(complaints, []);
    await page.screenshot({path: `screenshots/${name.replaceAll(' ', '-')}.png`, fullPage: true});
  });
}

test('a mark without data leaves its title of the axis to the others', async () => {
  const {page} = await look('study of gaps');
  const cost = (await chartsOf(page)).find(({id}) => id === 'chart-backward-cost');
  assert.ok(cost.text.includes('× time of the loss'), cost.text);
  assert.ok(cost.legend.includes('slope, dense'), `${cost.legend}`);
});

test('ten runs on a narrow screen', async (t) => {
  const {page, complaints} = await open(t, 'ten runs', {viewport: {width: 390, height: 900}});
  assertLegible(await chartsOf(page), 390);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.deepEqual(complaints, []);
});

test('what is not above 0 is drawn at the foot of a logarithmic axis, and marked', async () => {
  for (const name of ['zeros', 'study of zeros', 'study of negatives']) {
    const {page} = await look(name);
    const ids = await logarithmic(page);
    assert.ok(ids.length >= 6, `${ids}`);
    for (const chart of await chartsOf(page)) {
      if (!ids.includes(chart.id)) continue;
      assert.ok(chart.feet > 0, `${name}: ${chart.id} marks nothing at its foot`);
      assert.ok(chart.legend.includes('0 or less: at the foot of the axis'), `${name}: ${chart.id}: ${chart.legend}`);
    }
  }
  const {page} = await look('training');
  assert.deepEqual((await chartsOf(page)).map(({feet}) => feet).filter((feet) => feet > 0), []);
});

test('a mark at the foot shows the value that was measured', async () => {
  const {page} = await look('zeros');
  const foot = page.locator('#chart-snr .mark-symbol.role-mark path[fill=transparent]').first();
  await foot.scrollIntoViewIfNeeded();
  await foot.hover({force: true});
  const tip = page.locator('#vg-tooltip-element.visible');
  await tip.waitFor();
  assert.match(await tip.innerText(), /SNR\s+(0|−\S+)/);
  assert.doesNotMatch(await tip.innerText(), /drawn/);
});

test('an axis on which nothing is above 0 is linear and says so', async () => {
  const {page} = await look('none positive');
  const charts = await chartsOf(page);
  for (const id of await logarithmic(page)) {
    assert.match(charts.find((chart) => chart.id === id).text, /linear: nothing is above 0/, id);
  }
});

test('ten runs have ten colours, the same in every chart', async () => {
  const {page} = await look('ten runs');
  const colours = await page.locator('figure.chart').evaluateAll((figures) => figures.map((figure) =>
    Object.fromEntries([...figure.querySelectorAll('.role-legend-entry')].flatMap((legend) => {
      const labels = [...legend.querySelectorAll('.role-legend-label text')].map((label) => label.textContent);
      const samples = [...legend.querySelectorAll('.role-legend-symbol path')].map((sample) => sample.getAttribute('stroke'));
      return labels.map((label, i) => [label, samples[i]]).filter(([label]) => / run \d$/.test(label));
    }))));
  const [first] = colours;
  assert.deepEqual(Object.keys(first), ten);
  assert.equal(new Set(Object.values(first)).size, ten.length);
  for (const chart of colours) {
    for (const [run, colour] of Object.entries(chart)) assert.equal(colour, first[run], run);
  }
});

test('dashes have samples in the legend', async () => {
  const {page} = await look('training');
  const samples = await page.locator('#chart-loss-over-steps .role-legend-symbol path').evaluateAll((paths) =>
    paths.map((path) => [path.getAttribute('stroke-dasharray'), path.getBoundingClientRect().width]));
  const dashed = samples.filter(([dash]) => dash && dash !== 'none');
  assert.ok(dashed.length >= 1, JSON.stringify(samples));
  assert.ok(dashed.every(([, width]) => width >= 15), JSON.stringify(samples));
});

test('tables show their last column', async (t) => {
  const {page} = await open(t, 'ten runs', {javaScriptEnabled: false});
  for (const width of [800, 1100, 1440]) {
    await page.setViewportSize({width, height: 900});
    const cell = page.locator('#runs tbody tr').first().locator('td').last();
    const {x, width: own} = await cell.boundingBox();
    assert.ok(x + own <= width, `${width}: ${x + own}`);
  }
});

test('the first screen answers the question and shows one figure', async () => {
  for (const [name, question, answer] of [['study', /too noisy/, /^(Yes|No|When|Undecided)\b/], ['training', /\?$/, /^(Yes|No|\d)/]]) {
    const {page} = await look(name);
    assert.match(await page.locator('h1').innerText(), question);
    assert.match(await page.locator('.answer').innerText(), answer);
    assert.match(await page.locator('.definition').innerText(), /^A forward gradient is/);
    const figure = await page.locator('header figure').boundingBox();
    assert.ok(figure.y + figure.height < 900, `${name}: ${figure.y + figure.height}`);
  }
});

test('every claim is judged', async (t) => {
  const {page} = await open(t, 'study', {javaScriptEnabled: false});
  const {claims} = JSON.parse(readFileSync(join(study, 'results.json')));
  const rows = page.locator('.claims tbody tr');
  assert.deepEqual(await rows.locator('.verdict').evaluateAll((marks) => marks.map((mark) => mark.classList[1])),
    claims.map(({verdict}) => verdict));
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
      const data = page.locator('details:has(table)').first();
      await data.locator('summary').click();
      assert.ok(await data.locator('td:visible').count() > 0);
      assert.deepEqual(complaints, []);
    });
  }
});

test('a report of twenty claims is under 3 MiB', () => {
  assert.ok(statSync(pages.study).size < 3 * 2 ** 20);
});
