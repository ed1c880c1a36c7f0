// plots.js: panels of points and lines, as SVG. The page's report view imports it; the file that `berth report` writes carries it.
// Every point can be reached by Tab and says its values; a series has a colour, dashes and a shape, so that none is told by colour alone.
import {h, svg} from './dom.js';

const SERIES = 8;
const NEUTRAL = 6; // the grey one of them
const DASHES = ['', '7 3', '2 3', '9 3 2 3', '5 2', '1 2', '12 4', '4 4'];
const SHAPES = ['circle', 'square', 'triangle', 'diamond', 'down', 'cross'];

const NARROW = 640; // a screen on which a wide panel would be too small to read
const HEIGHT = 300,
    LEFT = 58,
    RIGHT = 12,
    TOP = 10,
    BOTTOM = 42;

const colour = index => `var(--series-${index % SERIES})`;
const dashes = index => DASHES[index % DASHES.length];
const shapeOf = series => series.shape ?? series.index;

/** A number of few digits; a dash where there is none. */
export const short = (x, digits = 4) => (x === null || x === undefined ? '–' : String(Number(x.toPrecision(digits))));

/* ---- what a point says ---- */

let tip = null;

function explain(element, text) {
    if (!tip) document.body.append((tip = h('div.tip', {role: 'status', hidden: true})));
    const show = (x, y) => {
        tip.textContent = text;
        tip.hidden = false;
        tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
        tip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - tip.offsetHeight - 8))}px`;
    };
    const hide = () => {
        tip.hidden = true;
    };
    element.setAttribute('tabindex', 0);
    element.setAttribute('role', 'img');
    element.setAttribute('aria-label', text.replaceAll('\n', ', '));
    element.addEventListener('pointerenter', event => show(event.clientX, event.clientY));
    element.addEventListener('focus', () => {
        const box = element.getBoundingClientRect();
        show(box.right, box.bottom);
    });
    element.addEventListener('pointerleave', hide);
    element.addEventListener('blur', hide);
}

/* ---- one panel ---- */

/** The shapes, then the same ones hollow. */
function mark(shape, x, y, r, index) {
    const hollow = Math.floor(shape / SHAPES.length) % 2 === 1;
    const path = d => svg('path', {class: hollow ? 'mark hollow' : 'mark', d, style: {'--own': colour(index)}});
    switch (SHAPES[shape % SHAPES.length]) {
        case 'square':
            return path(`M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`);
        case 'triangle':
            return path(`M${x} ${y - r * 1.2}L${x + r * 1.1} ${y + r}H${x - r * 1.1}Z`);
        case 'down':
            return path(`M${x} ${y + r * 1.2}L${x + r * 1.1} ${y - r}H${x - r * 1.1}Z`);
        case 'diamond':
            return path(`M${x} ${y - r * 1.3}L${x + r * 1.3} ${y}L${x} ${y + r * 1.3}L${x - r * 1.3} ${y}Z`);
        case 'cross':
            return hollow
                ? path(`M${x - r} ${y}H${x + r}M${x} ${y - r}V${y + r}`)
                : path(`M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`);
        default:
            return path(`M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`);
    }
}

// Of a logarithmic axis: the first that gives three ticks.
const LOG_STEPS = [[1], [1, 3], [1, 2, 5]];

/** Round numbers of a range: about five, or where it spans decades some of each. */
function ticks(low, high, log) {
    const list = [];
    for (const steps of log ? LOG_STEPS : []) {
        list.length = 0;
        for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); decade++)
            for (const step of steps) {
                const value = step * 10 ** decade;
                if (value >= low * 0.999 && value <= high * 1.001) list.push(Number(value.toPrecision(3)));
            }
        if (list.length > 2) return list;
    }
    list.length = 0;
    const raw = (high - low) / 5 || 1,
        size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(times => times * size).find(each => each >= raw * 0.999);
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step)
        list.push(Number(value.toPrecision(6)));
    return list;
}

/** The range of values, with some room around it. */
function range(values, log, zero) {
    const low = Math.min(...values),
        high = Math.max(...values);
    if (log) return [low / 1.2, high * 1.2];
    const room = (high - low || Math.abs(high) || 1) * 0.07;
    return [zero ? 0 : low - room, high + room];
}

function axes(at, bounds, options) {
    const {x0, x1, y0, y1} = bounds,
        right = at.width - RIGHT,
        bottom = HEIGHT - BOTTOM;
    const grid = (x, y, X, Y) => svg('line', {class: 'grid', x1: x, y1: y, x2: X, y2: Y});
    const text = (words, attributes) => svg('text', attributes, words);
    return [
        ticks(x0, x1, options.logX).map(value => [
            grid(at.x(value), TOP, at.x(value), bottom),
            text(short(value), {x: at.x(value), y: bottom + 14, 'text-anchor': 'middle'}),
        ]),
        ticks(y0, y1, options.logY).map(value => [
            grid(LEFT, at.y(value), right, at.y(value)),
            text(short(value), {x: LEFT - 5, y: at.y(value) + 4, 'text-anchor': 'end'}),
        ]),
        text(options.x, {x: (LEFT + right) / 2, y: HEIGHT - 6, 'text-anchor': 'middle'}),
        text(options.y, {
            x: 12,
            y: (TOP + bottom) / 2,
            'text-anchor': 'middle',
            transform: `rotate(-90 12 ${(TOP + bottom) / 2})`,
        }),
    ];
}

function line(series, points, at) {
    const steps = series.steps;
    const d = points
        .map((p, i) =>
            !i ? `M${at.x(p.x)} ${at.y(p.y)}` : steps ? `H${at.x(p.x)}V${at.y(p.y)}` : `L${at.x(p.x)} ${at.y(p.y)}`,
        )
        .join('');
    return svg('path', {
        class: series.thin ? 'line thin' : 'line',
        d,
        'stroke-dasharray': dashes(series.index),
        style: {'--own': series.steps ? 'var(--ink-2)' : colour(series.index)},
    });
}

function drawn(series, at, bounds, logY) {
    const points = series.points.filter(p => p.y > 0 || !logY),
        parts = [];
    if (series.line !== false && points.length > 1) parts.push(line(series, points, at));
    for (const p of points) {
        if (p.low !== undefined && p.high > p.low)
            parts.push(
                svg('path', {
                    class: 'interval',
                    d: `M${at.x(p.x)} ${at.y(Math.max(p.low, bounds.y0))}V${at.y(p.high)}`,
                    style: {'--own': colour(series.index)},
                }),
            );
        if (series.marks === false) continue;
        const point = mark(shapeOf(series), at.x(p.x), at.y(p.y), p.chosen ? 7 : 4, series.index);
        if (p.chosen) point.classList.add('chosen-mark');
        explain(point, p.tip);
        parts.push(point);
    }
    return parts;
}

/** `series`: [{name, index, shape, line, marks, thin, steps, points: [{x, y, low, high, tip, chosen}]}]; `options`: {x, y: axis titles,
 *  logX, logY, zero, width, limitX, limitY: where an objective ends}. */
export function panel(title, series, options) {
    const box = h(options.width ? 'div.panel.wide' : 'div.panel', null, title ? h('h4', null, title) : null);
    const all = series.flatMap(one => one.points).filter(p => p.y > 0 || !options.logY);
    if (!all.length) {
        box.append(h('p.note', null, 'Nothing is shown.'));
        return box;
    }
    const width = options.width && innerWidth >= NARROW ? options.width : 430;
    const some = limit => (limit === undefined ? [] : [limit]);
    const [x0, x1] = range([...all.map(p => p.x), ...some(options.limitX)], options.logX);
    const [y0, y1] = range(
        [
            ...all.flatMap(p => [p.low ?? p.y, p.high ?? p.y]).filter(y => y > 0 || !options.logY),
            ...some(options.limitY),
        ],
        options.logY,
        options.zero,
    );
    const place = (value, low, high, log) =>
        log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    const round = value => Math.round(value * 10) / 10;
    const at = {
        width,
        x: value => round(LEFT + (width - RIGHT - LEFT) * place(value, x0, x1, options.logX)),
        y: value => round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * place(value, y0, y1, options.logY)),
    };
    const bounds = {x0, x1, y0, y1};
    const limits = [
        options.limitX !== undefined &&
            svg('path', {class: 'limit', d: `M${at.x(options.limitX)} ${TOP}V${HEIGHT - BOTTOM}`}),
        options.limitY !== undefined &&
            svg('path', {class: 'limit', d: `M${LEFT} ${at.y(options.limitY)}H${width - RIGHT}`}),
    ];
    box.append(
        svg(
            'svg',
            {
                class: 'plot',
                viewBox: `0 0 ${width} ${HEIGHT}`,
                role: 'group',
                'aria-label': `${title ? `${title}: ` : ''}${options.y} against ${options.x}`,
            },
            axes(at, bounds, options),
            limits,
            series.map(one => drawn(one, at, bounds, options.logY)),
        ),
    );
    return box;
}

/* ---- a figure: panels with one legend and switches ---- */

function legend(series, off, redraw) {
    return series.map(one =>
        h(
            'button.toggle',
            {
                type: 'button',
                'aria-pressed': String(!off.has(one.name)),
                onclick: event => {
                    if (!off.delete(one.name)) off.add(one.name);
                    event.currentTarget.setAttribute('aria-pressed', String(!off.has(one.name)));
                    redraw();
                },
            },
            svg(
                'svg',
                {viewBox: '0 0 34 12', 'aria-hidden': 'true'},
                svg('path', {
                    class: 'line',
                    d: 'M0 6H34',
                    'stroke-dasharray': dashes(one.index),
                    style: {'--own': colour(one.index)},
                }),
                mark(shapeOf(one), 17, 6, 4, one.index),
            ),
            one.name,
        ),
    );
}

const shapeKey = (name, index) =>
    h(
        'span',
        null,
        svg(
            'svg',
            {viewBox: '0 0 14 14', 'aria-hidden': 'true'},
            mark(index, 7, 7, 4, NEUTRAL),
        ),
        name,
    );

/** A section whose panels are drawn anew when a series is switched off, an axis made linear, or `choices` chosen: [{name, title,
 *  options: [[value, text]]}]. `make(state)` gives [[title, series, options]]; `state` has `off` (a Set of names) and each choice.
 *  `shapes`: what the shapes of points mean, where it is not the series. */
export function figure({title, note, names, shapes = [], make, logX = true, logY = true, choices = []}) {
    const state = {off: new Set(), logX, logY};
    const panels = h('div.panels');
    const draw = () =>
        panels.replaceChildren(
            ...make(state).map(([name, series, options]) =>
                panel(
                    name,
                    series.filter(one => !state.off.has(one.name)),
                    {...options, logX: state.logX, logY: state.logY},
                ),
            ),
        );
    const axis = (key, text) =>
        h(
            'label',
            null,
            h('input', {
                type: 'checkbox',
                checked: state[key],
                onchange: event => {
                    state[key] = event.target.checked;
                    draw();
                },
            }),
            ` ${text}`,
        );
    const chooser = choice =>
        h(
            'label',
            null,
            `${choice.title} `,
            h(
                'select',
                {
                    onchange: event => {
                        state[choice.name] = event.target.value;
                        draw();
                    },
                },
                choice.options.map(([value, text]) => h('option', {value}, text)),
            ),
        );
    for (const choice of choices) state[choice.name] = choice.options[0][0];
    draw();
    return h(
        'section.pane',
        null,
        h('h2', null, title),
        note ? h('p.note', null, note) : null,
        h(
            'div.switches',
            null,
            legend(names, state.off, draw),
            axis('logX', 'logarithmic x'),
            axis('logY', 'logarithmic y'),
            choices.map(chooser),
        ),
        shapes.length > 1 && h('p.shapes', null, shapes.map(shapeKey)),
        panels,
    );
}
