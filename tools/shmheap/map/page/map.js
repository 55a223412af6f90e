// map.js: the map of a heap on a canvas, and its zoom. The data are those of map/data.c.
// SPDX-License-Identifier: Apache-2.0
'use strict';
const FIELDS = 6, LINES = 16, LEFT = 96, PITCH = 31, LEAST_LEN = 16 * LINES;
const NO_OWNER = 1024, COLOR_DIED = 12, COLOR_NONE = 13;
const element = id => document.getElementById(id);

function sizeText(bytes) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    return (Number.isInteger(bytes) ? bytes : bytes.toFixed(1)) + ' ' + units[unit];
}

// The colours of the heap's data, but for those that follow the page: free bytes, dead processes.
function pageColors(data) {
    const style = getComputedStyle(document.documentElement);
    const states = [...data.state_colors], owners = [...data.owner_colors];
    states[0] = owners[COLOR_NONE] = style.getPropertyValue('--free').trim();
    owners[COLOR_DIED] = style.getPropertyValue('--died').trim();
    return { states, owners };
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

// The map on the page's elements: map, strip, tip, range; by, in, out, used, all.
class HeapMap {
    constructor() {
        this.map = element('map');
        this.strip = element('strip');
        this.tip = element('tip');
        this.by = element('by');
        this.data = null;
        this.drag = null;
        this.pointer = null; // the last event of a pointer over the map
        this.forget();
        this.listen();
    }

    // The next data are another heap's: its part in use fills the map.
    forget() {
        this.view = { begin: 0, len: 0 };
        this.follows = true; // the part in use, until the user zooms or moves
        this.pointer = null;
        this.tip.hidden = true;
    }

    set(data) {
        this.data = data;
        this.count = data.segments.length / FIELDS;
        // By segment: where its percentages begin in data.mixes.
        this.mixAt = new Uint32Array(this.count);
        for (let i = 0, next = 0; i < this.count; i++) {
            this.mixAt[i] = next;
            next += this.at(i, 3) > 1 ? data.states.length - 1 : 0;
        }
        if (this.follows)
            this.showUsed();
        else
            this.show(this.view.begin, this.view.len);
        if (this.pointer && !this.drag)
            this.showTip(this.pointer);
    }

    at(i, field) {
        return this.data.segments[i * FIELDS + field];
    }

    segment(i) {
        const [offset, size, used, blocks, state, owner] =
            this.data.segments.slice(i * FIELDS, (i + 1) * FIELDS);
        return { i, offset, size, used, blocks, state, owner };
    }

    // The first segment that ends beyond offset.
    firstAt(offset) {
        let low = 0, high = this.count;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.at(middle, 0) + this.at(middle, 1) > offset)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }

    lineLen() {
        return this.view.len / LINES;
    }

    // An offset: whole bytes where lines are too short for a rounded size to tell them apart.
    offsetText(offset) {
        const bytes = Math.round(offset);
        return this.view.len < this.data.len / 8 ? bytes.toLocaleString('en') : sizeText(bytes);
    }

    // Calls draw(x, y, width) for each line that bytes [begin, end) touch.
    eachBox(begin, end, width, draw) {
        const len = this.lineLen(), view = this.view;
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
    drawStates(pen, item, x, y, width, height) {
        pen.fillStyle = this.colors.states[item.blocks > 1 ? 0 : item.state];
        pen.fillRect(x, y, width, height);
        if (item.blocks === 1)
            return;
        let bottom = y + height;
        for (let state = this.data.states.length - 1; state > 0; state--) {
            const part = height * this.data.mixes[this.mixAt[item.i] + state - 1] / 100;
            bottom = Math.max(bottom - part, y);
            pen.fillStyle = this.colors.states[state];
            pen.fillRect(x, bottom, width, part);
        }
    }

    drawSegment(pen, item, width) {
        const mode = this.by.value, owner = this.data.owners[item.owner];
        const ownerColor = this.colors.owners[owner ? owner.color : COLOR_NONE];
        this.eachBox(item.offset, item.offset + item.size, width, (x, y, boxWidth) => {
            const inner = boxWidth - (boxWidth > 4 ? 0.5 : 0);
            if (mode !== 'owner')
                this.drawStates(pen, item, x, y, inner, mode === 'both' ? 17 : 26);
            pen.fillStyle = ownerColor;
            if (mode !== 'state')
                pen.fillRect(x, y + (mode === 'both' ? 17 : 0), inner, mode === 'both' ? 9 : 26);
        });
    }

    // Names in the boxes that have room for them.
    drawNames(pen, width) {
        pen.fillStyle = '#fff';
        for (const name of this.data.names) {
            const i = this.firstAt(name.offset);
            if (i === this.count || this.at(i, 3) !== 1)
                continue;
            const item = this.segment(i);
            let drawn = false;
            this.eachBox(item.offset, item.offset + item.size, width, (x, y, boxWidth) => {
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

    drawMap() {
        const { pen, width } = prepare(this.map), lineWidth = width - LEFT, view = this.view;
        pen.textAlign = 'right';
        for (let line = 0; line < LINES; line++)
            pen.fillText(this.offsetText(view.begin + line * this.lineLen()), LEFT - 8,
                         line * PITCH + 16);
        pen.textAlign = 'left';
        const first = this.firstAt(view.begin), end = view.begin + view.len;
        // Free ones first: a used one that is widened to be seen lies above its free neighbours.
        for (const used of [false, true])
            for (let i = first; i < this.count && this.at(i, 0) < end; i++)
                if ((this.at(i, 2) > 0) === used)
                    this.drawSegment(pen, this.segment(i), lineWidth);
        this.drawNames(pen, lineWidth);
        const boxes = `; small blocks share boxes of ${sizeText(this.data.cell_len)}`;
        element('range').textContent =
            `${this.offsetText(view.begin)} to ${this.offsetText(end)}; a line is ` +
            sizeText(Math.round(this.lineLen())) + (this.data.cell_len > 1 ? boxes : '');
    }

    drawStrip() {
        const { pen, width, height } = prepare(this.strip), lineWidth = width - LEFT;
        pen.fillStyle = this.colors.states[0];
        pen.fillRect(LEFT, 0, lineWidth, height);
        const scale = lineWidth / this.data.len, view = this.view;
        for (let i = 0; i < this.count; i++) {
            if (this.at(i, 2) === 0)
                continue;
            pen.globalAlpha = Math.max(0.2, this.at(i, 2) / this.at(i, 1));
            pen.fillStyle = this.colors.states[this.at(i, 4)];
            pen.fillRect(LEFT + this.at(i, 0) * scale, 0, Math.max(this.at(i, 1) * scale, 0.5),
                         height);
        }
        pen.globalAlpha = 1;
        pen.strokeStyle = '#e00';
        pen.lineWidth = 2;
        pen.strokeRect(LEFT + view.begin * scale + 1, 1, Math.max(view.len * scale - 2, 2),
                       height - 2);
    }

    draw() {
        if (!this.data || this.map.clientWidth <= LEFT)
            return;
        this.colors = pageColors(this.data);
        this.drawMap();
        this.drawStrip();
    }

    show(begin, len) {
        this.view.len = Math.min(Math.max(len, LEAST_LEN), this.data.len);
        this.view.begin = Math.min(Math.max(begin, 0), this.data.len - this.view.len);
        requestAnimationFrame(() => this.draw());
    }

    showUsed() {
        this.show(0, this.data.used_end * 16 / 15);
        this.follows = true;
    }

    move(begin, len) {
        this.follows = false;
        this.tip.hidden = true;
        this.show(begin, len);
    }

    // Zooms so that offset stays where it is.
    zoom(offset, factor) {
        const view = this.view;
        const len = Math.min(Math.max(view.len * factor, LEAST_LEN), this.data.len);
        this.move(offset - (offset - view.begin) * len / view.len, len);
    }

    zoomMiddle(factor) {
        this.zoom(this.view.begin + this.view.len / 2, factor);
    }

    // The offset under the pointer, or -1.
    offsetAt(event) {
        const box = this.map.getBoundingClientRect(), x = event.clientX - box.left - LEFT;
        const line = Math.floor((event.clientY - box.top) / PITCH);
        if (!this.data || x < 0 || line < 0 || line >= LINES)
            return -1;
        return this.view.begin + (line + x / (box.width - LEFT)) * this.lineLen();
    }

    tipText(item) {
        const data = this.data, owner = data.owners[item.owner];
        const names = data.names.filter(name => name.offset >= item.offset &&
            name.offset < item.offset + item.size);
        const state = data.states[item.state].text;
        const what = item.blocks === 1 ? `${state}, ${item.size} bytes`
            : `${item.blocks} blocks, ${sizeText(item.used)} of ${sizeText(item.size)} in use, ` +
            `mostly ${state}`;
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

    showTip(event) {
        const offset = this.offsetAt(event), i = offset < 0 ? this.count : this.firstAt(offset);
        this.tip.hidden = offset < 0 || i >= this.count || this.at(i, 0) > offset;
        if (this.tip.hidden)
            return;
        this.tip.textContent = this.tipText(this.segment(i));
        const left = Math.min(event.clientX + 14, window.innerWidth - this.tip.offsetWidth - 8);
        this.tip.style.left = `${Math.max(left, 0)}px`;
        this.tip.style.top = `${event.clientY + 18}px`;
    }

    dragged(event) {
        if (!this.drag)
            return this.showTip(event);
        const width = this.map.getBoundingClientRect().width - LEFT;
        const moved = (event.clientX - this.drag.x) / width +
            Math.round((event.clientY - this.drag.y) / PITCH);
        return this.move(this.drag.begin - moved * this.lineLen(), this.view.len);
    }

    zoomTo(event) {
        const offset = this.offsetAt(event), i = offset < 0 ? this.count : this.firstAt(offset);
        if (i < this.count)
            this.move(this.at(i, 0) - this.at(i, 1) / 2, this.at(i, 1) * 2);
    }

    centre(event) {
        const box = this.strip.getBoundingClientRect();
        const part = (event.clientX - box.left - LEFT) / (box.width - LEFT);
        this.move(part * this.data.len - this.view.len / 2, this.view.len);
    }

    keys() {
        const scroll = lines => this.move(this.view.begin + lines * this.lineLen(), this.view.len);
        return {
            '+': () => this.zoomMiddle(0.7),
            '=': () => this.zoomMiddle(0.7),
            '-': () => this.zoomMiddle(1 / 0.7),
            '0': () => this.move(0, this.data.len),
            ArrowLeft: () => scroll(-0.25),
            ArrowRight: () => scroll(0.25),
            ArrowUp: () => scroll(-1),
            ArrowDown: () => scroll(1)
        };
    }

    listen() {
        const map = this.map, keys = this.keys();
        const on = (target, kind, handler, options) =>
            target.addEventListener(kind, event => this.data && handler(event), options);
        on(map, 'wheel', event => {
            event.preventDefault();
            if (this.offsetAt(event) >= 0)
                this.zoom(this.offsetAt(event), event.deltaY < 0 ? 0.7 : 1 / 0.7);
        }, { passive: false });
        on(map, 'pointerdown', event => {
            this.drag = { x: event.clientX, y: event.clientY, begin: this.view.begin };
            map.setPointerCapture(event.pointerId);
        });
        on(map, 'pointerup', () => { this.drag = null; });
        on(map, 'pointermove', event => {
            this.pointer = event;
            this.dragged(event);
        });
        on(map, 'pointerleave', () => {
            this.pointer = null;
            this.tip.hidden = true;
        });
        on(map, 'dblclick', event => this.zoomTo(event));
        on(this.strip, 'click', event => this.centre(event));
        on(map, 'keydown', event => {
            if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey)
                return;
            event.preventDefault();
            keys[event.key]();
        });
        on(element('in'), 'click', keys['+']);
        on(element('out'), 'click', keys['-']);
        on(element('all'), 'click', keys['0']);
        on(element('used'), 'click', () => this.showUsed());
        on(this.by, 'change', () => this.draw());
        on(window, 'resize', () => this.draw());
        on(window.matchMedia('(prefers-color-scheme: dark)'), 'change', () => this.draw());
    }
}
