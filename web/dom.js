// dom.js: elements from code. Text from outside becomes text nodes only: markup in a sentence stays a sentence.

/** h('button.primary', {type: 'button', onclick: f}, 'Run'): an element; children may be nested lists, null is left out. */
export function h(what, attributes, ...children) {
    const [tag, ...classes] = what.split('.');
    const element = document.createElement(tag || 'div');
    if (classes.length) element.className = classes.join(' ');
    set(element, attributes);
    append(element, children);
    return element;
}

/** The same in SVG. */
export function svg(tag, attributes, ...children) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    set(element, attributes);
    append(element, children);
    return element;
}

function set(element, attributes) {
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
        else if (name === 'style')
            for (const [key, item] of Object.entries(value)) element.style.setProperty(key, item);
        else element.setAttribute(name, value === true ? '' : value);
    }
}

function append(element, children) {
    for (const child of children) {
        if (Array.isArray(child)) append(element, child);
        else if (child !== null && child !== undefined && child !== false) element.append(child);
    }
}

export const byId = id => document.getElementById(id);

/** Calls `work` at most once a frame, and for slow work not more often than every `pause` ms. */
export function throttled(work, pause = 0) {
    let waiting = false;
    return () => {
        if (waiting) return;
        waiting = true;
        const run = () => {
            waiting = false;
            work();
        };
        if (pause) setTimeout(run, pause);
        else requestAnimationFrame(run);
    };
}

let toastTimer;
export function toast(message) {
    const box = byId('toast');
    box.textContent = message;
    box.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => {
        box.hidden = true;
    }, 8000);
}

/** Offers a file for download that was made here. */
export function download(name, type, text) {
    const link = h('a', {href: URL.createObjectURL(new Blob([text], {type})), download: name});
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
