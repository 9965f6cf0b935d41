// Draws every figure of the page from the specification and the data it holds, and offers both for download.
'use strict';
(() => {
  const tables = JSON.parse(document.getElementById('data').textContent);
  const dark = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 45rem)');

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    return {paper: value('--paper'), ink: value('--ink'), line: value('--line'),
      marks: value('--marks').split(/\s*,\s*/)};
  }

  function dataNames(spec) {
    if (spec === null || typeof spec !== 'object') return [];
    const own = spec.data?.name ? [spec.data.name] : [];
    return [...new Set([...own, ...Object.values(spec).flatMap(dataNames)])];
  }

  const format = (value) => typeof value === 'number' ? formatNumber(value) : `${value}`;
  const titles = Object.assign({}, ...Object.values(tables).map(({columns, titles}) =>
    Object.fromEntries(columns.map((column, i) => [column, titles[i]]))));
  // What was measured: not what the drawing alone uses, nor what is missing.
  const shown = (row) => Object.entries(row).filter(([key, value]) => value !== null && !key.endsWith(kDrawn));
  const quote = (cell) => /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  const csv = ({columns, rows}) =>
    [columns, ...rows].map((row) => row.map((cell) => quote(cell === null ? '' : `${cell}`)).join(',')).join('\n') + '\n';

  function save(href, name) {
    const link = document.createElement('a');
    link.href = href;
    link.download = name;
    link.click();
  }

  function addLinks(figure, names, views) {
    const links = figure.querySelector('.links');
    for (const name of names) {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([csv(tables[name])], {type: 'text/csv'}));
      link.download = `${name.replaceAll(/[^\w-]+/g, '-')}.csv`;
      link.textContent = names.length > 1 ? `CSV of ${name.split('/').at(-1)}` : 'CSV';
      links.append(link);
    }
    for (const kind of ['PNG', 'SVG']) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = kind;
      button.addEventListener('click', async () => {
        const href = await views.get(figure)?.toImageURL(kind.toLowerCase(), 2);
        if (href) save(href, `${figure.dataset.name}.${kind.toLowerCase()}`);
      });
      links.append(button);
    }
  }

  const views = new Map();
  const figures = [...document.querySelectorAll('figure.chart')].map((figure) => {
    const spec = JSON.parse(figure.querySelector('.spec').textContent);
    const names = dataNames(spec);
    addLinks(figure, names, views);
    spec.autosize = {type: 'fit-x', contains: 'padding'};
    spec.datasets = Object.fromEntries(names.map((name) => [name, chartRows(tables[name])]));
    return {figure, spec};
  });

  let latest = 0;
  async function draw() {
    const own = ++latest;
    for (const {figure, spec} of figures) {
      await new Promise((go) => setTimeout(go));  // the page can be read and scrolled meanwhile
      if (own !== latest) return;  // a later change draws them all again
      views.get(figure)?.finalize();
      const drawing = figure.querySelector('.drawing');
      const prepared = await prepareChart(spec, theme(), drawing.clientWidth);
      if (own !== latest) return;
      const {view} = await vegaEmbed(drawing, prepared.spec, {
        actions: false, renderer: 'svg', config: prepared.config, tooltip: {formatTooltip: (value, sanitize) =>
          typeof value !== 'object' ? sanitize(format(value)) : '<table>' + shown(value).map(([key, each]) =>
            `<tr><td class="key">${sanitize(titles[key] ?? key)}</td><td>${sanitize(format(each))}</td></tr>`).join('') + '</table>'},
      });
      if (own !== latest) return view.finalize();
      views.set(figure, view);
    }
    document.documentElement.dataset.drawn = views.size;
  }

  for (const query of [dark, narrow]) query.addEventListener('change', draw);
  draw();
})();
