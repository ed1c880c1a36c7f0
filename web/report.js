// report.js: placeholder
import {h} from './dom.js';
export function start(root) { root.replaceChildren(h('p', {'data-testid': 'report-ready'}, 'No report yet.')); }
