// Training runs made from formulas, for pages to show: no network was trained.
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

export function writeTrainingRun(directory, {name, decay, withPrior}) {
  const steps = 1200;
  const metrics = [], curve = [];
  for (let step = 0; step < steps; ++step) {
    const seconds = 0.0012 * (step + 1);
    const loss = 2.3 * Math.exp(-decay * step) * (1 + 0.1 * Math.sin(7 * step)) + 0.05;
    const norm = 0.8 * Math.exp(-decay * step / 2);
    metrics.push({
      step, epoch: step / 938, seconds, loss, rate: 1e-3 * (1 - step / steps), step_ms: 1.2 + 0.1 * Math.cos(step),
      slope_rms: norm, gradient_norm: norm, gradient_norm_low: 0.8 * norm, gradient_norm_high: 1.3 * norm,
      snr: 0.1 / (1 + 0.01 * step),
      ...(withPrior ? {residual: {h1: 0.2 + 0.8 * Math.exp(-step / 300), h2: 0.3 + 0.7 * Math.exp(-step / 500)}} : {}),
    });
    if (step % 200 === 199) {
      const error = 0.9 * Math.exp(-decay * step) + 0.016;
      curve.push({step: step + 1, epoch: (step + 1) / 938, seconds, train_loss: loss, test_loss: 1.1 * loss, test_error: error});
    }
  }
  const last = curve.at(-1);
  mkdirSync(directory, {recursive: true});
  writeFileSync(join(directory, 'metrics.jsonl'), metrics.map((line) => JSON.stringify(line) + '\n').join(''));
  writeFileSync(join(directory, 'results.json'), JSON.stringify({
    schema: 'slopewise.train/1', version: '0.1.0', command: `slopewise train ${name}`, machine: {processor: 'none: made from formulas'},
    seed: 1, config: {batch: 64}, name, method: withPrior ? 'local' : 'forward', parameters: 1863690, status: 'finished',
    epochs: 1.28, steps, seconds: last.seconds, train_loss: last.train_loss, test_loss: last.test_loss,
    test_error: last.test_error, forwards_per_step: withPrior ? 4.5 : 1.6, seconds_to_97: null, seconds_to_98: null, peak_bytes: 12345678, curve,
  }));
}

// A run in which everything that stands on a logarithmic axis was 0, negative or missing at times. `lines` of steps; a run
// that was cut off has none, or one.
export function writeOddRun(directory, {name, lines = 40}) {
  const odd = (step, value) => [value, 0, -value, null][step % 4];
  const metrics = Array.from({length: lines}, (_, step) => ({
    step, epoch: 0, seconds: 0.01 * (step + 1), loss: odd(step, 2 / (step + 1)), rate: 1e-3, step_ms: 1,
    slope_rms: odd(step, 1 / (step + 1)), gradient_norm: 1, gradient_norm_low: 0, gradient_norm_high: 2,
    snr: odd(step, 1e-4 / (step + 1)), residual: {h1: odd(step, 0.5), h2: 0.5},
  }));
  const curve = metrics.filter(({step}) => step % 5 === 0).map(({step, seconds}) => ({
    step: step + 1, epoch: 0, seconds, train_loss: 1, test_loss: odd(step, 1), test_error: Math.max(0, 0.1 - 0.01 * step),
  }));
  mkdirSync(directory, {recursive: true});
  writeFileSync(join(directory, 'metrics.jsonl'), metrics.map((line) => JSON.stringify(line) + '\n').join(''));
  writeFileSync(join(directory, 'results.json'), JSON.stringify({
    schema: 'slopewise.train/1', version: '0.1.0', command: `slopewise train ${name}`, seed: 1,
    config: {batch: 64, 'a rather long option': name}, name, method: 'forward', parameters: 100, status: 'finished', steps: lines,
    seconds: 1, train_loss: 0, test_loss: 0, test_error: 0, forwards_per_step: 2, curve,
  }));
}

// The study with every number of every series on a logarithmic axis turned: by `change` of value, row and column's name.
export function changedStudy(results, change) {
  return {...results, claims: results.claims.map((claim) => ({...claim, series: claim.series.map((series) => ({...series,
    rows: series.rows.map((row, r) => row.map((value, c) => change(value, r, series.columns[c])))}))}))};
}
