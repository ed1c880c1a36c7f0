// figures.js: the statistics' small figures, drawn as SVG and tables.
import {h, svg} from './dom.js';
import {colour} from './store.js';
import {time, percent, count, quantile} from './numbers.js';

const WIDTH = 420,
    HEIGHT = 190,
    LEFT = 38,
    RIGHT = 18,
    TOP = 10,
    BOTTOM = 30;

function frame(label, ...inside) {
    return svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label, class: 'plot'}, inside);
}

function figure(title, note, ...inside) {
    return h(
        title === 'Confusion' ? 'figure.whole' : 'figure',
        null,
        h('figcaption', null, title, note ? h('span.note', null, ` ${note}`) : null),
        inside,
    );
}

export function legend(names) {
    return h(
        'ul.keys',
        null,
        names.map(name => h('li', {style: {'--own': colour(name)}}, name)),
    );
}

/** Powers of ten, and where few of them lie in the range also 2 and 5 times them. */
function ticks(low, high) {
    const found = [];
    const few = Math.log10(high / low) < 2.2;
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); decade++)
        for (const step of few ? [1, 2, 5] : [1]) {
            const value = step * 10 ** decade;
            if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
        }
    return found;
}

/** Latencies [µs] of each deployment over a logarithmic axis; `series` is [[name, values]…]. */
export function histogram(series) {
    const all = series.flatMap(([, values]) => values);
    if (!all.length) return null;
    const sorted = [...all].sort((a, b) => a - b);
    const low = sorted[0] / 1.15,
        high = Math.max(sorted[sorted.length - 1] * 1.15, low * 2);
    const bins = 48,
        scale = Math.log(high / low);
    const x = value => LEFT + (Math.log(value / low) / scale) * (WIDTH - LEFT - RIGHT);
    const counted = series
        .filter(([, values]) => values.length)
        .map(([name, values]) => {
            const heights = new Array(bins).fill(0);
            for (const value of values)
                heights[Math.min(bins - 1, Math.floor((Math.log(value / low) / scale) * bins))] += 1 / values.length;
            return [name, values, heights];
        });
    const most = Math.max(...counted.flatMap(([, , heights]) => heights));
    const y = share => HEIGHT - BOTTOM - (share / most) * (HEIGHT - TOP - BOTTOM);
    const paths = counted.map(([name, values, heights]) => {
        let line = `M${LEFT},${HEIGHT - BOTTOM}`;
        heights.forEach((share, i) => {
            const from = LEFT + (i / bins) * (WIDTH - LEFT - RIGHT),
                to = LEFT + ((i + 1) / bins) * (WIDTH - LEFT - RIGHT);
            line += `L${from.toFixed(1)},${y(share).toFixed(1)}L${to.toFixed(1)},${y(share).toFixed(1)}`;
        });
        line += `L${WIDTH - RIGHT},${HEIGHT - BOTTOM}`;
        const half = quantile(
            [...values].sort((a, b) => a - b),
            0.5,
        );
        return svg(
            'path',
            {d: line, class: 'step', style: {'--own': colour(name)}},
            svg('title', null, `${name}: median ${time(half)} of ${values.length}`),
        );
    });
    return figure(
        'Latency',
        `share of trials; ${count(all.length)} answers`,
        frame(
            `Histogram of latency: ${counted
                .map(
                    ([name, values]) =>
                        `${name} median ${time(
                            quantile(
                                [...values].sort((a, b) => a - b),
                                0.5,
                            ),
                        )}`,
                )
                .join(', ')}`,
            svg('line', {class: 'axis', x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM}),
            ticks(low, high).map(value => [
                svg('line', {class: 'grid', x1: x(value), x2: x(value), y1: TOP, y2: HEIGHT - BOTTOM}),
                svg(
                    'text',
                    {x: x(value), y: HEIGHT - BOTTOM + 16, 'text-anchor': 'middle'},
                    time(value).replace('.00', '').replace('.0', ''),
                ),
            ]),
            svg('text', {x: LEFT - 5, y: y(most) + 8, 'text-anchor': 'end'}, percent(most, 0)),
            paths,
        ),
    );
}

/** Reliability: how often an answer is right, by how sure it was; `series` is [[name, calibration]…]. */
export function reliability(series) {
    const drawn = series.filter(([, item]) => item.bins.some(bin => bin.n));
    if (!drawn.length) return null;
    const x = value => LEFT + value * (WIDTH - LEFT - RIGHT),
        y = value => HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM);
    const lines = drawn.map(([name, item]) => {
        const bins = item.bins.filter(bin => bin.n),
            total = bins.reduce((sum, bin) => sum + bin.n, 0);
        return svg(
            'g',
            {style: {'--own': colour(name)}},
            svg('path', {
                class: 'line',
                d: bins
                    .map((bin, i) => `${i ? 'L' : 'M'}${x(bin.confidence).toFixed(1)},${y(bin.right).toFixed(1)}`)
                    .join(''),
            }),
            bins.map(bin =>
                svg(
                    'circle',
                    {class: 'dot', cx: x(bin.confidence), cy: y(bin.right), r: 2 + 5 * Math.sqrt(bin.n / total)},
                    svg(
                        'title',
                        null,
                        `${name}: ${bin.n} answers ${percent(bin.confidence, 1)} sure on average, ${percent(bin.right, 1)} right`,
                    ),
                ),
            ),
        );
    });
    return figure(
        'Calibration',
        'how often right, by how sure; on the diagonal is honest',
        frame(
            `Calibration: ${drawn.map(([name, item]) => `${name} is off by ${percent(item.error, 1)} on average`).join(', ')}`,
            [0, 0.25, 0.5, 0.75, 1].map(value => [
                svg('line', {class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value)}),
                svg('text', {x: LEFT - 5, y: y(value) + 4, 'text-anchor': 'end'}, percent(value, 0)),
                svg('text', {x: x(value), y: HEIGHT - BOTTOM + 16, 'text-anchor': 'middle'}, percent(value, 0)),
            ]),
            svg('line', {class: 'diagonal', x1: x(0), y1: y(0), x2: x(1), y2: y(1)}),
            lines,
        ),
    );
}

/** One deployment's confusion matrix: rows are the truth, columns the answers. */
export function confusion(name, labels, cells) {
    const most = Math.max(1, ...cells.flat());
    return h(
        'table.confusion',
        {style: {'--own': colour(name)}},
        h('caption', null, name),
        h(
            'thead',
            null,
            h(
                'tr',
                null,
                h('td', null),
                labels.map(label => h('th', {scope: 'col'}, label)),
            ),
        ),
        h(
            'tbody',
            null,
            cells.map((line, i) =>
                h(
                    'tr',
                    null,
                    h('th', {scope: 'row'}, labels[i]),
                    line.map((n, k) =>
                        h(
                            `td${i === k ? '.same' : ''}`,
                            {
                                title: `${labels[i]} taken for ${labels[k]}: ${n}`,
                                style: {'--strength': (n / most).toFixed(3)},
                            },
                            count(n),
                        ),
                    ),
                ),
            ),
        ),
    );
}

export function confusions(tables) {
    return tables.length
        ? figure('Confusion', 'rows: truth; columns: answers', h('div.confusions', null, tables))
        : null;
}
