// How charts look: their colours, from those of the page or of a picture, and what all of them share. The marks' colours
// are those of Okabe and Ito, which colour-blind people can tell apart.
'use strict';
function chartTheme({paper, ink, line, marks}) {
  return {
    background: paper,
    customFormatTypes: true,
    numberFormatType: 'formatNumber',
    font: 'system-ui, sans-serif',
    title: {color: ink, fontSize: 14, anchor: 'start'},
    axis: {labelColor: ink, titleColor: ink, gridColor: line, domainColor: ink, tickColor: ink, labelFontSize: 12,
      titleFontSize: 12, titleFontWeight: 'normal', labelOverlap: 'greedy', tickCount: 5},
    legend: {orient: 'top', direction: 'horizontal', layout: {top: {direction: 'vertical'}},
      labelColor: ink, titleColor: ink, labelFontSize: 12, symbolBaseFillColor: ink, symbolBaseStrokeColor: ink},
    view: {stroke: line},
    point: {filled: true, size: 45, opacity: 0.9},
    rule: {color: ink},
    range: {category: marks},
  };
}

// Rows of named columns, as Vega-Lite takes them.
function chartRows({columns, rows}) {
  return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
}
