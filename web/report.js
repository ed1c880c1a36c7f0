// report.js: placeholder
export function start(root) { root.textContent = ''; }
