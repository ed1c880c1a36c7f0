// log.js: every trial, sortable, and out of the page as CSV or JSON.
import {h, byId, throttled, download} from './dom.js';
import {store, choice, choose, on, colour, isRight, labelName, latency} from './store.js';
import {time, percent, count} from './numbers.js';

const STEP = 25;
let rows = STEP;

const tokens = trial => Math.max(0, ...Object.values(trial.answers).map(answer => answer.tokens || 0));

function columns() {
    return [
        {id: 'id', name: '#', value: trial => trial.number},
        {id: 'time', name: 'Time', value: trial => trial.time},
        {id: 'text', name: 'Text', value: trial => trial.text},
        {id: 'tokens', name: 'Tokens', value: tokens},
        {id: 'truth', name: 'Truth', value: trial => labelName(trial.truth) || ''},
        ...store.deployments.flatMap((item, i) => [
            {
                id: `d${i}`,
                name: item.name,
                deployment: item.name,
                value: trial => trial.answers[item.name]?.score ?? -1,
            },
            {
                id: `t${i}`,
                name: 'time',
                label: `${item.name}: time`,
                value: trial => latency(trial.answers[item.name]) ?? Infinity,
            },
        ]),
    ];
}

function sorted(list) {
    const [id, way] = (choice.sort || 'time-down').split('-');
    const column = list.find(item => item.id === id) || list[1];
    const sign = way === 'up' ? 1 : -1;
    const keyed = store.trials.map((trial, i) => [column.value(trial), i, trial]);
    keyed.sort(
        (a, b) =>
            sign * (typeof a[0] === 'string' ? a[0].localeCompare(b[0]) : a[0] === b[0] ? 0 : a[0] < b[0] ? -1 : 1) ||
            b[1] - a[1],
    );
    return keyed.map(item => item[2]);
}

function heading(column) {
    const [id, way] = (choice.sort || 'time-down').split('-');
    const mine = id === column.id;
    const next = mine && way === 'down' ? 'up' : 'down';
    return h(
        'th',
        {
            scope: 'col',
            'aria-sort': mine ? (way === 'up' ? 'ascending' : 'descending') : null,
            style: column.deployment ? {'--own': colour(column.deployment)} : null,
        },
        h(
            'button.sort',
            {
                type: 'button',
                'aria-label': `Sort by ${column.label || column.name}`,
                onclick: () => choose({sort: `${column.id}-${next}`}),
            },
            column.deployment ? h('span.key', null) : null,
            column.name,
            h('span', {'aria-hidden': 'true'}, mine ? (way === 'up' ? ' ↑' : ' ↓') : ''),
        ),
    );
}

function answerCells(trial, name) {
    const answer = trial.answers[name];
    if (!answer) return [h('td', null, '–'), h('td', null, '–')];
    if (answer.error) return [h('td.down', {title: answer.error}, 'no answer'), h('td', null, '–')];
    const right = isRight(answer, trial.truth);
    return [
        h(
            `td${right === false ? '.wrong' : ''}`,
            null,
            `${right === false ? '✗ ' : ''}${answer.label ?? ''} `,
            h('span.note', null, answer.label ? percent(answer.score, 1) : String(answer.score)),
        ),
        h(
            'td',
            {title: `queue ${time(answer.queue_us)}; ${answer.runs || 1} run${answer.runs > 1 ? 's' : ''}`},
            time(latency(answer)),
        ),
    ];
}

const clock = new Intl.DateTimeFormat('en-GB', {timeStyle: 'medium'});
const day = new Intl.DateTimeFormat('en-GB', {dateStyle: 'full'});

function row(trial) {
    return h(
        'tr',
        null,
        h('td', null, trial.number),
        h('td', {title: day.format(trial.time)}, clock.format(trial.time)),
        h(
            'td.text',
            {dir: 'auto', title: trial.text.slice(0, 500)},
            trial.text.slice(0, 160),
            trial.pair ? ` ⁄ ${trial.pair.slice(0, 80)}` : '',
        ),
        h('td', null, tokens(trial) || '–'),
        h('td', null, labelName(trial.truth) || '–'),
        store.deployments.map(item => answerCells(trial, item.name)),
    );
}

function render() {
    const list = columns();
    const all = sorted(list);
    byId('log-table').replaceChildren(
        h('thead', null, h('tr', null, list.map(heading))),
        h('tbody', null, all.slice(0, rows).map(row)),
    );
    byId('log-more').hidden = all.length <= rows;
    const kept = store.results.file
        ? `kept in ${store.results.file}`
        : 'kept until the server ends; --results FILE keeps it longer';
    byId('log-note').textContent =
        `${count(all.length)} trial${all.length === 1 ? '' : 's'}, ${kept}${store.results.error ? `; ${store.results.error}` : ''}`;
    byId('export-csv').disabled = byId('export-json').disabled = !all.length;
}

/* ---- export ---- */

const quoted = value =>
    value === null || value === undefined
        ? ''
        : /[",\r\n]/.test(value)
          ? `"${String(value).replaceAll('"', '""')}"`
          : String(value);

/** A row a run, as RFC 4180 has it. */
export function csv() {
    const head = [
        'trial',
        'time',
        'text',
        'pair',
        'truth',
        'deployment',
        'run',
        'label',
        'score',
        'right',
        'tokens',
        'queue_us',
        'compute_us',
        'total_us',
        'error',
    ];
    const lines = [head.join(',')];
    for (const trial of store.trials)
        for (const [name, answer] of Object.entries(trial.answers))
            answer.samples.forEach((a, i) =>
                lines.push(
                    [
                        trial.number,
                        new Date(trial.time).toISOString(),
                        trial.text,
                        trial.pair,
                        labelName(trial.truth),
                        name,
                        i + 1,
                        a.label,
                        a.score,
                        isRight(answer, trial.truth),
                        a.tokens,
                        a.queue_us,
                        a.compute_us,
                        a.total_us,
                        a.error,
                    ]
                        .map(quoted)
                        .join(','),
                ),
            );
    return `${lines.join('\r\n')}\r\n`;
}

const exported = trial => ({
    trial: trial.number,
    time: new Date(trial.time).toISOString(),
    text: trial.text,
    pair: trial.pair,
    truth: labelName(trial.truth),
    answers: Object.values(trial.answers).map(({samples, ...answer}) => ({
        ...answer,
        right: isRight(answer, trial.truth),
        samples,
    })),
});

export function start() {
    const later = throttled(render, 150);
    on('trials', later);
    on('choice', later);
    on('data', later);
    byId('log-more').addEventListener('click', () => {
        rows += 100;
        render();
    });
    byId('export-csv').addEventListener('click', () => download('berth-log.csv', 'text/csv;charset=utf-8', csv()));
    byId('export-json').addEventListener('click', () =>
        download(
            'berth-log.json',
            'application/json',
            `${JSON.stringify({deployments: store.deployments, trials: store.trials.map(exported)}, null, 1)}\n`,
        ),
    );
    render();
}
