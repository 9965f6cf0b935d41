// What charts need beyond their specifications and before they are drawn: numbers as on the rest of the page, a place on
// logarithmic axes for what is not above 0, points for lines of a single one, and colours and legends that suffice.
'use strict';

// As format_number in format.cpp, with six digits: ticks may lie close together.
function formatNumber(x, digits = 6) {
  if (typeof x !== 'number' || Number.isNaN(x)) return 'nan';
  const sign = x < 0 ? '−' : '', size = Math.abs(x);
  if (size === Infinity) return sign + 'inf';
  const short = (value) => `${Number(value.toPrecision(digits))}`;
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) {
    const [mantissa, exponent] = Number(size.toPrecision(digits)).toExponential().split('e');
    return `${sign}${mantissa}e${exponent.replace('+', '').replace('-', '−')}`;
  }
  const millions = [[1e12, ' T'], [1e9, ' G'], [1e6, ' M']].find(([unit]) => Number(size.toPrecision(digits)) >= unit);
  if (millions) return sign + short(size / millions[0]) + millions[1];
  return (size === 0 ? '' : sign) + (size >= 10 ** digits ? size.toFixed(0) : short(size));
}
vega.expressionFunction('formatNumber', (value) => formatNumber(value));

const kDrawn = ' (drawn)';  // ends the names of columns that only the drawing uses
const kFoot = '0 or less: at the foot of the axis';

// The marks of a specification, each with the encoding that it draws by and the list of layers that it stands in.
function marksOf(spec, encoding = {}, layers = null) {
  const merged = {...encoding};
  for (const [channel, own] of Object.entries(spec.encoding ?? {})) {
    merged[channel] = own === null ? null : {...encoding[channel], ...own};
  }
  return spec.layer ? spec.layer.flatMap((part) => marksOf(part, merged, spec.layer))
                    : [{unit: spec, encoding: merged, layers}];
}

// A specification of one mark as one of layers, to which others may be added.
function layered(spec) {
  if (spec.layer) return spec;
  const {mark, encoding, ...rest} = spec;
  return {...rest, layer: [{mark, encoding}]};
}

// The rows of each mark of a specification, after its transforms, by the mark.
async function rowsOf(spec) {
  const named = structuredClone(spec);
  marksOf(named).forEach(({unit}, i) => { unit.name = `unit${i}`; });
  const compiled = vegaLite.compile({...named, width: 400}).spec;
  const view = await new vega.View(vega.parse(compiled), {renderer: 'none', logLevel: vega.Error}).runAsync();
  const rows = new Map(marksOf(spec).map(({unit}, i) => {
    const {from} = compiled.marks.find(({name}) => name.startsWith(`unit${i}_`));
    return [unit, view.data(from.facet?.data ?? from.data)];
  }));
  view.finalize();
  return rows;
}

const quoted = (field) => `datum[${JSON.stringify(field)}]`;
const fieldsOf = (encoding, axis) => [axis, axis + '2'].map((channel) => encoding[channel]?.field).filter(Boolean);
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const isShown = (row, encoding) => ['x', 'y'].flatMap((axis) => fieldsOf(encoding, axis))
  .every((field) => row[field] !== undefined && row[field] !== null && !Number.isNaN(row[field]));

// Takes out the marks of which no row has a place: their scales would have no extent, of which Vega warns. What they state
// of scales and titles holds for the others.
function dropEmpty(spec, rows) {
  const marks = marksOf(spec), isEmpty = ({unit, encoding}) => !rows.get(unit).some((row) => isShown(row, encoding));
  const kept = marks.filter((mark) => !isEmpty(mark));
  for (const {unit, encoding, layers} of marks.filter(isEmpty)) {
    layers.splice(layers.indexOf(unit), 1);
    for (const [channel, definition] of Object.entries(encoding)) {
      const stated = Object.entries(definition ?? {}).filter(([property]) => ['scale', 'title'].includes(property));
      for (const other of kept.filter(({encoding}) => encoding[channel])) {
        other.encoding[channel] = {...Object.fromEntries(stated), ...other.encoding[channel]};
        other.unit.encoding = {...other.unit.encoding, [channel]: other.encoding[channel]};
      }
    }
  }
}

// Draws what is not above 0 at the foot of a logarithmic axis, a stretch below the rest, and marks it. An axis on which
// nothing is above 0 is linear instead.
function placeAtFoot(spec, axis, rows) {
  const marks = marksOf(spec).filter(({encoding}) => encoding[axis]?.field);
  const scales = marksOf(spec).map(({encoding}) => encoding[axis]?.scale).filter((scale) => scale?.type === 'log');
  if (scales.length === 0) return;
  const valuesOf = ({unit, encoding}) =>
    rows.get(unit).flatMap((row) => fieldsOf(encoding, axis).map((field) => row[field])).filter(isNumber);
  const values = marks.flatMap(valuesOf);
  const above = values.filter((value) => value > 0);
  if (above.length === values.length) return;
  const setScale = (change) => {
    for (const {unit, encoding} of marks) {
      unit.encoding = {...unit.encoding, [axis]: {...encoding[axis], ...change(encoding[axis])}};
    }
  };
  if (above.length === 0) {
    setScale(({scale, title}) => ({...(scale && {scale: {zero: true}}), ...(title && {title: `${title}, linear: nothing is above 0`})}));
    return;
  }
  const least = above.reduce((a, b) => Math.min(a, b)), most = above.reduce((a, b) => Math.max(a, b));
  const stated = scales.find((scale) => scale.domain)?.domain[0];
  const foot = stated ?? least / Math.max(2, (most / least) ** 0.12);
  setScale(({scale}) => scale ? {scale: {...scale, nice: false, ...(stated === undefined && {domainMin: foot})}} : {});
  const isBelow = (field) => `isValid(${quoted(field)}) && ${quoted(field)} <= 0`;
  for (const {unit, encoding, layers} of marks.filter((mark) => valuesOf(mark).some((value) => value <= 0))) {
    const own = fieldsOf(encoding, axis);
    const below = rows.get(unit).filter((row) => isShown(row, encoding) && row[own[0]] <= 0);
    unit.transform = [...(unit.transform ?? []),
      ...own.map((field) => ({calculate: `${isBelow(field)} ? ${foot} : ${quoted(field)}`, as: field + kDrawn}))];
    for (const channel of [axis, axis + '2']) {
      if (!encoding[channel]?.field) continue;
      const drawn = {...unit.encoding?.[channel] ?? encoding[channel], field: encoding[channel].field + kDrawn};
      unit.encoding = {...unit.encoding, [channel]: drawn};
    }
    if (below.length === 0) continue;
    const {x2, y2, strokeDash, ...place} = {...encoding, ...unit.encoding};
    const marked = {
      ...(unit.data && {data: unit.data}),
      transform: [...unit.transform, {filter: isBelow(own[0])}],
      mark: {type: 'point', filled: false, size: 70, strokeWidth: 1.5, opacity: 1, tooltip: {content: 'data'}},
      encoding: {...place, shape: {datum: kFoot, scale: {range: ['triangle-down']}, title: null}},
    };
    layers.push(marked);
    rows.set(marked, below);
  }
}

// A line of one point shows nothing: that point gets a mark.
function pointSingles(spec, rows) {
  for (const {unit, encoding, layers} of marksOf(spec)) {
    const type = unit.mark?.type ?? unit.mark, [x, y] = [encoding.x?.field, encoding.y?.field];
    if (type !== 'line' || (unit.mark.point ?? 'transparent') !== 'transparent' || !x || !y) continue;
    const groups = [encoding.color?.field, encoding.strokeDash?.field].filter(Boolean);
    const shown = rows.get(unit).filter((row) => isNumber(row[y]) && isNumber(row[x]));
    const groupOf = (row) => groups.map((field) => row[field]).join('\n');
    const places = new Map();
    for (const row of shown) places.set(groupOf(row), (places.get(groupOf(row)) ?? new Set()).add(row[x]));
    const singles = shown.filter((row) => places.get(groupOf(row)).size === 1);
    if (singles.length === 0) continue;
    const points = {
      ...(unit.data && {data: unit.data}),
      transform: [...(unit.transform ?? []), {filter: `isValid(${quoted(y)}) && isValid(${quoted(x)})`},
        {joinaggregate: [{op: 'distinct', field: x, as: 'points of its line' + kDrawn}], groupby: groups},
        {filter: `${quoted('points of its line' + kDrawn)} === 1`}],
      mark: {type: 'point', filled: true, tooltip: {content: 'data'}},
      encoding: Object.fromEntries(Object.entries(encoding).filter(([channel]) => channel !== 'strokeDash')),
    };
    layers.push(points);
    rows.set(points, singles);
  }
}

// Tooltips of what was changed show the data, not the drawing.
function showData(spec) {
  for (const {unit} of marksOf(spec)) {
    if (unit.mark?.tooltip === true && unit.transform) unit.mark = {...unit.mark, tooltip: {content: 'data'}};
  }
}

// Every entry of the legends, by channel.
function legendEntries(spec, rows) {
  const entries = {color: new Set(), strokeDash: new Set(), shape: new Set()};
  for (const {unit, encoding} of marksOf(spec)) {
    for (const channel of Object.keys(entries)) {
      const {field, datum, scale} = encoding[channel] ?? {};
      if (datum !== undefined) entries[channel].add(`${datum}`);
      for (const value of scale?.domain ?? (field ? rows.get(unit).map((row) => row[field]) : [])) {
        if (value !== undefined && value !== null) entries[channel].add(`${value}`);
      }
    }
  }
  return entries;
}

// `count` colours: the palette, then the same darker and lighter, no two alike.
function enoughColours(palette, count, ink, paper) {
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const mix = (colour, other, share) => '#' + channels(colour)
    .map((value, i) => Math.round(value + share * (channels(other)[i] - value)).toString(16).padStart(2, '0')).join('');
  const rounds = Math.max(1, Math.ceil(count / palette.length) - 1);
  return Array.from({length: Math.max(count, palette.length)}, (_, i) => {
    const round = Math.floor(i / palette.length), colour = palette[i % palette.length];
    if (round === 0) return colour;
    return mix(colour, round % 2 === 1 ? ink : paper, 0.6 * Math.ceil(round / 2) / Math.ceil(rounds / 2));
  });
}

// The specification and configuration to draw a chart by, `width` pixels wide. `spec.datasets` holds the data; `theme` is
// that of the page.
async function prepareChart(original, theme, width) {
  const spec = layered(structuredClone(original));
  const rows = await rowsOf(spec);
  dropEmpty(spec, rows);
  pointSingles(spec, rows);
  for (const axis of ['x', 'y']) placeAtFoot(spec, axis, rows);
  showData(spec);
  const entries = legendEntries(spec, rows);
  const labels = Object.values(entries).flatMap((set) => [...set]);
  const widest = Math.max(0, ...labels.map((label) => label.length)) * 6.5 + 45;  // of 12 pixels, with its sample
  const config = chartTheme({...theme, marks: enoughColours(theme.marks, entries.color.size, theme.ink, theme.paper)});
  config.legend.columns = Math.max(1, Math.min(4, Math.floor(width / widest)));
  config.legend.labelLimit = width - 45;
  return {spec, config};
}
