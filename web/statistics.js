// statistics.js: what all trials together say of each deployment, and the run over all sentences.
import {h, byId, throttled} from './dom.js';
import {store, choice, choose, on, colour, isRight, latency, keyOf, labelName} from './store.js';
import {time, percent, ratio, count, quantile, mean, wilson, calibration} from './numbers.js';
import {baseline, runTrial, keep} from './try.js';
import {filtered} from './sentences.js';
import * as figures from './figures.js';

function inScope() {
    if (choice.scope === 'now') return store.trials.filter(trial => trial.time >= store.opened);
    if (choice.scope !== 'file') return store.trials;
    const known = new Set(store.sentences.map(keyOf));
    return store.trials.filter(trial => known.has(keyOf(trial)));
}

/** One deployment over the trials. Accuracy counts a sentence once, with its newest answer; latency counts every trial. */
function summarise(name, trials) {
    const times = [],
        queues = [],
        speedups = [],
        newest = new Map();
    let tried = 0,
        failed = 0;
    for (const trial of trials) {
        const answer = trial.answers[name];
        if (!answer) continue;
        tried++;
        if (answer.error) {
            failed++;
            continue;
        }
        const mine = latency(answer),
            base = latency(trial.answers[baseline()]);
        for (const sample of answer.samples) {
            if (latency(sample)) times.push(latency(sample));
            if (Number.isFinite(sample.queue_us)) queues.push(sample.queue_us);
        }
        if (mine && base) speedups.push(base / mine);
        if (trial.truth !== null && trial.truth !== '') newest.set(keyOf(trial), [answer, trial.truth]);
    }
    const judged = [...newest.values()]
        .map(([answer, truth]) => [answer, truth, isRight(answer, truth)])
        .filter(([, , right]) => right !== null);
    const right = judged.filter(([, , good]) => good).length;
    times.sort((a, b) => a - b);
    return {
        name,
        tried,
        failed,
        times,
        judged,
        right,
        queue: queues.length ? mean(queues) : null,
        speedup: speedups.length ? Math.exp(mean(speedups.map(Math.log))) : NaN,
        calibration: calibration(judged.map(([answer, , good]) => [answer.score, good])),
    };
}

const columns = [
    ['Deployment', ''],
    ['Runs', 'on which the times rest; those that failed are told'],
    ['Accuracy', 'of sentences with a known label, each counted once'],
    ['95 % interval', 'Wilson’s'],
    ['Mean', 'compute time; for servers that do not tell theirs, the round trip'],
    ['p50', ''],
    ['p95', 'nearest rank; needs 20 trials'],
    ['p99', 'nearest rank; needs 100 trials'],
    ['Queue', 'mean wait'],
    ['Speed-up', 'geometric mean over trials, against the baseline'],
    ['Calibration error', 'expected, ten bins of confidence'],
];

function line(item) {
    const accuracy = item.judged.length ? item.right / item.judged.length : NaN;
    const [low, high] = wilson(item.right, item.judged.length);
    const cell = (text, title) => h('td', {title}, text);
    return h(
        'tr',
        {'data-deployment': item.name},
        h('th', {scope: 'row', style: {'--own': colour(item.name)}}, h('span.key', null), item.name),
        cell(`${count(item.times.length)}${item.failed ? ` (${count(item.failed)} failed)` : ''}`),
        cell(
            percent(accuracy, 1),
            item.judged.length ? `${item.right} of ${item.judged.length}` : 'no labelled sentence yet',
        ),
        cell(item.judged.length ? `${percent(low, 1).replace(' %', '')}–${percent(high, 1)}` : '–'),
        cell(item.times.length ? time(mean(item.times)) : '–'),
        ...[0.5, 0.95, 0.99].map(p => cell(time(quantile(item.times, p)))),
        cell(time(item.queue)),
        cell(ratio(item.speedup)),
        cell(percent(item.calibration.error, 1)),
    );
}

function matrix(item) {
    const labels = store.data.labels.length
        ? store.data.labels
        : store.deployments.find(entry => entry.name === item.name)?.labels || [];
    if (!labels.length || labels.length > 6 || !item.judged.length) return null;
    const place = name => labels.findIndex(label => label.toLowerCase() === String(name).toLowerCase());
    const cells = labels.map(() => labels.map(() => 0));
    for (const [answer, truth, good] of item.judged) {
        const row = place(labelName(truth)) >= 0 ? place(labelName(truth)) : Number(truth);
        const column = good ? row : place(answer.label) >= 0 ? place(answer.label) : answer.label_id;
        if (cells[row]?.[column] !== undefined) cells[row][column]++;
    }
    return figures.confusion(item.name, labels, cells);
}

function render() {
    const trials = inScope();
    const items = store.deployments.map(item => summarise(item.name, trials));
    byId('statistics-note').textContent = trials.length
        ? `over ${count(trials.length)} ${trials.length === 1 ? 'trial' : 'trials'}; times are of compute, without the queue`
        : 'No trial yet: pick a sentence, or run them all.';
    byId('statistics-table').replaceChildren(
        h(
            'thead',
            null,
            h(
                'tr',
                null,
                columns.map(([name, title]) => h('th', {scope: 'col', title}, name)),
            ),
        ),
        h('tbody', null, items.map(line)),
    );
    const names = store.deployments.map(item => item.name);
    const drawn = [
        figures.histogram(items.map(item => [item.name, item.times])),
        figures.reliability(items.map(item => [item.name, item.calibration])),
        figures.confusions(items.map(matrix).filter(Boolean)),
    ].filter(Boolean);
    byId('figures').replaceChildren(...(drawn.length ? [figures.legend(names), ...drawn] : []));
}

/* ---- the run over all sentences ---- */

let running = null; // {paused, stopped}

function controls(done, total) {
    byId('run-all').disabled = Boolean(running);
    byId('pause').disabled = byId('stop').disabled = !running;
    byId('pause').textContent = running?.paused ? 'Go on' : 'Pause';
    const progress = byId('progress');
    progress.max = total || 1;
    progress.value = done;
}

const resting = () =>
    new Promise(resolve => {
        running.wake = resolve;
    });

async function runAll() {
    const wanted = filtered();
    const items = wanted.map(i => store.sentences[i]);
    const runs = Number(choice.runs) || 1;
    running = {paused: false, stopped: false};
    const mine = running,
        started = performance.now();
    let batch = [],
        done = 0;
    const tell = throttled(() => {
        const seconds = (performance.now() - started) / 1000;
        byId('progress-note').textContent =
            running === mine
                ? `${count(done)} of ${count(items.length)}${mine.paused ? ', paused' : done ? `, ${Math.max(1, Math.round((seconds / done) * (items.length - done)))} s left` : ''}`
                : `${count(done)} of ${count(items.length)} run${mine.stopped ? ', then stopped' : ''}`;
        controls(done, items.length);
    });
    tell();
    for (const item of items) {
        if (mine.paused && !mine.stopped) {
            tell();
            await resting();
        }
        if (mine.stopped) break;
        const trial = await runTrial(item, runs, () => !mine.stopped);
        if (!trial) break;
        batch.push(trial);
        done++;
        if (batch.length >= 25 || mine.paused) {
            await keep(batch);
            batch = [];
        }
        tell();
    }
    if (batch.length) await keep(batch);
    running = null;
    tell();
}

export function start() {
    const later = throttled(render, 120);
    on('trials', later);
    on('data', later);
    on('choice', later);
    byId('scope').value = choice.scope;
    byId('scope').addEventListener('change', event => choose({scope: event.target.value}));
    byId('run-all').addEventListener('click', runAll);
    byId('pause').addEventListener('click', () => {
        running.paused = !running.paused;
        if (!running.paused) running.wake?.();
        controls(byId('progress').value, byId('progress').max);
    });
    byId('stop').addEventListener('click', () => {
        running.stopped = true;
        running.wake?.();
    });
    render();
}
