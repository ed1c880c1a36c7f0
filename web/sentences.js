// sentences.js: the list on the left: search, filters, keys.
import {h, byId, throttled} from './dom.js';
import {store, choice, choose, on, keyOf, labelName, isRight, disagree} from './store.js';
import {words, count} from './numbers.js';

const STEP = 150; // rows that are made at a time
let shown = []; // indexes into store.sentences, in order
let made = 0;
let pick; // called with an index

const marks = {right: ['✓', 'all right'], wrong: ['✗', 'at least one wrong'], split: ['≠', 'the answers differ']};

/** What the newest trial of a sentence says about it. */
function verdict(item) {
    const trial = store.latest.get(keyOf(item));
    if (!trial) return null;
    if (disagree(trial)) return 'split';
    const rights = Object.values(trial.answers)
        .map(answer => isRight(answer, item.label))
        .filter(right => right !== null);
    if (!rights.length) return null;
    return rights.every(Boolean) ? 'right' : 'wrong';
}

function matches(item, wanted) {
    if (wanted.label && item.label !== wanted.label) return false;
    if (wanted.low || wanted.high < Infinity) {
        const n = words(item.text) + (item.pair ? words(item.pair) : 0);
        if (n < wanted.low || n > wanted.high) return false;
    }
    if (wanted.q && !item.text.toLowerCase().includes(wanted.q) && !(item.pair || '').toLowerCase().includes(wanted.q))
        return false;
    if (!wanted.show) return true;
    const trial = store.latest.get(keyOf(item));
    if (wanted.show === 'new') return !trial;
    if (!trial) return false;
    if (wanted.show === 'disagree') return disagree(trial);
    return isRight(trial.answers[wanted.show.slice(6)], item.label) === false;
}

function filter() {
    const [low, high] = (choice.length || '0-').split('-');
    const wanted = {
        q: choice.q.trim().toLowerCase(),
        label: choice.label,
        low: Number(low),
        high: high ? Number(high) : Infinity,
        show: choice.show,
    };
    shown = [];
    store.sentences.forEach((item, i) => {
        if (matches(item, wanted)) shown.push(i);
    });
}

function row(i) {
    const item = store.sentences[i];
    const current = String(i) === choice.s;
    const state = verdict(item);
    return h(
        'li',
        null,
        h(
            'button.sentence',
            {
                type: 'button',
                'data-testid': 'sentence',
                'data-index': i,
                tabindex: current || (!choice.s && i === shown[0]) ? 0 : -1,
                'aria-current': current ? 'true' : null,
                onclick: () => pick(i),
            },
            item.label !== null && item.label !== undefined && item.label !== ''
                ? h(`span.tag.tag-${tagOf(item.label)}`, null, labelName(item.label))
                : null,
            h('span.words', {dir: 'auto'}, item.text.length > 400 ? `${item.text.slice(0, 400)}…` : item.text),
            item.pair
                ? h(
                      'span.words.second',
                      {dir: 'auto'},
                      item.pair.length > 400 ? `${item.pair.slice(0, 400)}…` : item.pair,
                  )
                : null,
            state
                ? h(
                      `span.mark-${state}`,
                      {title: marks[state][1], 'aria-label': marks[state][1], role: 'img'},
                      marks[state][0],
                  )
                : null,
        ),
    );
}

const tagOf = label => {
    const i = store.data.labels.indexOf(labelName(label));
    return i < 0 ? 'x' : i % 3;
};

function more() {
    const list = byId('list');
    list.append(...shown.slice(made, made + STEP).map(row));
    made = Math.min(shown.length, made + STEP);
}

function render() {
    filter();
    const list = byId('list');
    const top = list.scrollTop;
    list.replaceChildren();
    const wanted = Math.max(STEP, Math.min(made, shown.length));
    made = 0;
    while (made < Math.min(wanted, shown.length)) more();
    list.scrollTop = top;
    const total = store.data.count;
    byId('sentences-count').textContent =
        shown.length === total
            ? `${count(total)} sentences`
            : `${count(shown.length)} of ${count(store.sentences.length)}${choice.show && !store.trials.length ? '; nothing has run yet: press Run all' : ''}`;
}

/** Marks without rebuilding the rows: a run over all of them changes one after the other. */
const remark = throttled(() => {
    if (choice.show) {
        render();
        return;
    }
    for (const button of byId('list').querySelectorAll('.sentence')) {
        const state = verdict(store.sentences[button.dataset.index]);
        const old = button.querySelector('[role=img]');
        if ((old?.className || '') === (state ? `mark-${state}` : '')) continue;
        old?.remove();
        if (state)
            button.append(
                h(
                    `span.mark-${state}`,
                    {title: marks[state][1], 'aria-label': marks[state][1], role: 'img'},
                    marks[state][0],
                ),
            );
    }
}, 150);

function mark() {
    const list = byId('list');
    for (const button of list.querySelectorAll('[aria-current]')) {
        button.removeAttribute('aria-current');
        button.tabIndex = -1;
    }
    let button = list.querySelector(`[data-index="${choice.s}"]`);
    if (button) button.setAttribute('aria-current', 'true');
    button ||= list.querySelector('.sentence');
    if (button) button.tabIndex = 0;
}

function move(by, far) {
    const list = byId('list');
    const focused = document.activeElement.closest?.('.sentence');
    let at = shown.indexOf(Number(focused?.dataset.index ?? (choice.s || -1)));
    at = far ? (by > 0 ? shown.length - 1 : 0) : Math.max(0, Math.min(shown.length - 1, at + by));
    while (made <= at && made < shown.length) more();
    const button = list.querySelector(`[data-index="${shown[at]}"]`);
    button?.focus();
    button?.scrollIntoView({block: 'nearest'});
    return shown[at];
}

function keys(event) {
    const moves = {ArrowDown: [1], ArrowUp: [-1], PageDown: [10], PageUp: [-10], Home: [-1, true], End: [1, true]};
    if (!moves[event.key]) return;
    event.preventDefault();
    move(...moves[event.key]);
}

export function options(select, items, value) {
    select.replaceChildren(...items.map(([key, text]) => h('option', {value: key, selected: key === value}, text)));
}

export function renderFilters() {
    const used = [
        ...new Set(
            store.sentences
                .map(item => item.label)
                .filter(label => label !== null && label !== undefined && label !== ''),
        ),
    ];
    used.sort((a, b) => String(a).localeCompare(String(b), 'en', {numeric: true}));
    options(
        byId('filter-label'),
        [['', 'Any label'], ...used.slice(0, 50).map(label => [label, labelName(label)])],
        choice.label,
    );
    options(
        byId('filter-show'),
        [
            ['', 'Any answers'],
            ['disagree', 'models disagree'],
            ['new', 'not run yet'],
            ...store.deployments.map(item => [`wrong:${item.name}`, `${item.name} wrong`]),
        ],
        choice.show,
    );
    byId('filter-length').value = choice.length;
    byId('search').value = choice.q;
    byId('sentences-source').textContent = store.data.name
        ? `${store.data.name}${store.data.truncated ? `: the first ${count(store.data.count)}` : ''}`
        : '';
}

/** The indexes that the filters let through, in order: what "Run all" runs. */
export const filtered = () => {
    filter();
    return shown.slice();
};

export function start(onPick) {
    pick = onPick;
    const refilter = throttled(() => {
        byId('list').scrollTop = 0;
        made = 0;
        render();
    });
    byId('filters').addEventListener('submit', event => event.preventDefault());
    byId('search').addEventListener('input', event => {
        choose({q: event.target.value});
        refilter();
    });
    for (const [id, name] of [
        ['filter-label', 'label'],
        ['filter-length', 'length'],
        ['filter-show', 'show'],
    ])
        byId(id).addEventListener('change', event => {
            choose({[name]: event.target.value});
            refilter();
        });
    const list = byId('list');
    list.addEventListener('keydown', keys);
    list.addEventListener('scroll', () => {
        if (made < shown.length && list.scrollTop + list.clientHeight > list.scrollHeight - 400) more();
    });
    byId('search').addEventListener('keydown', event => {
        if (event.key === 'ArrowDown') {
            event.preventDefault();
            move(0, true);
        }
    });
    document.addEventListener('keydown', event => {
        if (event.target.closest('input, textarea, select') || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === '/') {
            event.preventDefault();
            byId('search').focus();
        }
        if (event.key === 'j' || event.key === 'k') pick(move(event.key === 'j' ? 1 : -1));
    });
    on('data', () => {
        renderFilters();
        render();
    });
    on('choice', mark);
    on('trials', remark);
}
