// plots.js: charts over time, by uPlot: operations, fill, fragmentation, waits; a line for each
// heap. SPDX-License-Identifier: Apache-2.0
'use strict';
const POINTS = 600, SPAN_S = 300, LEAST_SPAN_S = 30, PLOT_HEIGHT = 170;
// Lines differ in lightness, too, for colour-blind readers; all can be seen on light and dark.
const LINE_COLORS = ['#3f8ad8', '#e08a1e', '#2a9d6e', '#c75fb0', '#8f7bf0', '#d9534f', '#8a9099',
                     '#b59b00'];
const PERCENT_STEPS = [1, 2, 5, 10, 20, 50, 100];
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const operations = heap => 'allocs_per_second' in heap
    ? heap.allocs_per_second + heap.frees_per_second : null;
const waits = heap => heap.probes
    ? 100 * Math.max(heap.probes_lock_awaited, heap.probes_space_awaited) / heap.probes : null;
const clockText = seconds => new Date(seconds * 1000).toLocaleTimeString('en-GB');
const PLOTS = [
    { title: 'Operations a second', value: operations, least: 10,
      text: value => compact.format(value) },
    { title: 'Fill', value: heap => heap.fill_percent, percent: true, least: 100 },
    { title: 'Fragmentation', value: heap => heap.fragmentation_percent, percent: true, least: 10 },
    { title: 'Waits', value: waits, percent: true, least: 10 }
];

// The samples of the last minutes: times, and for each heap and plot a value at each time, or null.
class History {
    constructor() {
        this.times = [];
        this.heaps = new Map(); // by label: an array for each plot
    }

    add(time, heaps) {
        this.times.push(time);
        const before = this.times.length - 1;
        for (const heap of heaps)
            if (!this.heaps.has(heap.label))
                this.heaps.set(heap.label, PLOTS.map(() => Array(before).fill(null)));
        const now = new Map(heaps.map(heap => [heap.label, heap]));
        for (const [label, plots] of this.heaps) {
            const heap = now.get(label);
            plots.forEach((values, i) => {
                const value = heap && heap.seen ? PLOTS[i].value(heap) : null;
                values.push(value === undefined ? null : value);
            });
        }
        this.trim();
    }

    // A heap that is gone for all of the time is forgotten.
    trim() {
        if (this.times.length <= POINTS)
            return;
        this.times.shift();
        for (const [label, plots] of this.heaps) {
            plots.forEach(values => values.shift());
            if (plots.every(values => values.every(value => value === null)))
                this.heaps.delete(label);
        }
    }
}

// Which heap has which colour. A heap keeps its colour as long as the history has it.
class Colors {
    constructor() {
        this.labels = Array(LINE_COLORS.length).fill(null);
    }

    update(history) {
        this.labels = this.labels.map(label => history.heaps.has(label) ? label : null);
        for (const label of history.heaps.keys()) {
            const free = this.labels.indexOf(null);
            if (free >= 0 && !this.labels.includes(label))
                this.labels[free] = label;
        }
    }

    // undefined: all colours are taken.
    of(label) {
        return LINE_COLORS[this.labels.indexOf(label)];
    }
}

// One chart. Its caption shows the line that is nearest to the pointer.
class Plot {
    constructor(plot, number) {
        this.plot = plot;
        this.number = number;
        this.readout = make('span', {});
        this.box = make('div', {});
        this.figure = make('figure', {},
            make('figcaption', {}, plot.title, this.readout), this.box);
        this.uplot = null;
    }

    text(value) {
        return this.plot.percent ? percentText(value) : this.plot.text(value);
    }

    axes() {
        const style = getComputedStyle(document.documentElement);
        const stroke = style.getPropertyValue('--text'), line = style.getPropertyValue('--line');
        const grid = { stroke: line, width: 0.5 };
        const axis = { stroke, grid, ticks: grid, font: '11px sans-serif' };
        return [{ ...axis, size: 30, space: 80, values: (_, marks) => marks.map(clockText) },
            { ...axis, size: 54, space: 28, incrs: this.plot.percent ? PERCENT_STEPS : undefined,
              values: (_, marks) => marks.map(mark => this.text(mark)) }];
    }

    // From 0 to a little more than the largest value; plot.least at least, 100 % at most.
    range(most) {
        const end = Math.max((most || 0) * 1.1, this.plot.least);
        return [0, this.plot.percent ? Math.min(end, 100) : end];
    }

    make(lines) {
        if (this.uplot)
            this.uplot.destroy();
        this.labels = lines.map(line => line.label);
        this.uplot = new uPlot({
            width: Math.max(this.box.clientWidth, 200),
            height: PLOT_HEIGHT,
            legend: { show: false },
            cursor: { sync: { key: 'time' }, drag: { x: false, y: false }, points: { size: 6 } },
            scales: { y: { range: (_, least, most) => this.range(most) } },
            axes: this.axes(),
            series: [{}, ...lines.map(line => ({
                label: line.label, stroke: line.color, width: 1.5, spanGaps: false,
                points: { show: false }
            }))],
            hooks: { setCursor: [uplot => this.read(uplot)] }
        }, null, this.box);
    }

    read(uplot) {
        const { idx, top } = uplot.cursor;
        let nearest = 0, least = Infinity;
        for (let i = 1; i < uplot.data.length && idx !== null; i++) {
            const value = uplot.data[i][idx];
            const distance = Math.abs(uplot.valToPos(value, 'y') - top);
            if (typeof value === 'number' && distance < least) {
                nearest = i;
                least = distance;
            }
        }
        this.readout.textContent = nearest === 0 ? '' :
            `${this.text(uplot.data[nearest][idx])} at ${clockText(uplot.data[0][idx])}: ` +
            this.labels[nearest - 1];
    }

    set(history, first) {
        const values = this.labels.map(label =>
            (history.heaps.get(label) || [])[this.number] || history.times.map(() => null));
        const last = history.times[history.times.length - 1];
        const begin = Math.max(history.times[0], last - SPAN_S);
        this.uplot.batch(() => {
            this.uplot.setData([history.times, ...values], first);
            this.uplot.setScale('x', { min: begin, max: Math.max(last, begin + LEAST_SPAN_S) });
        });
    }
}

class Plots {
    constructor(section) {
        this.plots = PLOTS.map((plot, i) => new Plot(plot, i));
        section.replaceChildren(...this.plots.map(plot => plot.figure));
        this.key = null;
        new ResizeObserver(() => this.resize()).observe(section);
        window.matchMedia('(prefers-color-scheme: dark)')
            .addEventListener('change', () => { this.key = null; });
    }

    resize() {
        for (const plot of this.plots.filter(each => each.uplot))
            plot.uplot.setSize({ width: plot.box.clientWidth, height: PLOT_HEIGHT });
    }

    // lines: label and color of each heap to draw.
    set(history, lines) {
        const key = JSON.stringify(lines);
        const first = key !== this.key;
        if (first)
            this.plots.forEach(plot => plot.make(lines));
        this.key = key;
        if (history.times.length)
            this.plots.forEach(plot => plot.set(history, first));
    }
}
