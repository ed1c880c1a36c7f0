// report-figures.js: the figures and tables of a report, from the JSON of `berth report --json` (docs/report.md).
import {h} from './dom.js';
import {figure, panel, short} from './plots.js';

const DISTRIBUTIONS = 300; // to choose from

const tokens = 'tokens in the request',
    milliseconds = 'latency (ms)';

/** What a configuration is and how it did, a line each. */
export function describe(c) {
    const interval = c.p50_ci_ms ? ` [${c.p50_ci_ms.map(x => short(x)).join(', ')}]` : '';
    const lines = [
        `${c.model} · ${c.place} · ${c.variant}`,
        `batch ${c.batch} of ${c.length || 'real'} tokens${c.rate ? `, ${c.rate} requests/s` : ''}`,
    ];
    if (c.published) lines.push(`published mean ${short(c.mean_ms)} ms ± ${short(c.stddev_ms)}`);
    else
        lines.push(
            `p50 ${short(c.p50_ms)} ms${interval}`,
            `p90 ${short(c.p90_ms)} ms, p99 ${short(c.p99_ms)} ms, n ${c.n}${c.failed ? `, ${c.failed} failed` : ''}`,
        );
    lines.push(`${short(c.texts_per_second)} texts/s`);
    return lines.join('\n');
}

/* ---- latency ---- */

const isTimed = c => c.timed && c.time_ms !== null;

/** The models as series, each at `variant`, or at its plain one where that is ''. */
class Times {
    constructor(report) {
        this.report = report;
        this.cells = report.cells.filter(isTimed);
        this.names = report.models.map((model, index) => ({name: model.name, index}));
        this.choices =
            report.variants.length < 2
                ? []
                : [
                      {
                          name: 'variant',
                          title: 'precision',
                          options: [['', 'plain'], ...report.variants.map(one => [one, one])],
                      },
                  ];
    }

    /** The plainest variant that the model was measured in at a place: the report has them in that order. */
    plain(model, place) {
        return this.report.variants.find(one =>
            this.cells.some(c => c.model === model && c.place === place && c.variant === one),
        );
    }

    series(place, variant, point) {
        return this.names
            .map(model => ({
                ...model,
                points: this.cells
                    .filter(
                        c =>
                            c.model === model.name &&
                            c.place === place &&
                            c.variant === (variant || this.plain(model.name, place)),
                    )
                    .map(point)
                    .filter(Boolean)
                    .sort((a, b) => a.x - b.x),
            }))
            .filter(one => one.points.length);
    }

    each(variant, point, y) {
        return this.report.places
            .map(place => [place, this.series(place, variant, point), {x: tokens, y}])
            .filter(([, series]) => series.length);
    }

    base(c, variant) {
        const {baseline} = this.report,
            wanted = variant || this.plain(baseline, c.place);
        return this.cells.find(
            b =>
                b.model === baseline &&
                b.place === c.place &&
                b.batch === c.batch &&
                b.length === c.length &&
                b.variant === wanted,
        );
    }
}

const timePoint = c => ({
    x: c.batch * c.length,
    y: c.time_ms,
    low: c.range_ms?.[0],
    high: c.range_ms?.[1],
    tip: describe(c),
});

function speedPoint(times, variant) {
    return c => {
        const base = times.base(c, variant);
        if (!base) return null;
        const factor = base.time_ms / c.time_ms,
            range = c !== base && base.range_ms && c.range_ms;
        return {
            x: c.batch * c.length,
            y: factor,
            low: range ? base.range_ms[0] / c.range_ms[1] : undefined,
            high: range ? base.range_ms[1] / c.range_ms[0] : undefined,
            tip: `${short(factor, 3)} times as fast\n${describe(c)}`,
        };
    };
}

function latencyFigures(report) {
    const times = new Times(report),
        {names, choices} = times;
    if (!times.cells.length) return [];
    const list = [
        figure({
            title: 'Time against input size',
            note: 'Median latency with its 95 % interval; of published figures the mean and one deviation.',
            names,
            choices,
            make: state => times.each(state.variant, timePoint, milliseconds),
        }),
    ];
    if (report.models.length > 1)
        list.push(
            figure({
                title: 'Speed-up',
                note: `Times as fast as ${report.baseline}, at the same input; from end to end of both intervals.`,
                names,
                choices,
                make: state => times.each(state.variant, speedPoint(times, state.variant), 'times as fast'),
            }),
        );
    if (report.models.length > 1 || report.places.length > 1)
        list.push(
            figure({
                title: 'All against all',
                note: 'Colour and dashes: the model; shape: the target.',
                names,
                shapes: report.places,
                choices,
                make: state => [
                    [
                        'every model on every target',
                        report.places.flatMap((place, i) =>
                            times.series(place, state.variant, timePoint).map(one => ({...one, shape: i})),
                        ),
                        {x: tokens, y: milliseconds, width: 900},
                    ],
                ],
            }),
        );
    return list;
}

/** The precisions of each model beside one another: what optimisation and quantisation bring. */
function variantFigure(report) {
    if (report.variants.length < 2) return [];
    const cells = report.cells.filter(isTimed);
    const names = report.variants.map((name, index) => ({name, index}));
    const of = (model, variant, place) =>
        cells
            .filter(c => c.model === model && c.variant === variant && c.place === place)
            .map(timePoint)
            .sort((a, b) => a.x - b.x);
    const pairs = report.models
        .flatMap(model => report.places.map(place => [model.name, place]))
        .filter(([model, place]) => names.filter(one => of(model, one.name, place).length).length > 1);
    return pairs.length
        ? [
              figure({
                  title: 'Precisions and optimisations',
                  note: 'The same model, as its deployments compute it.',
                  names,
                  make: () =>
                      pairs.map(([model, place]) => [
                          `${model} · ${place}`,
                          names.map(one => ({...one, points: of(model, one.name, place)})),
                          {x: tokens, y: milliseconds},
                      ]),
              }),
          ]
        : [];
}

/* ---- accuracy against latency ---- */

export const metrics = {time_ms: 'median', p50_ms: 'p50', p90_ms: 'p90', p99_ms: 'p99'};

/* Measured here, or elsewhere with the same weights at the same precision; undefined: nowhere. */
function accuracyOf(c) {
    return (c.known_accuracy ?? null) === null
        ? undefined
        : {accuracy: c.known_accuracy, accuracy_ci: c.known_accuracy_ci};
}

/** The configurations that can be set against one another by accuracy: at the smallest input, or on real texts where none was timed alone. */
export function rivals(report) {
    const known = report.cells.filter(c => c.status === 'ok' && c.p50_ms !== null && accuracyOf(c));
    const timed = report.cells.filter(
        c =>
            isTimed(c) &&
            c.batch === report.smallest.batch &&
            c.length === report.smallest.length &&
            accuracyOf(c),
    );
    const least = Math.min(...known.map(c => c.batch));
    return timed.length ? timed : known.filter(c => c.batch === least);
}

/* The report's own order first; what was never timed at given lengths is not in it. */
const all = (listed, found) => [...new Set([...listed, ...found])];

/** The panel's series; `chosen(c)` marks what is recommended. */
export function pareto(report, metric, off = new Set(), chosen = () => false) {
    const points = rivals(report)
        .filter(c => (c[metric] ?? null) !== null && !off.has(c.model))
        .map(c => {
            const known = accuracyOf(c);
            return {
                c,
                x: c[metric],
                y: known.accuracy * 100,
                low: known.accuracy_ci ? known.accuracy_ci[0] * 100 : undefined,
                high: known.accuracy_ci ? known.accuracy_ci[1] * 100 : undefined,
                chosen: chosen(c),
                tip: `accuracy ${short(known.accuracy * 100, 3)} %\n${describe(c)}`,
            };
        });
    const models = all(
            report.models.map(model => model.name),
            points.map(p => p.c.model),
        ),
        places = all(
            report.places,
            points.map(p => p.c.place),
        );
    const beaten = p => points.some(q => (q.x < p.x && q.y >= p.y) || (q.x <= p.x && q.y > p.y));
    const front = points.filter(p => !beaten(p)).sort((a, b) => a.x - b.x);
    return [
        {name: 'front', index: 3, steps: true, marks: false, points: front.map(({x, y}) => ({x, y}))},
        ...models.flatMap((name, index) =>
            places.map((place, i) => ({
                name,
                index,
                shape: i,
                line: false,
                points: points.filter(p => p.c.model === name && p.c.place === place),
            })),
        ),
    ];
}

function paretoFigure(report) {
    const some = rivals(report)[0];
    return some
        ? [
              figure({
                  title: 'Accuracy against latency',
                  note: `Batch ${some.batch} of ${some.length || 'real'} tokens. Nothing is both faster and more accurate than the dashed front.`,
                  names: all(
                      report.models.map(model => model.name),
                      rivals(report).map(c => c.model),
                  ).map((name, index) => ({name, index})),
                  shapes: all(
                      report.places,
                      rivals(report).map(c => c.place),
                  ),
                  logY: false,
                  choices: [
                      {
                          name: 'metric',
                          title: 'latency',
                          options: Object.entries(metrics).filter(([key]) => key !== 'p50_ms'),
                      },
                  ],
                  make: state => [
                      [
                          '',
                          pareto(report, state.metric, state.off),
                          {x: `${metrics[state.metric]} latency (ms)`, y: 'accuracy (%)', width: 900},
                      ],
                  ],
              }),
          ]
        : [];
}

/* ---- load, distribution, the study ---- */

function loadFigure(report) {
    const loaded = report.cells.filter(c => (c.rate > 0 || c.concurrency > 1) && c.texts_per_second !== null && c.n);
    const label = c => `${c.model}, ${c.variant} · ${c.place}`;
    const names = [...new Set(loaded.map(label))].map((name, index) => ({name, index}));
    return loaded.length
        ? [
              figure({
                  title: 'Latency against load',
                  note: 'From the scheduled start. Thick: p99 with its interval; thin: the median.',
                  names,
                  logX: false,
                  make: () => [
                      [
                          '',
                          names.flatMap(one => {
                              const own = loaded
                                  .filter(c => label(c) === one.name)
                                  .sort((a, b) => a.texts_per_second - b.texts_per_second);
                              return [
                                  {
                                      ...one,
                                      points: own
                                          .filter(c => c.p99_ms !== null)
                                          .map(c => ({
                                              x: c.texts_per_second,
                                              y: c.p99_ms,
                                              low: c.p99_ci_ms?.[0],
                                              high: c.p99_ci_ms?.[1],
                                              tip: describe(c),
                                          })),
                                  },
                                  {
                                      ...one,
                                      thin: true,
                                      marks: false,
                                      points: own.map(c => ({x: c.texts_per_second, y: c.p50_ms})),
                                  },
                              ];
                          }),
                          {x: 'texts a second, as served', y: milliseconds, width: 900},
                      ],
                  ],
              }),
          ]
        : [];
}

function distributionFigure(report) {
    const cells = report.cells.filter(c => c.quantiles_ms).slice(0, DISTRIBUTIONS);
    if (!cells.length) return [];
    const label = c =>
        `${c.model}, ${c.variant} · ${c.place} · ${c.batch}×${c.length || c.data}${c.rate ? ` · ${c.rate}/s` : ''}`;
    const box = h('div.panels');
    const draw = c =>
        box.replaceChildren(
            panel(
                label(c),
                [
                    {
                        name: '',
                        index: 0,
                        points: c.quantiles_ms.map((ms, i) => {
                            const share = (i / (c.quantiles_ms.length - 1)) * 100;
                            return {
                                x: share,
                                y: ms,
                                tip: `${short(share)} % of the trials took at most ${short(ms)} ms`,
                            };
                        }),
                    },
                ],
                {x: 'share of the trials (%)', y: milliseconds, logX: false, logY: true, width: 900},
            ),
        );
    draw(cells[0]);
    return [
        h(
            'section.pane',
            null,
            h('h2', null, 'Distribution'),
            h('p.note', null, 'All quantiles of one configuration.'),
            h(
                'div.switches',
                null,
                h(
                    'label',
                    null,
                    'configuration ',
                    h(
                        'select',
                        {onchange: event => draw(cells[event.target.value])},
                        cells.map((c, i) => h('option', {value: i}, label(c))),
                    ),
                ),
            ),
            box,
        ),
    ];
}

function studyTable(report) {
    if (!report.study.length) return [];
    const head = ['model', 'batch × length', 'where', 'ms', 'speed-up'];
    return [
        h(
            'section.pane',
            null,
            h('h2', null, 'Beside the 2021 study'),
            h('p.note', null, 'Speed-up over bert-base, published and measured.'),
            h(
                'div.scroll',
                {tabindex: 0, role: 'region', 'aria-label': 'Beside the 2021 study'},
                h(
                    'table.cells',
                    null,
                    h(
                        'thead',
                        null,
                        h(
                            'tr',
                            null,
                            head.map(text => h('th', {scope: 'col'}, text)),
                        ),
                    ),
                    h(
                        'tbody',
                        null,
                        report.study.map(row =>
                            h(
                                'tr',
                                null,
                                h('td.t', null, row.model),
                                h('td', null, `${row.batch} × ${row.length}`),
                                h('td.t', null, row.place),
                                h('td', null, short(row.time_ms)),
                                h('td', null, short(row.speedup, 3)),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    ];
}

/* ---- all configurations ---- */

const COLUMNS = [
    ['model', 'model'],
    ['target', 'place'],
    ['precision', 'variant'],
    ['scenario', 'scenario'],
    ['batch', 'batch'],
    ['length', 'length'],
    ['rate', 'rate'],
    ['n', 'n'],
    ['failed', 'failed'],
    ['mean', 'mean_ms'],
    ['p50', 'p50_ms'],
    ['p90', 'p90_ms'],
    ['p95', 'p95_ms'],
    ['p99', 'p99_ms'],
    ['max', 'max_ms'],
    ['texts/s', 'texts_per_second'],
    ['accuracy', 'accuracy'],
    ['MB', 'memory_mb'],
    ['padding', 'padding'],
    ['USD/million', 'usd_per_million_texts'],
    ['status', 'status'],
];

function cellOf(c, key) {
    const value = c[key];
    if (typeof value === 'string')
        return h('td.t', null, key === 'status' && c.failure ? `${value}: ${c.failure}` : value);
    if (value !== null && (key === 'accuracy' || key === 'padding')) return h('td', null, `${short(value * 100, 3)} %`);
    return h('td', null, short(value));
}

function compareBy(key, down) {
    return (a, b) => {
        const x = a[key],
            y = b[key];
        if (x === null || y === null) return (x === null) - (y === null); /* what is not known comes last */
        return (x > y ? 1 : x < y ? -1 : 0) * (down ? -1 : 1);
    };
}

function configurations(report) {
    const columns = COLUMNS.filter(([, key]) => report.cells.some(c => c[key] !== null && c[key] !== ''));
    const table = h('table.cells'),
        filter = h('input', {
            type: 'search',
            placeholder: 'model, target, precision …',
            'aria-label': 'Filter the configurations',
        });
    let order = null,
        down = false;
    const head = ([name, key]) =>
        h(
            report.cells.some(c => typeof c[key] === 'string') ? 'th.t' : 'th',
            {scope: 'col', 'aria-sort': order === key ? (down ? 'descending' : 'ascending') : null},
            h(
                'button',
                {
                    type: 'button',
                    onclick: () => {
                        down = order === key && !down;
                        order = key;
                        draw();
                    },
                },
                name + (order === key ? (down ? ' ▾' : ' ▴') : ''),
            ),
        );
    function draw() {
        const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
        const list = report.cells.filter(c => {
            const text = `${c.model} ${c.place} ${c.variant} ${c.scenario} ${c.data} ${c.status}`.toLowerCase();
            return words.every(word => text.includes(word));
        });
        if (order) list.sort(compareBy(order, down));
        table.replaceChildren(
            h('thead', null, h('tr', null, columns.map(head))),
            h(
                'tbody',
                null,
                list.map(c =>
                    h(
                        c.status === 'ok' ? 'tr' : 'tr.bad',
                        null,
                        columns.map(([, key]) => cellOf(c, key)),
                    ),
                ),
            ),
        );
    }
    filter.addEventListener('input', draw);
    draw();
    return h(
        'section.pane',
        null,
        h('h2', null, 'All configurations'),
        h(
            'p.note',
            null,
            'Latencies in ms; percentiles are order statistics (nearest rank), – where the trials are too few. Click a heading to sort.',
        ),
        h('div.switches', null, filter),
        h('div.scroll', {tabindex: 0, role: 'region', 'aria-label': 'All configurations'}, table),
    );
}

function environments(report) {
    const rows = run =>
        [['uid', run.uid], ['command', run.command], ...Object.entries(run.environment)].filter(([, value]) => value);
    return h(
        'section.pane',
        null,
        h('h2', null, 'Environment'),
        report.runs.map(run =>
            h(
                'details',
                null,
                h('summary', null, `${run.name}, ${run.started}`),
                h(
                    'div.scroll',
                    {tabindex: 0, role: 'region', 'aria-label': `Environment of ${run.name}`},
                    h(
                        'table.cells',
                        null,
                        h(
                            'tbody',
                            null,
                            rows(run).map(([name, value]) =>
                                h('tr', null, h('th.t', {scope: 'row'}, name), h('td.t', null, value)),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    );
}

/** One sentence on what the report rests on. */
export function about(report) {
    const older = report.older ? ` ${report.older} older measurements of the same are left out.` : '';
    return `${report.cells.length} configurations, ${report.latencies} latencies, ${report.failed} failed. Nothing is removed.${older} berth ${report.berth}.`;
}

/** All figures and tables, as elements in their order. */
export function figures(report, {withPareto = true} = {}) {
    return [
        ...latencyFigures(report),
        ...variantFigure(report),
        ...(withPareto ? paretoFigure(report) : []),
        ...loadFigure(report),
        ...distributionFigure(report),
        ...studyTable(report),
        configurations(report),
        environments(report),
    ];
}
