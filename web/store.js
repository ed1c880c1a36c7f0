// store.js: what the page knows, and who is told when it changes. What a person chose stands in the address, so that a copied
// address shows the same; what was measured stands in the log, which the server keeps.

/** Everything the views share. `trials` are newest last; `latest` finds a text's newest trial. */
export const store = {
    deployments: [], // as /api/deployments has them
    data: {name: '', count: 0, labels: [], truncated: false},
    results: {},
    sentences: [], // {text, pair, label}
    trials: [],
    latest: new Map(),
    ids: new Set(), // of those trials
    seen: 0, // the log is known up to here (its "next")
    current: null, // the trial that the cards show
    opened: Date.now(),
};

const listeners = new Map();

/** Calls `tell` whenever `what` ('trials', 'current', 'choice', 'data') has changed. */
export function on(what, tell) {
    listeners.set(what, [...(listeners.get(what) || []), tell]);
}

export function changed(what) {
    for (const tell of listeners.get(what) || []) tell();
}

export const keyOf = item => `${item.text}\u0000${item.pair || ''}`;

/** Takes trials in, each once: the log brings back what this page wrote. */
export function addTrials(trials) {
    for (const trial of trials) {
        if (trial.id !== undefined) {
            if (store.ids.has(trial.id)) continue;
            store.ids.add(trial.id);
        }
        for (const [name, answer] of Object.entries(trial.answers)) answer.deployment = name;
        trial.number = store.trials.length + 1;
        store.trials.push(trial);
        store.latest.set(keyOf(trial), trial);
    }
    changed('trials');
}

export const deployment = name => store.deployments.find(item => item.name === name);

/** A colour of its own for each deployment, distinct also to colour-blind eyes (Okabe and Ito), from the style sheet. */
export const colour = name => `var(--series-${store.deployments.findIndex(item => item.name === name) % 8})`;

/* ---- truth ---- */

const plain = label => String(label).trim().toLowerCase();
const index = label =>
    /^\d+$/.test(label) ? Number(label) : /^\d+\.0+$/.test(label) ? Number.parseInt(label, 10) : -1;

/** The name of a label as the data's task has it: "1" is "positive" where the task says so. */
export function labelName(label) {
    if (label === null || label === undefined || label === '') return null;
    return store.data.labels[index(label)] ?? String(label);
}

/** Whether a deployment's answer is the truth: by name where the deployment has that name, else by place. Null: nobody can tell. */
export function isRight(answer, truth, task = store.data.labels) {
    if (
        !answer ||
        answer.error ||
        truth === null ||
        truth === undefined ||
        truth === '' ||
        answer.label === null ||
        answer.label === undefined
    )
        return null;
    const names = (deployment(answer.deployment)?.labels || []).map(plain);
    const name = plain(task[index(truth)] ?? truth);
    if (plain(answer.label) === name) return true;
    if (names.includes(name) || !names.length) return false;
    const place = index(truth) >= 0 ? index(truth) : task.findIndex(item => plain(item) === name);
    return place < 0 ? null : answer.label_id === place;
}

/** Whether the deployments that answered gave different labels. Where their names differ, their places are compared. */
export function disagree(trial) {
    const answers = Object.values(trial.answers).filter(answer => !answer.error && answer.label);
    const names = new Set(answers.map(answer => plain(answer.label)));
    if (names.size < 2) return false;
    if (answers.some(answer => /^label_\d+$/i.test(answer.label)))
        return new Set(answers.map(answer => answer.label_id)).size > 1;
    return true;
}

/** What a deployment took for a text: its own compute, or for a server that does not tell, the whole round trip. */
export const latency = answer => (answer && !answer.error ? (answer.compute_us ?? answer.total_us ?? null) : null);

/* ---- the address ---- */

const defaults = {
    view: 'compare',
    s: '',
    text: '',
    pair: '',
    q: '',
    label: '',
    length: '',
    show: '',
    base: '',
    runs: '1',
    theme: '',
    sort: '',
    scope: 'all',
};
export const choice = {...defaults};

export function readAddress() {
    const query = new URLSearchParams(location.search);
    for (const name of Object.keys(defaults)) choice[name] = query.get(name) ?? defaults[name];
}

let writing;

/** Chooses, tells, and writes the address; `step` makes it a step that Back undoes. */
export function choose(values, step = false) {
    Object.assign(choice, values);
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(choice))
        if (value !== defaults[name] && String(value).length <= 2000) query.set(name, value);
    const address = query.size ? `?${query}` : location.pathname;
    clearTimeout(writing);
    if (step) history.pushState(null, '', address);
    else writing = setTimeout(() => history.replaceState(null, '', address), 120); // browsers limit how often
    changed('choice');
}
