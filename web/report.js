// report.js: the report view: which deployment meets an objective, and the figures of `berth report` for the results file.
import {h} from './dom.js';
import {panel, short} from './plots.js';
import {about, figures, metrics, pareto, rivals} from './report-figures.js';
import * as api from './api.js';

const STEPS = 60; // of a slider; beyond its last one lies "any"
const SHOWN = 5; // deployments of a list

/* ---- the objective ---- */

const limits = [
    {name: 'p50_ms', title: 'p50 at most', unit: ' ms', of: c => c.p50_ms, log: true},
    {name: 'p90_ms', title: 'p90 at most', unit: ' ms', of: c => c.p90_ms, log: true},
    {name: 'p99_ms', title: 'p99 at most', unit: ' ms', of: c => c.p99_ms, log: true},
    {name: 'min_accuracy', title: 'Accuracy at least', unit: ' %', factor: 100, least: true, of: c => c.accuracy},
    {name: 'min_rate', title: 'Texts a second at least', unit: '', least: true, log: true, of: c => c.texts_per_second},
    {name: 'max_memory_mb', title: 'Memory at most', unit: ' MB', log: true, of: c => c.memory_mb},
];

/** The values a slider of this limit stands for, from any to the strictest. */
function steps(limit, cells) {
    const values = cells.map(limit.of).filter(value => value !== null && value > 0);
    if (!values.length) return null;
    const room = limit.name === 'min_accuracy' ? 1 : 1.3;
    const low = Math.min(...values) / room,
        high = Math.max(...values) * room;
    const at = share => Number((limit.log ? low * (high / low) ** share : low + (high - low) * share).toPrecision(3));
    const list = Array.from({length: STEPS + 1}, (_, i) => at(limit.least ? i / STEPS : 1 - i / STEPS));
    return [null, ...list];
}

function slider(limit, cells, objective, changed) {
    const values = steps(limit, cells);
    if (!values) return null;
    const output = h('output', null, 'any');
    const shown = value => (value === null ? 'any' : `${short(value * (limit.factor || 1), 3)}${limit.unit}`);
    const input = h('input', {
        type: 'range',
        min: 0,
        max: values.length - 1,
        value: 0,
        'data-limit': limit.name,
        'aria-label': limit.title,
        'aria-valuetext': 'any',
        oninput: () => {
            const value = values[Number(input.value)];
            output.textContent = shown(value);
            input.setAttribute('aria-valuetext', shown(value));
            if (value === null) delete objective[limit.name];
            else objective[limit.name] = value;
            changed();
        },
    });
    return h('label', null, limit.title, output, input);
}

/* ---- the recommendation ---- */

const title = d =>
    [
        d.model,
        d.precision,
        d.runtime === 'native' ? null : d.runtime,
        d.optimization || null,
        d.target === 'local' ? null : d.target,
        `batch ${d.batch}`,
        `${d.threads} thread${d.threads === 1 ? '' : 's'}`,
        d.rate ? `${short(d.rate)}/s` : null,
        d.concurrency > 1 ? `${d.concurrency} at once` : null,
    ]
        .filter(Boolean)
        .join(' · ');

function values(d) {
    return [
        d.p50_ms !== null ? `p50 ${short(d.p50_ms, 3)} ms` : null,
        d.p99_ms !== null ? `p99 ${short(d.p99_ms, 3)} ms` : null,
        d.accuracy !== null ? `accuracy ${short(d.accuracy * 100, 3)} %` : null,
        d.texts_per_second !== null ? `${short(d.texts_per_second, 3)} texts/s` : null,
        d.memory_mb !== null ? `${short(d.memory_mb, 3)} MB` : null,
    ]
        .filter(Boolean)
        .join(' · ');
}

function entry(d, why) {
    return h(
        'li',
        null,
        h('strong', null, title(d)),
        h('span.note', null, values(d)),
        why ? h('span.note', null, why) : null,
    );
}

/** Why a deployment falls out, or how sure it is of its place. */
const reasons = d =>
    d.checks
        .filter(check => check.standing !== 'met')
        .map(check => check.why)
        .join('; ') || d.status;

function verdict(answer) {
    const {recommended, meets, excluded} = answer;
    const best = recommended
        ? [
              h(
                  'div.chosen',
                  {'data-testid': 'recommended'},
                  h('h3', null, title(recommended)),
                  h('p', null, values(recommended)),
                  reasons(recommended) ? h('p.note', null, reasons(recommended)) : null,
              ),
          ]
        : [h('p.chosen.none', {'data-testid': 'recommended'}, 'Nothing that was measured meets this objective.')];
    const more = (name, list, why) =>
        list.length
            ? [
                  h('h3', null, name),
                  h(
                      'ol.ranked',
                      null,
                      list.slice(0, SHOWN).map(d => entry(d, why(d))),
                  ),
                  list.length > SHOWN ? h('p.note', null, `and ${list.length - SHOWN} more`) : null,
              ]
            : [];
    return [...best, more('Next', meets.slice(1), () => ''), more('Excluded, the nearest first', excluded, reasons)];
}

/** Whether a configuration of the report belongs to the deployment. */
const same = (c, d) =>
    Boolean(d) &&
    ['model', 'target', 'runtime', 'optimization', 'precision', 'threads', 'batch', 'scenario'].every(
        key => c[key] === d[key],
    );

function chooser(report) {
    const objective = {},
        cells = report.cells.filter(c => c.status === 'ok');
    const answerBox = h('div', {'aria-live': 'polite'}),
        plotBox = h('div.panels');
    let recommended = null,
        asked = 0,
        waiting;
    const drawPlot = () => {
        const asks = ['p99_ms', 'p90_ms', 'p50_ms'].find(name => objective[name] !== undefined) || 'p50_ms';
        plotBox.replaceChildren(
            rivals(report).length
                ? panel(
                      'Accuracy against latency',
                      pareto(report, asks, new Set(), c => same(c, recommended)),
                      {
                          x: `${metrics[asks]} latency (ms)`,
                          y: 'accuracy (%)',
                          logX: true,
                          logY: false,
                          limitX: objective[asks],
                          limitY: objective.min_accuracy === undefined ? undefined : objective.min_accuracy * 100,
                      },
                  )
                : h(
                      'p.note',
                      null,
                      'No accuracy was measured: berth bench --data FILE --task T -o FILE measures it on the same requests.',
                  ),
        );
    };
    const ask = async () => {
        const mine = ++asked;
        try {
            const answer = await api.recommend(objective);
            if (mine !== asked) return; // a newer question is on its way
            recommended = answer.recommended;
            answerBox.replaceChildren(...verdict(answer).flat());
        } catch (fault) {
            if (mine !== asked) return;
            recommended = null;
            answerBox.replaceChildren(h('p.down', null, fault.message));
        }
        drawPlot();
    };
    const changed = () => {
        drawPlot();
        clearTimeout(waiting);
        waiting = setTimeout(ask, 120);
    };
    const section = h(
        'section.pane',
        {'aria-labelledby': 'choose-title', 'data-testid': 'choose'},
        h('h2', {id: 'choose-title'}, 'Which deployment?'),
        h(
            'p.note',
            null,
            'Move the limits: the recommendation is berth recommend’s. Dashed red: the limits; dashed grey: nothing beats it in both.',
        ),
        h(
            'div.objective',
            null,
            limits.map(limit => slider(limit, cells, objective, changed)),
        ),
        h('div.choose', null, plotBox, answerBox),
    );
    drawPlot();
    return {section, ask};
}

/* ---- the view ---- */

export async function start(root) {
    root.replaceChildren(h('p.note', {role: 'status'}, 'Reading the results…'));
    let report;
    try {
        report = await api.report();
        if (report.error) throw new Error(report.error);
    } catch (fault) {
        root.replaceChildren(
            h(
                'section.pane',
                {'data-testid': 'report-ready'},
                h('h2', null, 'No report yet'),
                h('p', null, fault.message),
                h(
                    'p.note',
                    null,
                    'berth bench -m MODEL --precision fp32,int8 -o FILE measures; berth serve --results FILE shows it here.',
                ),
            ),
        );
        return;
    }
    const choose = chooser(report);
    root.replaceChildren(h('p.note', null, about(report)), choose.section, ...figures(report, {withPareto: false}));
    await choose.ask();
    root.append(h('p.only-read', {'data-testid': 'report-ready'}, 'The report is complete.'));
}
