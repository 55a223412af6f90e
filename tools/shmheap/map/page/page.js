// page.js: draws the map of a heap and zooms into it. SPDX-License-Identifier: Apache-2.0
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const FIELDS = 6, LINES = 16, LEFT = 96, NO_OWNER = 1024, PITCH = 31;
const count = data.segments.length / FIELDS;
const at = (i, field) => data.segments[i * FIELDS + field];
const segment = i => ({
    i, offset: at(i, 0), size: at(i, 1), used: at(i, 2), blocks: at(i, 3), state: at(i, 4),
    owner: at(i, 5)
});
const element = id => document.getElementById(id);
const map = element('map'), strip = element('strip'), tip = element('tip'), by = element('by');
// By segment: where its percentages begin in data.mixes.
const mixAt = new Uint32Array(count);
for (let i = 0, next = 0; i < count; i++) {
    mixAt[i] = next;
    next += at(i, 3) > 1 ? data.states.length - 1 : 0;
}
let view = { begin: 0, len: data.len };

function sizeText(bytes) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    return (Number.isInteger(bytes) ? bytes : bytes.toFixed(1)) + ' ' + units[unit];
}

// An offset: whole bytes where lines are too short for a rounded size to tell them apart.
function offsetText(offset) {
    const bytes = Math.round(offset);
    return view.len < data.len / 8 ? bytes.toLocaleString('en') : sizeText(bytes);
}

// The first segment that ends beyond offset.
function firstAt(offset) {
    let low = 0, high = count;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (at(middle, 0) + at(middle, 1) > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// A canvas with one unit for each CSS pixel, cleared.
function prepare(canvas) {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    canvas.width = box.width * ratio;
    canvas.height = box.height * ratio;
    const pen = canvas.getContext('2d');
    pen.scale(ratio, ratio);
    pen.font = '12px sans-serif';
    pen.fillStyle = getComputedStyle(document.body).color;
    return { pen, width: box.width, height: box.height };
}

const lineLen = () => view.len / LINES;

// Calls draw(x, y, width) for each line that bytes [begin, end) touch.
function eachBox(begin, end, width, draw) {
    const len = lineLen();
    begin = Math.max(begin, view.begin) - view.begin;
    end = Math.min(end, view.begin + view.len) - view.begin;
    for (let line = Math.floor(begin / len); begin < end && line < LINES; line++) {
        const stop = Math.min(end, (line + 1) * len);
        const x = (begin - line * len) / len * width;
        draw(LEFT + x, line * PITCH, Math.max((stop - begin) / len * width, 0.8));
        begin = stop;
    }
}

// The states of a segment, one above the other; the height of each is its share of the bytes.
function drawStates(pen, item, x, y, width, height) {
    pen.fillStyle = data.state_colors[item.blocks > 1 ? 0 : item.state];
    pen.fillRect(x, y, width, height);
    if (item.blocks === 1)
        return;
    let bottom = y + height;
    for (let state = data.states.length - 1; state > 0; state--) {
        const part = height * data.mixes[mixAt[item.i] + state - 1] / 100;
        bottom = Math.max(bottom - part, y);
        pen.fillStyle = data.state_colors[state];
        pen.fillRect(x, bottom, width, part);
    }
}

function drawSegment(pen, item, width) {
    const mode = by.value, owner = data.owners[item.owner];
    const ownerColor = data.owner_colors[owner ? owner.color : 13];
    eachBox(item.offset, item.offset + item.size, width, (x, y, boxWidth) => {
        const inner = boxWidth - (boxWidth > 4 ? 0.5 : 0);
        if (mode !== 'owner')
            drawStates(pen, item, x, y, inner, mode === 'both' ? 17 : 26);
        pen.fillStyle = ownerColor;
        if (mode !== 'state')
            pen.fillRect(x, y + (mode === 'both' ? 17 : 0), inner, mode === 'both' ? 9 : 26);
    });
}

// Names in the boxes that have room for them.
function drawNames(pen, width) {
    pen.fillStyle = '#fff';
    for (const name of data.names) {
        const item = segment(firstAt(name.offset));
        const room = item.size / lineLen() * width;
        if (item.blocks !== 1 || room < 30)
            continue;
        let drawn = false;
        eachBox(item.offset, item.offset + item.size, width, (x, y, boxWidth) => {
            if (drawn || boxWidth < 30)
                return;
            pen.save();
            pen.beginPath();
            pen.rect(x, y, boxWidth - 4, 17);
            pen.clip();
            pen.fillText(name.name, x + 4, y + 13);
            pen.restore();
            drawn = true;
        });
    }
}

function drawMap() {
    const { pen, width } = prepare(map), lineWidth = width - LEFT;
    pen.textAlign = 'right';
    for (let line = 0; line < LINES; line++)
        pen.fillText(offsetText(view.begin + line * lineLen()), LEFT - 8, line * PITCH + 16);
    pen.textAlign = 'left';
    const first = firstAt(view.begin);
    // Free ones first: a used one that is widened to be seen lies above its free neighbours.
    for (const used of [false, true])
        for (let i = first; i < count && at(i, 0) < view.begin + view.len; i++)
            if ((at(i, 2) > 0) === used)
                drawSegment(pen, segment(i), lineWidth);
    drawNames(pen, lineWidth);
    const boxes = `; small blocks share boxes of ${sizeText(data.cell_len)}`;
    const cell = data.cell_len > 1 ? boxes : '';
    element('range').textContent = `${offsetText(view.begin)} to ` +
        `${offsetText(view.begin + view.len)}; a line is ` +
        `${sizeText(Math.round(lineLen()))}${cell}`;
}

function drawStrip() {
    const { pen, width, height } = prepare(strip), lineWidth = width - LEFT;
    pen.fillStyle = data.state_colors[0];
    pen.fillRect(LEFT, 0, lineWidth, height);
    const scale = lineWidth / data.len;
    for (let i = 0; i < count; i++) {
        if (at(i, 2) === 0)
            continue;
        pen.globalAlpha = Math.max(0.2, at(i, 2) / at(i, 1));
        pen.fillStyle = data.state_colors[at(i, 4)];
        pen.fillRect(LEFT + at(i, 0) * scale, 0, Math.max(at(i, 1) * scale, 0.5), height);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = '#e00';
    pen.lineWidth = 2;
    pen.strokeRect(LEFT + view.begin * scale + 1, 1, Math.max(view.len * scale - 2, 2), height - 2);
}

function draw() {
    drawMap();
    drawStrip();
}

function show(begin, len) {
    view.len = Math.min(Math.max(len, 16 * LINES), data.len);
    view.begin = Math.min(Math.max(begin, 0), data.len - view.len);
    tip.hidden = true;
    requestAnimationFrame(draw);
}

// Zooms so that offset stays where it is.
function zoom(offset, factor) {
    const len = Math.min(Math.max(view.len * factor, 16 * LINES), data.len);
    show(offset - (offset - view.begin) * len / view.len, len);
}

// The offset under the pointer, or -1.
function offsetAt(event) {
    const box = map.getBoundingClientRect(), x = event.clientX - box.left - LEFT;
    const line = Math.floor((event.clientY - box.top) / PITCH);
    if (x < 0 || line < 0 || line >= LINES)
        return -1;
    return view.begin + (line + x / (box.width - LEFT)) * lineLen();
}

function namesIn(item) {
    return data.names.filter(name => name.offset >= item.offset &&
        name.offset < item.offset + item.size);
}

function tipText(item) {
    const owner = data.owners[item.owner], names = namesIn(item);
    const what = item.blocks === 1 ? `${data.states[item.state]}, ${item.size} bytes`
        : `${item.blocks} blocks, ${sizeText(item.used)} of ${sizeText(item.size)} in use, ` +
        `mostly ${data.states[item.state]}`;
    const lines = [`offset ${item.offset}: ${what}`];
    if (owner && item.owner !== NO_OWNER)
        lines.push(owner.text);
    for (const name of names.slice(0, 8))
        lines.push(`${name.name}: ${name.len} bytes, ${name.users} users` +
            (name.kept ? ', kept' : ''));
    if (names.length > 8)
        lines.push(`and ${names.length - 8} more names`);
    return lines.join('\n');
}

function showTip(event) {
    const offset = offsetAt(event), i = offset < 0 ? count : firstAt(offset);
    tip.hidden = i >= count || at(i, 0) > offset;
    if (tip.hidden)
        return;
    tip.textContent = tipText(segment(i));
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(left, 0)}px`;
    tip.style.top = `${event.clientY + 18}px`;
}

let drag = null;
map.addEventListener('wheel', event => {
    const offset = offsetAt(event);
    event.preventDefault();
    if (offset >= 0)
        zoom(offset, event.deltaY < 0 ? 0.7 : 1 / 0.7);
}, { passive: false });
map.addEventListener('pointerdown', event => {
    drag = { x: event.clientX, y: event.clientY, begin: view.begin };
    map.setPointerCapture(event.pointerId);
});
map.addEventListener('pointerup', () => { drag = null; });
map.addEventListener('pointermove', event => {
    if (!drag)
        return showTip(event);
    const width = map.getBoundingClientRect().width - LEFT;
    const moved = (event.clientX - drag.x) / width + Math.round((event.clientY - drag.y) / PITCH);
    return show(drag.begin - moved * lineLen(), view.len);
});
map.addEventListener('pointerleave', () => { tip.hidden = true; });
map.addEventListener('dblclick', event => {
    const offset = offsetAt(event), i = offset < 0 ? count : firstAt(offset);
    if (i < count)
        show(at(i, 0) - at(i, 1) / 2, at(i, 1) * 2);
});
strip.addEventListener('click', event => {
    const box = strip.getBoundingClientRect();
    const offset = (event.clientX - box.left - LEFT) / (box.width - LEFT) * data.len;
    show(offset - view.len / 2, view.len);
});

const middle = () => view.begin + view.len / 2;
const keys = {
    '+': () => zoom(middle(), 0.7),
    '=': () => zoom(middle(), 0.7),
    '-': () => zoom(middle(), 1 / 0.7),
    '0': () => show(0, data.len),
    ArrowLeft: () => show(view.begin - lineLen() / 4, view.len),
    ArrowRight: () => show(view.begin + lineLen() / 4, view.len),
    ArrowUp: () => show(view.begin - lineLen(), view.len),
    ArrowDown: () => show(view.begin + lineLen(), view.len)
};
map.addEventListener('keydown', event => {
    if (!keys[event.key])
        return;
    event.preventDefault();
    keys[event.key]();
});
const showUsed = () => show(0, data.used_end * 16 / 15);
element('in').addEventListener('click', keys['+']);
element('out').addEventListener('click', keys['-']);
element('all').addEventListener('click', keys['0']);
element('used').addEventListener('click', showUsed);
by.addEventListener('change', draw);
window.addEventListener('resize', draw);
showUsed();
