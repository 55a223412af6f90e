// table.js: tables whose rows stay while their cells change. Texts from the heap become text nodes
// only. SPDX-License-Identifier: Apache-2.0
'use strict';
const countText = count => Math.round(count).toLocaleString('en');
const percentText = percent => `${Math.round(percent)} %`;

// A table of rows. Each column has title; cell(row): its text, or draw(row, td), which fills the cell
// and keeps the elements that it made before, so that they keep the focus; and perhaps hint, kind (a
// class), order(row): the column sorts by it. key(row) names a row.
class Table {
    constructor(table, columns, key) {
        this.table = table;
        this.columns = columns;
        this.key = key;
        this.rows = [];
        this.made = new Map(); // by key: the element tr
        this.sorted = null;
        this.turned = false;
        table.tHead.replaceChildren(make('tr', {}, ...columns.map(column => this.head(column))));
    }

    head(column) {
        const { kind = '', hint = '' } = column;
        const cell = make('th', { scope: 'col', class: kind, title: hint });
        if (!column.order) {
            cell.append(column.title);
            return cell;
        }
        const button = make('button', { type: 'button' }, column.title);
        button.addEventListener('click', () => this.sortBy(column));
        column.head = cell;
        cell.append(button);
        return cell;
    }

    // A second time, turned. Figures begin with the largest, texts with the first.
    sortBy(column) {
        this.turned = this.sorted === column && !this.turned;
        this.sorted = column;
        this.show();
    }

    ordered() {
        const { sorted, turned } = this;
        if (!sorted)
            return this.rows;
        const compare = (a, b) => typeof a === 'string' ? a.localeCompare(b) : b - a;
        return [...this.rows].sort((a, b) =>
            compare(sorted.order(a), sorted.order(b)) * (turned ? -1 : 1));
    }

    set(rows) {
        this.rows = rows;
        this.show();
    }

    fill(tr, row) {
        this.columns.forEach((column, i) => {
            const td = tr.cells[i], text = column.draw ? column.draw(row, td) : column.cell(row);
            if (!column.draw && td.textContent !== text)
                td.textContent = text;
        });
    }

    rowOf(key) {
        if (!this.made.has(key))
            this.made.set(key, make('tr', {}, ...this.columns.map(column =>
                make('td', { class: column.kind || '' }))));
        return this.made.get(key);
    }

    show() {
        const body = this.table.tBodies[0], rows = this.ordered();
        const keys = new Set(rows.map(this.key));
        for (const [key, tr] of this.made)
            if (!keys.has(key)) {
                tr.remove();
                this.made.delete(key);
            }
        rows.forEach((row, i) => {
            const tr = this.rowOf(this.key(row));
            this.fill(tr, row);
            if (body.rows[i] !== tr) // a row that stays keeps the focus
                body.insertBefore(tr, body.rows[i] || null);
        });
        for (const column of this.columns.filter(each => each.head)) {
            const way = typeof (rows[0] && column.order(rows[0])) === 'string' !== this.turned;
            if (column === this.sorted)
                column.head.setAttribute('aria-sort', way ? 'ascending' : 'descending');
            else
                column.head.removeAttribute('aria-sort');
        }
    }
}
