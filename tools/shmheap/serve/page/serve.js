// serve.js: fetches the figures after each interval and shows them: the list of heaps, or the heap
// that the address names (#NAME). SPDX-License-Identifier: Apache-2.0
'use strict';
const FETCH_MS = 20000;

function drawLink(heap, td) {
    if (!td.hasChildNodes())
        td.append(make('span', { class: 'swatch' }),
            make('a', { href: `#${encodeURIComponent(heap.label)}`, title: heap.label },
                heap.label));
    td.firstChild.style.background = colors.of(heap.label) || 'transparent';
}

function drawMeter(heap, td) {
    const percent = heap.seen ? heap.fill_percent : 0;
    if (!td.hasChildNodes())
        td.append(make('span', { class: 'meter' }, make('span', {})), '');
    td.firstChild.firstChild.style.width = `${Math.min(Math.max(percent, 0), 100)}%`;
    td.lastChild.data = heap.seen ? percentText(percent) : '\u2013';
}

const seen = text => heap => heap.seen ? text(heap) : '\u2013';
const rate = (text, key) => heap => key in heap ? text(heap[key]) : '\u2013';
const probed = (heap, part) => heap.probes ? 100 * part / heap.probes : 0;
const HEAP_COLUMNS = [
    { title: 'Heap', draw: drawLink, order: heap => heap.label },
    { title: 'Size', cell: seen(heap => sizeText(heap.len)), order: heap => heap.len || 0 },
    { title: 'Fill', hint: 'part of the bytes in use', order: heap => heap.fill_percent || 0,
      draw: drawMeter },
    { title: 'Fragm.', hint: 'part of the free bytes outside the largest object that fits',
      cell: seen(heap => percentText(heap.fragmentation_percent)),
      order: heap => heap.fragmentation_percent || 0 },
    { title: 'Ops/s', hint: 'allocs and frees a second',
      cell: heap => operations(heap) === null ? '\u2013' : countText(operations(heap)),
      order: heap => operations(heap) || 0 },
    { title: 'Allocs/s', kind: 'rank2', cell: rate(countText, 'allocs_per_second'),
      order: heap => heap.allocs_per_second || 0 },
    { title: 'Bytes/s', kind: 'rank2', hint: 'of allocs',
      cell: rate(bytes => sizeText(Math.round(bytes)), 'alloc_bytes_per_second'),
      order: heap => heap.alloc_bytes_per_second || 0 },
    { title: 'Proc.', hint: 'connections that can write', order: heap => heap.processes || 0,
      cell: seen(heap => countText(heap.processes)) },
    { title: 'Dead', kind: 'rank1', hint: 'connections of processes that died',
      cell: seen(heap => countText(heap.dead)), order: heap => heap.dead || 0 },
    { title: 'Recov.', kind: 'rank1', order: heap => heap.recoveries || 0,
      hint: 'how often a process died inside a call and the heap was repaired',
      cell: seen(heap => countText(heap.recoveries)) },
    { title: 'Locked', kind: 'rank1', hint: 'part of the probes in which a process held the lock',
      cell: seen(heap => percentText(probed(heap, heap.probes_lock_held))),
      order: heap => probed(heap, heap.probes_lock_held) },
    { title: 'Waits', hint: 'part of the probes in which a thread waited for the lock or for space',
      cell: seen(heap => percentText(waits(heap) || 0)), order: heap => waits(heap) || 0 }
];

const history_ = new History(), colors = new Colors(), plots = new Plots(element('plots'));
const heapTable = new Table(element('heaps'), HEAP_COLUMNS, heap => heap.label);
const view = new HeapView();
let interval = 1000, samples = -1, paused = false, heaps = [];

// A heap's name in the address; null: the list.
function labelOfAddress() {
    try {
        return decodeURIComponent(location.hash.slice(1)) || null;
    } catch {
        return null;
    }
}

function status(text, bad) {
    if (element('status').textContent !== text)
        element('status').textContent = text;
    element('status').classList.toggle('bad', bad);
}

async function read(path) {
    const response = await fetch(path, { signal: AbortSignal.timeout(FETCH_MS) });
    const value = await response.json();
    if (!response.ok)
        throw Object.assign(new Error(value.error), { answered: true });
    return value;
}

function drawPlots() {
    const label = view.label, all = [...history_.heaps.keys()];
    const drawn = label === null ? all.filter(each => colors.of(each)) : [label];
    plots.set(history_, drawn.map(each =>
        ({ label: each, color: colors.of(each) || LINE_COLORS[0] })));
    const left = label === null ? all.length - drawn.length : 0;
    element('unplotted').hidden = left === 0;
    element('unplotted').textContent =
        `The charts show ${drawn.length} heaps; open a heap to see the charts of another one.`;
}

function showHeaps(answer) {
    interval = answer.interval_ms;
    heaps = answer.heaps;
    if (answer.samples !== samples)
        history_.add(Date.now() / 1000, heaps);
    samples = answer.samples;
    colors.update(history_);
    heapTable.set(heaps);
    element('none').hidden = heaps.length > 0;
    drawPlots();
    const count = `${heaps.length} ${heaps.length === 1 ? 'heap' : 'heaps'}`;
    status(`${count}, every ${interval / 1000} s`, false);
}

async function readHeap() {
    const label = view.label;
    if (label === null)
        return;
    try {
        const heap = await read(`api/heap?name=${encodeURIComponent(label)}`);
        if (view.label === label)
            view.set(heap);
    } catch (error) {
        if (!error.answered)
            throw error;
        if (view.label === label)
            view.problem(error.message);
    }
}

async function update() {
    try {
        const answer = await read('api/heaps');
        if (paused) // meanwhile
            return;
        showHeaps(answer);
        await readHeap();
    } catch (error) {
        console.info(error);
        status('no answer from shmheap serve; was it ended?', true);
    }
}

async function run() {
    for (;;) {
        const start = performance.now();
        if (!paused)
            await update();
        const rest = interval - (performance.now() - start);
        await new Promise(resolve => setTimeout(resolve, Math.max(rest, 50)));
    }
}

function follow() {
    const label = labelOfAddress();
    if (label === view.label)
        return;
    view.open(label);
    element('list').hidden = label !== null;
    document.title = label === null ? 'shmheap' : `${label} \u2013 shmheap`;
    drawPlots();
    readHeap().catch(() => {}); // update reports it
}

// The arrow keys go from heap to heap; Enter opens one, Esc returns.
function press(event) {
    if (event.key === 'Escape' && view.label !== null)
        location.hash = '';
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || view.label !== null || event.ctrlKey || event.metaKey || event.altKey)
        return;
    const links = [...element('heaps').tBodies[0].querySelectorAll('a')];
    const at = links.indexOf(document.activeElement) + step;
    if (links.length === 0)
        return;
    event.preventDefault();
    links[Math.min(Math.max(at, 0), links.length - 1)].focus();
}

element('pause').addEventListener('click', () => {
    paused = !paused;
    element('pause').setAttribute('aria-pressed', String(paused));
    element('pause').textContent = paused ? 'Continue' : 'Pause';
    if (paused)
        status('paused', false);
});
document.addEventListener('keydown', press);
window.addEventListener('hashchange', follow);
follow();
run();
