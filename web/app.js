// app.js: begins: what is served, the first sentences, the log; then the rest of the sentences while nobody waits.
import {byId, toast} from './dom.js';
import {store, choice, choose, readAddress, on, changed} from './store.js';
import * as api from './api.js';
import * as sentences from './sentences.js';
import * as trying from './try.js';
import * as cards from './cards.js';
import * as why from './why.js';
import * as statistics from './statistics.js';
import * as log from './log.js';

const FIRST = 200; // as index.html asks for them
const STEP = 2000;

const themes = ['', 'light', 'dark'];
const themeNames = {'': 'as the system has them', light: 'light', dark: 'dark'};

function theme() {
    if (choice.theme) document.documentElement.dataset.theme = choice.theme;
    else delete document.documentElement.dataset.theme;
    byId('theme').setAttribute('aria-label', `Colours: ${themeNames[choice.theme] ?? choice.theme}`);
    byId('theme').title = `Colours: ${themeNames[choice.theme] ?? choice.theme}`;
}

let reportModule = null;

async function view() {
    const wanted = choice.view === 'report' ? 'report' : 'compare';
    for (const id of ['compare', 'report']) byId(id).hidden = id !== wanted;
    for (const link of document.querySelectorAll('[data-view]'))
        if (link.dataset.view === wanted) link.setAttribute('aria-current', 'page');
        else link.removeAttribute('aria-current');
    if (wanted === 'report' && !reportModule) {
        reportModule = import('./report.js');
        (await reportModule).start(byId('report'));
    }
}

function machine(answer) {
    const parts = [answer.cpu, answer.isa ? answer.isa.toUpperCase() : null, `berth ${answer.version}`];
    byId('machine').textContent = parts.filter(Boolean).join(' · ');
}

async function rest() {
    while (store.sentences.length < store.data.count) {
        const piece = await api.sentences(store.sentences.length, STEP);
        if (!piece.sentences.length) break;
        store.sentences.push(...piece.sentences);
        changed('data');
    }
}

async function begin() {
    readAddress();
    theme();
    const [served, first] = await Promise.all([api.deployments(), api.sentences(0, FIRST)]);
    Object.assign(store, {
        deployments: served.deployments,
        results: served.results,
        data: {...first, sentences: undefined},
        sentences: first.sentences,
    });
    machine(served);
    cards.start();
    sentences.start(index => trying.pickSentence(index));
    trying.start();
    why.start();
    changed('data');
    statistics.start();
    log.start();
    on('choice', theme);
    byId('theme').addEventListener('click', () =>
        choose({theme: themes[(themes.indexOf(choice.theme) + 1) % themes.length]}),
    );
    for (const link of document.querySelectorAll('[data-view]'))
        link.addEventListener('click', event => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            choose({view: link.dataset.view}, true);
            view();
        });
    window.addEventListener('popstate', () => {
        readAddress();
        theme();
        view();
        sentences.renderFilters();
        changed('data');
        trying.restore();
        changed('choice');
    });
    view();
    document.documentElement.dataset.ready = 'true';
    performance.mark('berth-ready');
    if (Number(choice.s) >= store.sentences.length) await rest();
    await trying.readLog();
    window.addEventListener('focus', () => trying.readLog().catch(() => {}));
    trying.restore();
    await rest();
}

begin().catch(fault => toast(`The page could not begin: ${fault.message}`));
