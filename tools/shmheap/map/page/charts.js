// charts.js: the legend of a map, and histograms of the sizes of blocks. Texts from the heap become
// text nodes only. SPDX-License-Identifier: Apache-2.0
'use strict';
const CHART = { width: 560, bars: 120, top: 24, bottom: 22, bar: 60 };
const OWNER_SUMS = ['other processes', 'processes that disconnected',
                    'dead processes, slots reused'];

function make(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes))
        made.setAttribute(key, value);
    made.append(...children);
    return made;
}

function makeSvg(name, attributes, ...children) {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes))
        made.setAttribute(key, value);
    made.append(...children);
    return made;
}

function legendEntry(color, text, { blocks, bytes }) {
    const swatch = make('span', { class: 'swatch' });
    swatch.style.background = color;
    return make('li', {}, swatch,
        ` ${text}: ${sizeText(bytes)} in ${blocks.toLocaleString('en')}`);
}

// The processes with a colour of their own, most bytes first, then the sums of the other ones.
function ownerEntries(data, colors) {
    const owners = Object.values(data.owners), own = COLOR_DIED - OWNER_SUMS.length + 1;
    const ranked = owners.filter(owner => owner.color < own).sort((a, b) => a.color - b.color);
    const entries = ranked.map(owner => legendEntry(colors[owner.color], owner.text, owner));
    OWNER_SUMS.forEach((text, i) => {
        const sum = { blocks: 0, bytes: 0 };
        for (const owner of owners.filter(other => other.color === own + i)) {
            sum.blocks += owner.blocks;
            sum.bytes += owner.bytes;
        }
        if (sum.blocks)
            entries.push(legendEntry(colors[own + i], text, sum));
    });
    return entries;
}

function makeLegend(data) {
    const colors = pageColors(data);
    const states = data.states.map((state, i) => [state, i]).filter(([state]) => state.blocks);
    return make('div', { class: 'legend' },
        make('h3', {}, 'States'),
        make('ul', {}, ...states.map(([state, i]) =>
            legendEntry(colors.states[i], state.text, state))),
        make('h3', {}, 'Owners'), make('ul', {}, ...ownerEntries(data, colors.owners)));
}

// One bar: blocks of 2^power bytes to twice as much.
function makeBar(left, width, most, power, blocks, bytes) {
    const base = CHART.top + CHART.bars, middle = left + width * 0.45;
    const height = blocks ? Math.max(CHART.bars * blocks / most, 1) : 0;
    const hint = `${blocks.toLocaleString('en')} blocks of ${sizeText(2 ** power)} to ` +
        `${sizeText(2 ** (power + 1) - 1)}: ${sizeText(bytes)}`;
    const parts = [makeSvg('title', {}, hint),
        makeSvg('rect', { class: 'area', x: left, y: 0, width, height: base }),
        makeSvg('rect', { class: 'bar', x: left, y: base - height, width: width * 0.9, height })];
    if (blocks)
        parts.push(makeSvg('text', { x: middle, y: base - height - 4 },
            width < 34 && blocks > 999 ? `${Math.round(blocks / 1000)}k`
                : blocks.toLocaleString('en')));
    return makeSvg('g', {}, ...parts);
}

function makeHistogram(title, { first, blocks, bytes }) {
    const base = CHART.top + CHART.bars, most = Math.max(...blocks, 1);
    const width = Math.min(CHART.width / Math.max(blocks.length, 1), CHART.bar);
    const svg = makeSvg('svg', {
        viewBox: `0 0 ${CHART.width} ${base + CHART.bottom}`, role: 'img', 'aria-label': title
    });
    blocks.forEach((count, i) => {
        svg.append(makeBar(i * width, width, most, first + i, count, bytes[i]));
        if (width >= 44 || i % 2 === 0)
            svg.append(makeSvg('text', { x: (i + 0.45) * width, y: base + 15 },
                sizeText(2 ** (first + i)).replace('iB', '')));
    });
    svg.append(makeSvg('path', { class: 'base', d: `M0 ${base}h${width * blocks.length}` }));
    return make('figure', { class: 'histogram' }, make('figcaption', {}, title),
        blocks.length ? svg : 'none');
}

// Replaces the contents of the element charts.
function drawCharts(data) {
    element('charts').replaceChildren(makeLegend(data),
        makeHistogram('Blocks in use, by size in bytes (least of each class)', data.used),
        makeHistogram('Holes (free blocks), by size in bytes', data.holes));
}
