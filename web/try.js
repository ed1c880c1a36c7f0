// try.js: one text through every deployment: from the list, or typed. One deployment of this server after the other, so that none
// is measured while another computes; those of other servers together, when these are done.
import {h, byId, toast} from './dom.js';
import {
    store,
    choice,
    choose,
    on,
    changed,
    addTrials,
    deployment,
    keyOf,
    latency,
    labelName,
    disagree,
    isRight,
} from './store.js';
import {options} from './sentences.js';
import {median} from './numbers.js';
import * as api from './api.js';

/** One answer of several to the same text by one deployment: medians of the times, and how far they spread. */
export function summarise(answers) {
    const answer = {...answers[answers.length - 1], runs: answers.length, samples: answers};
    for (const part of ['queue_us', 'tokenize_us', 'compute_us', 'total_us']) {
        const times = answers.map(item => item[part]).filter(Number.isFinite);
        answer[part] = times.length ? median(times) : null;
    }
    const times = answers.map(latency).filter(Number.isFinite);
    if (times.length > 1) answer.range = [Math.min(...times), Math.max(...times)];
    return answer;
}

/** One text, `runs` times through one deployment. */
async function measure(name, text, pair, runs) {
    const answers = [];
    for (let i = 0; i < runs; i++) {
        const answer = await api.predict(name, text, pair);
        answers.push(answer);
        if (answer.error) return {...answer, samples: [answer]};
    }
    return summarise(answers);
}

/** A whole trial. `each(answer)` is told of every answer as it comes; false stops. Null when stopped. */
export async function runTrial(item, runs, each = () => true) {
    const trial = {time: Date.now(), text: item.text, pair: item.pair || null, truth: item.label ?? null, answers: {}};
    const one = async entry => {
        const answer = await measure(entry.name, item.text, item.pair, runs);
        trial.answers[entry.name] = answer;
        return each(answer, trial) !== false;
    };
    for (const entry of store.deployments.filter(other => other.kind !== 'remote'))
        if (!(await one(entry))) return null;
    const rest = await Promise.all(store.deployments.filter(entry => entry.kind === 'remote').map(one));
    return rest.every(Boolean) ? trial : null;
}

/** A trial as the log has it: every run of every deployment by itself, labels by name. */
function toLog(trial) {
    const one = a =>
        a.error
            ? {deployment: a.deployment, error: a.error}
            : {
                  deployment: a.deployment,
                  label: a.label,
                  score: a.score,
                  tokens: a.tokens,
                  queue_us: a.queue_us,
                  compute_us: a.compute_us,
                  total_us: a.total_us,
              };
    return {
        time: trial.time,
        text: trial.text,
        pair: trial.pair,
        truth: labelName(trial.truth),
        answers: Object.values(trial.answers).flatMap(a => a.samples.map(one)),
    };
}

function fromLog(kept) {
    const groups = new Map();
    for (const answer of kept.answers) {
        const labels = deployment(answer.deployment)?.labels || [];
        if (answer.label) answer.label_id = labels.indexOf(answer.label);
        groups.set(answer.deployment, [...(groups.get(answer.deployment) || []), answer]);
    }
    const answers = {};
    for (const [name, list] of groups) answers[name] = list[0].error ? {...list[0], samples: list} : summarise(list);
    return {...kept, answers};
}

/** Into the log: the server numbers them, and keeps them. */
export async function keep(trials) {
    let ids = [];
    try {
        ids = (await api.record(trials.map(toLog))).ids;
        trials.forEach((trial, i) => {
            trial.id = ids[i];
        });
    } catch (fault) {
        toast(`Not kept in the log: ${fault.message}`);
    }
    addTrials(trials);
}

/** The log from where we have it to its end: other browsers' trials come with it. */
export async function readLog() {
    for (let more = true; more;) {
        const piece = await api.log(store.seen);
        addTrials(piece.trials.map(fromLog));
        store.seen = piece.next;
        more = piece.more;
    }
}

let generation = 0;
let typing;

export function current() {
    const text = byId('text').value,
        pair = byId('pair').hidden ? '' : byId('pair').value;
    return {text, pair: pair || null, label: byId('truth').value || null};
}

/** Runs what stands in the fields. A preview (while somebody types) is shown and not logged. */
async function run(preview) {
    clearTimeout(typing);
    delete document.documentElement.dataset.trial;
    const item = current();
    const mine = ++generation;
    if (!item.text && !item.pair) {
        store.current = null;
        changed('current');
        return;
    }
    if (preview && item.text.length > 20000) return;
    const started = performance.now();
    const runs = preview ? 1 : Number(choice.runs) || 1;
    store.current = {text: item.text, pair: item.pair, truth: item.label, answers: {}, running: true, preview};
    changed('current');
    const trial = await runTrial(item, runs, (answer, running) => {
        if (mine !== generation) return false;
        store.current.answers = running.answers;
        changed('current');
        return true;
    });
    if (!trial || mine !== generation) return;
    store.current = {...trial, preview, elapsed: performance.now() - started};
    changed('current');
    document.documentElement.dataset.trial = 'shown';
    if (preview) return;
    await keep([store.current]);
    if (mine === generation) document.documentElement.dataset.trial = 'done';
}

export function pickSentence(i, step = true) {
    const item = store.sentences[i];
    if (!item) return;
    fill(item);
    choose({s: String(i), text: '', pair: ''}, step);
    run(false);
    if (step && matchMedia('(max-width: 899px)').matches)
        byId('answers').scrollIntoView({
            behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
        });
}

function fill(item) {
    byId('text').value = item.text;
    byId('pair').value = item.pair || '';
    if (item.pair) showPair(true);
    byId('truth').value = item.label ?? '';
    grow();
}

function grow() {
    for (const box of [byId('text'), byId('pair')])
        box.rows = Math.max(2, Math.min(8, Math.ceil(Math.min(box.value.length, 1000) / 70)));
}

function showPair(visible) {
    byId('pair').hidden = !visible;
    byId('pair-toggle').setAttribute('aria-expanded', String(visible));
    byId('pair-toggle').textContent = visible ? 'One text only' : 'Second text';
}

function typed() {
    byId('truth').value = '';
    grow();
    choose({s: '', text: byId('text').value, pair: byId('pair').hidden ? '' : byId('pair').value});
    generation++;
    delete document.documentElement.dataset.trial;
    clearTimeout(typing);
    typing = setTimeout(() => run(true), 250);
}

function verdict() {
    const trial = store.current;
    const box = byId('verdict');
    if (!trial) {
        box.textContent = 'Pick a sentence on the left, or type one.';
        return;
    }
    if (trial.running) return;
    const answers = Object.values(trial.answers),
        failed = answers.filter(answer => answer.error).length;
    const parts = [];
    if (answers.length - failed > 1) parts.push(disagree(trial) ? 'The answers differ.' : 'All give the same answer.');
    const rights = answers.map(answer => isRight(answer, trial.truth)).filter(right => right !== null);
    if (rights.length)
        parts.push(
            `${rights.filter(Boolean).length} of ${rights.length} agree with the truth, ${labelName(trial.truth)}.`,
        );
    if (failed) parts.push(`${failed} did not answer.`);
    if (trial.preview) parts.push('A preview while you type: Enter logs it.');
    box.textContent = parts.join(' ');
}

export function renderControls() {
    const known = store.data.labels.length ? store.data.labels : store.deployments[0]?.labels || [];
    const used = [...new Set(store.sentences.map(item => item.label).filter(Boolean))];
    const value = byId('truth').value;
    // Labels as the file writes them, so that a sentence's own label is one of the choices.
    const choices = used.length && used.length <= 50 ? used.sort() : known.map((_, i) => String(i));
    options(
        byId('truth'),
        [
            ['', 'unknown'],
            ...choices.map(label => [label, store.data.labels.length ? labelName(label) : (known[label] ?? label)]),
        ],
        value,
    );
    options(
        byId('baseline'),
        store.deployments.map(item => [item.name, item.name]),
        baseline(),
    );
    byId('runs').value = choice.runs;
}

export const baseline = () =>
    store.deployments.some(item => item.name === choice.base) ? choice.base : store.deployments[0]?.name;

/** What the address asks for, at the beginning and after Back. */
export function restore() {
    const item = choice.s !== '' ? store.sentences[choice.s] : null;
    const known = item && store.latest.get(keyOf(item));
    if (item && known && store.deployments.every(entry => known.answers[entry.name])) {
        fill(item);
        store.current = known; // what the log has is shown, not run again
        changed('current');
        changed('choice');
        document.documentElement.dataset.trial = 'done';
    } else if (item) pickSentence(Number(choice.s), false);
    else if (choice.text) {
        byId('text').value = choice.text;
        byId('pair').value = choice.pair;
        if (choice.pair) showPair(true);
        grow();
        run(true);
    } else verdict();
}

export function start() {
    const submit = event => {
        event?.preventDefault();
        run(false);
    };
    byId('try').addEventListener('submit', submit);
    for (const box of [byId('text'), byId('pair')]) {
        box.addEventListener('input', typed);
        box.addEventListener('keydown', event => {
            if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event);
        });
    }
    byId('truth').addEventListener('change', () => {
        if (store.current) run(true);
    });
    byId('runs').addEventListener('change', event => {
        choose({runs: event.target.value});
        if (store.current) run(false);
    });
    byId('baseline').addEventListener('change', event => choose({base: event.target.value}));
    byId('pair-toggle').addEventListener('click', () => {
        showPair(byId('pair').hidden);
        typed();
    });
    on('data', renderControls);
    on('current', verdict);
    on('choice', () => {
        byId('baseline').value = baseline() ?? '';
    });
    if (store.deployments.some(item => item.pairs)) showPair(true);
}
