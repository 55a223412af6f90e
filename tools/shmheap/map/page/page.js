// page.js: starts a page that holds its data. SPDX-License-Identifier: Apache-2.0
'use strict';
const data = JSON.parse(element('data').textContent);
new HeapMap().set(data);
drawCharts(data);
