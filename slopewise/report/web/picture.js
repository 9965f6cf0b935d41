// For node: writes the chart `spec` with its `tables` as SVG to standard output.
'use strict';
spec.width = 640;
spec.datasets = Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, chartRows(table)]));
const theme = {paper: '#ffffff', ink: '#1b1f24', line: '#d8dee4',
  marks: ['#0072b2', '#d55e00', '#009e73', '#aa4499', '#e69f00', '#56b4e9', '#7a5c00', '#666666', '#332288', '#cc3311']};
prepareChart(spec, theme, spec.width)
  .then(({spec, config}) => new vega.View(vega.parse(vegaLite.compile(spec, {config}).spec), {renderer: 'none'}).toSVG())
  .then((svg) => process.stdout.write(svg + '\n'));
