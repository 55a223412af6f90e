// heap.js: the view of one heap: figures, map, legend, histograms, processes, names.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const MOST_NAME_ROWS = 200;

const PROCESS_COLUMNS = [
    { title: 'Slot', cell: row => String(row.slot), order: row => row.slot },
    { title: 'Pid', cell: row => String(row.pid), order: row => row.pid },
    { title: 'Program', kind: 'text', cell: row => row.name, order: row => row.name },
    { title: 'State', kind: 'text', cell: row => row.alive ? 'alive' : 'dead',
      order: row => row.alive ? 'alive' : 'dead' },
    { title: 'Blocks', cell: row => countText(row.blocks), order: row => row.blocks },
    { title: 'Bytes', cell: row => sizeText(row.bytes), order: row => row.bytes },
    { title: 'Cached', kind: 'rank1', cell: row => sizeText(row.cached_bytes),
      order: row => row.cached_bytes },
    { title: 'Connected', kind: 'rank1', order: row => row.connected_ns,
      cell: row => row.connected_ns ? timeText(row.connected_ns) : '' }
];

const NAME_COLUMNS = [
    { title: 'Name', kind: 'text', cell: name => name.name, order: name => name.name },
    { title: 'Offset', cell: name => countText(name.offset), order: name => name.offset },
    { title: 'Bytes', cell: name => sizeText(name.len), order: name => name.len },
    { title: 'Users', cell: name => countText(name.users), order: name => name.users },
    { title: 'Kept', kind: 'text', cell: name => name.kept ? 'kept' : '' }
];

const timeText = ns => new Date(ns / 1e6).toLocaleString();

function unownedText(heap) {
    const parts = [[heap.left, 'of processes that disconnected'],
                   [heap.gone, 'of dead processes whose slots were reused'],
                   [heap.sent, 'sent and not yet received']];
    return parts.filter(([owned]) => owned.blocks).map(([owned, whose]) =>
        `${sizeText(owned.bytes)} in ${countText(owned.blocks)} ` +
        `${owned.blocks === 1 ? 'block' : 'blocks'} ${whose}`).join('; ');
}

class HeapView {
    constructor() {
        this.map = new HeapMap();
        this.processes = new Table(element('processes'), PROCESS_COLUMNS, process => process.slot);
        this.names = new Table(element('names'), NAME_COLUMNS, name => name.offset);
        this.label = null;
    }

    // Shows the heap of that label; null: none.
    open(label) {
        this.label = label;
        element('head').hidden = label === null;
        element('detail').hidden = true; // until there are data
        element('problem').hidden = true;
        element('summary').textContent = '';
        this.map.forget();
        if (label === null)
            return;
        element('name').textContent = label;
        element('name').focus({ preventScroll: true });
        window.scrollTo(0, 0);
    }

    problem(text) {
        element('problem').textContent = text;
        element('problem').hidden = false;
    }

    set(heap) {
        element('problem').hidden = true;
        element('summary').textContent = `${heap.summary}; made ${timeText(heap.created_ns)}`;
        element('detail').hidden = false;
        this.map.set(heap.map);
        drawCharts(heap.map);
        this.processes.set(heap.connected);
        element('unowned').textContent = unownedText(heap);
        const names = heap.map.names.slice(0, MOST_NAME_ROWS);
        const more = heap.map.names_in_heap > names.length ? `, ${names.length} are shown` : '';
        element('names-title').textContent = `Names (${countText(heap.map.names_in_heap)}${more})`;
        element('names').hidden = names.length === 0;
        this.names.set(names);
    }
}
