// page.test.mjs: the page in a real browser, from outside: BERTH_BINARY serves, Chromium looks. Prints what it measures; a failed
// check, a message on the console or a request that leaves the machine ends it with 1.
import {spawn, execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, readFileSync, mkdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {chromium} from 'playwright-core';

const berth = process.env.BERTH_BINARY, source = process.env.BERTH_SOURCE, shots = process.env.BERTH_SCREENSHOTS;
const model = process.env.BERTH_PAGE_MODEL || 'bundled:sst2';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const work = mkdtempSync(join(tmpdir(), 'berth-page-'));
if (shots) mkdirSync(shots, {recursive: true});
let checks = 0, failures = 0;

function check(what, good, more = '') {
    checks++;
    if (good) return;
    failures++;
    console.error(`FAILED: ${what} ${more}`);
}

/* ---- the server ---- */

const models = ['fp32', 'bf16', 'int8'];

function serve(...more) {
    return new Promise((resolve, reject) => {
        const child = spawn(berth, ['serve', '--port', '0', '--quiet', ...more], {stdio: ['ignore', 'pipe', 'inherit']});
        let said = '';
        child.stdout.on('data', data => {
            said += data;
            const url = /listening on (\S+)/.exec(said);
            if (url) resolve({child, url: url[1], port: new URL(url[1]).port});
        });
        child.on('exit', code => reject(new Error(`berth serve ended with ${code}`)));
    });
}

const stop = server => new Promise(resolve => { server.child.removeAllListeners('exit'); server.child.on('exit', code => resolve(code)); server.child.kill('SIGTERM'); });

/* ---- the browser ---- */

const browser = await chromium.launch({
    executablePath: process.env.BERTH_CHROMIUM || '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

/** A tab that reports what it should not do. */
async function open(url, options = {}) {
    const context = await browser.newContext({viewport: {width: 1360, height: 900}, acceptDownloads: true, ...options});
    const page = await context.newPage();
    page.on('console', message => { if (message.type() === 'error' || message.type() === 'warning') check('nothing on the console', false, message.text()); });
    page.on('pageerror', fault => check('no exception', false, fault.stack));
    page.on('dialog', dialog => { check('no dialog', false, dialog.message()); dialog.dismiss(); });
    page.on('request', request => {
        const to = new URL(request.url());
        check('no request leaves the machine', to.hostname === '127.0.0.1' || to.protocol === 'data:' || to.protocol === 'blob:', request.url());
    });
    await page.goto(url);
    await page.locator('html[data-ready]').waitFor();
    return page;
}

const cards = page => page.getByTestId('card').evaluateAll(list => list.map(card => ({name: card.dataset.deployment, text: card.innerText, label: card.dataset.label, score: Number(card.dataset.score), logits: JSON.parse(card.dataset.logits || 'null'), compute: Number(card.dataset.computeUs), queue: Number(card.dataset.queueUs)})));
/* The last answer is there, and it is logged. */
const settled = page => page.waitForFunction(() => document.documentElement.dataset.trial === 'done');

/* How many trials the server has kept. */
const logged = page => page.evaluate(() => fetch('api/log?after=0').then(answer => answer.json()).then(log => log.trials.length));

/* Tables are drawn a moment after what they show: their text, once it fits. */
async function eventually(what, read, good) {
    let last;
    for (let i = 0; i < 60; i++) {
        last = await read();
        if (good(last)) { checks++; return last; }
        await new Promise(resolve => { setTimeout(resolve, 50); });
    }
    check(what, false, JSON.stringify(last));
    return last;
}

async function shot(page, name, options = {}) {
    if (shots) await page.screenshot({path: join(shots, `${name}.png`), ...options});
}

/** Serious faults that axe-core finds. */
async function accessible(page, where) {
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, {resultTypes: ['violations']}));
    const serious = found.violations.filter(item => ['serious', 'critical'].includes(item.impact));
    check(`accessible: ${where}`, serious.length === 0, JSON.stringify(serious.map(item => [item.id, item.nodes.slice(0, 3).map(node => node.html.slice(0, 120))])));
    return found.passes?.length ?? 0;
}

function predict(text, precision) {
    return JSON.parse(execFileSync(berth, ['predict', '-m', model, '--precision', precision, '--format', 'jsonl', '--quiet', text]).toString());
}

const data = ['--data', join(source, 'examples/reviews.tsv')];
const results = ['--results', join(work, 'results.db')];
execFileSync(berth, ['bench', '--quiet', '-m', `tiny=${model}`, '--precision', 'fp32,int8', '-t', '1', '-b', '1,8', '--task', 'sst2', ...data, '-o', results[1]]);
const served = models.flatMap(name => ['-m', `${name}=${model},precision=${name},threads=1`]);
let elsewhere = await serve('-m', `tiny=${model},precision=int8,threads=1`);
let server = await serve(...served, ...data, ...results, '--remote', `elsewhere=${elsewhere.url}`, '--remote', 'down=http://127.0.0.1:9');
const answering = [...models, 'elsewhere'];

/* ---- the first view ---- */

async function firstView() {
    const page = await open(server.url);
    const bytes = await page.evaluate(() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).reduce((sum, entry) => sum + entry.transferSize, 0));
    const times = [];
    for (let i = 0; i < 5; i++) {
        await page.reload();
        await page.locator('html[data-ready]').waitFor();
        times.push(await page.evaluate(() => performance.getEntriesByName('berth-ready')[0].startTime));
    }
    times.sort((a, b) => a - b);
    console.log(`ready ${times[2].toFixed(0)} ms after navigation (median of 5; ${times[0].toFixed(0)} to ${times[4].toFixed(0)}); ${(bytes / 1024).toFixed(1)} KB compressed`);
    check('the first view is below 100 KB', bytes > 1000 && bytes < 100 * 1024, bytes);
    check('ready soon', times[2] < 5000, times[2]);
    check('sentences are listed', await page.getByTestId('sentence').count() === 100);
    check('a card each', await page.getByTestId('card').count() === models.length + 2);
    return page;
}

async function pick(page) {
    const sentence = page.getByTestId('sentence').nth(2);
    const text = await sentence.locator('.words').innerText();
    await sentence.click();
    await settled(page);
    for (const card of await cards(page)) {
        if (card.name === 'down') { check('the one that is down says so', /No answer/.test(card.text), card.text); continue; }
        check(`${card.name} answers`, card.label && card.score > 0 && /%/.test(card.text), card.text);
        check(`${card.name} took time`, card.compute > 0 && !/(^|\s)0(\.0+)? (ns|µs|ms|s)\b/.test(card.text), card.text);
        if (!models.includes(card.name)) continue;
        const expected = predict(text, card.name);
        check(`${card.name} answers as predict does`, card.label === expected.label && JSON.stringify(card.logits) === JSON.stringify(expected.logits.map(x => Number(x.toPrecision(9)))), `${JSON.stringify(card.logits)} ${JSON.stringify(expected)}`);
    }
    check('the address has the sentence', new URL(page.url()).searchParams.get('s') === '2' || (await page.waitForURL(/s=2/), true));
    const times = [];
    for (let i = 0; i < 9; i++)
        times.push(await page.evaluate(n => new Promise(resolve => {
            const started = performance.now();
            delete document.documentElement.dataset.trial;
            new MutationObserver((_, seen) => { if (document.documentElement.dataset.trial) { seen.disconnect(); resolve(performance.now() - started); } }).observe(document.documentElement, {attributes: true});
            document.querySelectorAll('[data-testid=sentence]')[n].click();
        }), i + 5));
    times.sort((a, b) => a - b);
    console.log(`a click shows every deployment's answer after ${times[4].toFixed(1)} ms (median of 9; ${times[0].toFixed(1)} to ${times[8].toFixed(1)}), one of them elsewhere, one down`);
    check('soon after the click', times[4] < 3000, times[4]);
    await shot(page, 'light');
}

async function type(page) {
    const box = page.getByTestId('free-text');
    const before = await logged(page);
    await box.fill('<img src=x onerror=alert(1)><script>alert(2)</script> 🎬 مرحبا بالعالم “dull”');
    await page.waitForFunction(() => document.getElementById('verdict').textContent.includes('preview'));
    check('a preview is not logged', await logged(page) === before);
    await box.press('Enter');
    await settled(page);
    await eventually('markup stays text', () => page.getByTestId('log').locator('tbody tr').first().innerHTML(), html => html.includes('&lt;img src=x'));
    check('no element came of it', await page.locator('img').count() === 0);
    check('typed text has no truth', !/right|wrong/.test((await cards(page))[0].text));
    await box.fill(`long ${'word '.repeat(210000)}`);
    await box.press('Enter');
    await settled(page);
    const long = (await cards(page)).filter(card => answering.includes(card.name));
    check('a text of a megabyte is answered, and said to be cut', long.every(card => card.label) && long.filter(card => /cut/.test(card.text)).length >= 3, long.map(card => card.text).join('|'));
    await box.fill('');
    await page.locator('#pair-toggle').click();
    await box.fill('the first text');
    await page.getByTestId('free-pair').fill('the second one');
    await box.press('Enter');
    await settled(page);
    check('pairs are answered', (await cards(page)).filter(card => models.includes(card.name)).every(card => card.label));
    await page.locator('#pair-toggle').click();
}

async function filterAndWhy(page) {
    await page.locator('#search').fill('film');
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=sentence]').length < 100);
    const texts = await page.getByTestId('sentence').locator('.words').allInnerTexts();
    check('search finds', texts.length > 0 && texts.every(text => /film/i.test(text)));
    await page.locator('#search').fill('');
    await page.locator('#filter-label').selectOption('1');
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=sentence]').length === 50);
    await page.locator('#filter-label').selectOption('');
    await page.getByTestId('sentence').nth(4).click();
    await settled(page);
    await page.getByTestId('runs').selectOption('5');
    await page.waitForFunction(() => /median of 5 runs/.test(document.querySelector('[data-testid=card]').innerText));
    await page.getByTestId('runs').selectOption('1');
    await settled(page);
    await page.getByTestId('why').click();
    await page.waitForFunction(n => document.querySelectorAll('[data-testid=why-row]').length === n, models.length + 2);
    check('why shades tokens', await page.getByTestId('why-row').first().locator('.piece').count() > 3);
    check('why shades words elsewhere', await page.locator('[data-testid=why-row][data-deployment=elsewhere] .piece').count() > 3);
    await shot(page, 'why', {fullPage: true});
    await page.locator('#why').getByRole('button', {name: 'Close'}).click();
}

async function runAll(page) {
    await page.getByTestId('run-all').click();
    await page.getByTestId('pause').click();
    await page.waitForFunction(() => /paused/.test(document.getElementById('progress-note').textContent));
    const reached = () => page.getByTestId('progress').getAttribute('value');
    let before = null;
    await eventually('pause pauses', async () => { // what is under way comes to its end first
        const now = await reached(), same = now === before;
        before = now;
        await page.waitForTimeout(150);
        return same && now === await reached();
    }, good => good);
    check('paused before the end', Number(before) < 100, before);
    await page.getByTestId('pause').click();
    await page.waitForFunction(() => /100 of 100 run/.test(document.getElementById('progress-note').textContent), null, {timeout: 60000});
    await eventually('statistics of each', () => page.locator('#statistics-table tbody tr').allInnerTexts(),
        rows => rows.length === models.length + 2 && rows.slice(0, 3).every(row => /\d\.\d %/.test(row) && /[µm]s/.test(row) && !row.includes('–\t')));
    check('figures', await page.locator('#figures figure').count() === 3);
    const kept = await logged(page);
    check('the log has all of them', kept >= 100, kept);
    await page.locator('#filter-show').selectOption('wrong:int8');
    await page.waitForFunction(() => document.querySelectorAll('[data-testid=sentence]').length < 100);
    const wrong = await page.getByTestId('sentence').count();
    const matrix = await page.locator('.confusion').nth(2).locator('td[title]').allInnerTexts();
    check('wrong ones are listed', wrong === Number(matrix[1]) + Number(matrix[2]), `${wrong}: ${matrix}`);
    await page.locator('#filter-show').selectOption('');
    await page.getByTestId('run-all').click();
    await page.getByTestId('stop').click();
    await page.waitForFunction(() => /then stopped/.test(document.getElementById('progress-note').textContent));
    await shot(page, 'all', {fullPage: true});
}

async function exports(page) {
    const save = async id => {
        const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId(id).click()]);
        return readFileSync(await file.path(), 'utf8');
    };
    const csv = await save('export-csv'), json = JSON.parse(await save('export-json'));
    check('CSV has a row a run', csv.startsWith('trial,time,text,') && csv.split('\r\n').length > 400, csv.slice(0, 200));
    check('CSV quotes', csv.includes('"') && csv.includes('<script>alert(2)</script>'));
    check('JSON has the trials', json.trials.length >= 100 && json.deployments.length === models.length + 2 && json.trials.every(trial => trial.answers.length > 0));
    const head = page.getByTestId('log').getByRole('button', {name: 'Sort by Tokens'});
    await head.click();
    await page.waitForFunction(() => document.querySelector('[data-testid=log] th[aria-sort] button').innerText.startsWith('Tokens'));
    const tokens = (await page.getByTestId('log').locator('tbody tr td:nth-child(4)').allInnerTexts()).map(Number).filter(Number.isFinite);
    check('sorted', tokens.length > 3 && tokens.every((n, i) => i === 0 || tokens[i - 1] >= n), tokens.slice(0, 9));
}

/* A reload and a restart show what was there; a second browser sees the first one's trials. */
async function reload(page) {
    const count = async tab => Number((await tab.locator('#log-note').innerText()).split(' trial')[0].replace(/\D/g, ''));
    const first = await logged(page);
    await page.getByTestId('sentence').nth(7).click();
    await settled(page);
    await page.waitForURL(/s=7/);
    const before = first + 1, label = (await cards(page))[0].label;
    await page.reload();
    await settled(page);
    await eventually('reload keeps the log', () => count(page), n => n === before);
    check('reload keeps the sentence', (await cards(page))[0].label === label && await page.locator('[aria-current=true][data-index="7"]').count() === 1);
    const other = await open(server.url);
    await eventually('another browser sees it', () => count(other), n => n === before);
    await Promise.all([page, other].map(tab => tab.getByTestId('sentence').nth(9).click()));
    await Promise.all([page, other].map(settled));
    await other.close();
    await page.close();
    check('the server ends well', await stop(server) === 0);
    server = await serve(...served, ...data, ...results, '--remote', `elsewhere=${elsewhere.url}`, '--remote', 'down=http://127.0.0.1:9');
    const again = await open(server.url);
    await eventually('a restart keeps the log', () => count(again), n => n === before + 2);
    return again;
}

async function keyboard(page) {
    await page.locator('body').press('/');
    check('/ searches', await page.evaluate(() => document.activeElement.id === 'search'));
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await settled(page);
    check('arrows and Enter pick', await page.locator('.sentence[aria-current]').count() === 1);
    await page.locator('body').press('j');
    await settled(page);
}

async function looks() {
    const dark = await open(server.url, {colorScheme: 'dark'});
    await dark.getByTestId('sentence').nth(3).click();
    await settled(dark);
    await dark.getByTestId('why').click();
    await dark.waitForFunction(n => document.querySelectorAll('[data-testid=why-row]').length === n, models.length + 2);
    await accessible(dark, 'dark');
    await shot(dark, 'dark', {fullPage: true});
    await dark.close();
    const phone = await open(server.url, {viewport: {width: 390, height: 844}, deviceScaleFactor: 2, hasTouch: true, isMobile: true});
    await phone.getByTestId('sentence').nth(1).tap();
    await settled(phone);
    check('nothing is wider than a phone', await phone.evaluate(() => document.documentElement.scrollWidth <= 390));
    await phone.waitForFunction(() => { const box = document.getElementById('answers').getBoundingClientRect(); return box.top >= 0 && box.top < innerHeight; });
    await accessible(phone, 'phone');
    await shot(phone, 'phone');
    await phone.close();
}

/* The figures of the results file, and what it recommends under limits that are moved. */
async function report(page) {
    await page.getByRole('link', {name: 'Report'}).click();
    await page.locator('[data-testid=report-ready]').waitFor({state: 'attached'});
    check('the address has the view', /view=report/.test(page.url()));
    const headings = await page.locator('#report h2').allInnerTexts();
    for (const title of ['Which deployment?', 'Distribution', 'All configurations', 'Environment'])
        check(`the report has '${title}'`, headings.includes(title), headings);
    const rows = page.locator('#report section', {has: page.getByRole('heading', {name: 'All configurations'})}).locator('tbody tr');
    check('a row a configuration', await rows.count() === 4, await rows.count());
    const recommended = page.getByTestId('recommended');
    const {recommended: best} = JSON.parse(execFileSync(berth, ['recommend', results[1], '--p50-ms', '1000000', '--format', 'json']));
    check(
        'what berth recommend recommends is recommended',
        new RegExp(`${best.model} · ${best.precision} · batch ${best.batch} `).test(await recommended.innerText()),
        await recommended.innerText(),
    );
    const point = page.locator('#report .plot .mark').first();
    await point.focus();
    check('a point says its values', /accuracy [\d.]+ %\ntiny · .*\nbatch 1/.test(await page.locator('.tip').innerText()), await page.locator('.tip').innerText());
    const slider = page.locator('[data-limit=min_accuracy]');
    await slider.focus();
    await page.keyboard.press('End');
    check('a limit says its value', /%$/.test(await slider.getAttribute('aria-valuetext')));
    const strict = page.locator('[data-limit=p50_ms]');
    await strict.focus();
    await page.keyboard.press('End');
    await eventually('nothing meets what nothing can', () => recommended.innerText(), text => /Nothing that was measured/.test(text));
    check('the limit is drawn', await page.locator('#report .limit').count() === 2);
    await accessible(page, 'report');
    await shot(page, 'report', {fullPage: true});
    await page.goBack();
    check('back is back', await page.locator('#compare').isVisible());
    const none = await open(elsewhere.url + '/?view=report');
    await none.locator('[data-testid=report-ready]').waitFor();
    check('without a results file it says so', /--results FILE/.test(await none.locator('#report').innerText()));
    await none.context().close();
}

/* On a phone; and limits that are no numbers. */
async function reportParts() {
    const page = await open(`${server.url}/?view=report`, {viewport: {width: 390, height: 844}});
    await page.locator('[data-testid=report-ready]').waitFor({state: 'attached'});
    check('the report is no wider than a phone', await page.evaluate(() => document.documentElement.scrollWidth <= 390));
    await page.context().close();
    const ask = async (body, type = 'application/json') => (await fetch(`${server.url}/api/recommend`, {method: 'POST', headers: {'Content-Type': type}, body})).status;
    const answers = [await ask('{"p99_ms": "fast"}'), await ask('{"p99_ms": -1}'), await ask('[]'), await ask('{'), await ask('{}', 'text/plain'), await ask('{"p99_ms": null, "min_accuracy": 0.5}')];
    check('limits are numbers', answers.join() === '422,422,422,400,415,200', answers);
}

const started = performance.now();
try {
    let page = await firstView();
    await accessible(page, 'first view');
    await pick(page);
    await type(page);
    await filterAndWhy(page);
    await runAll(page);
    await accessible(page, 'after a run');
    await exports(page);
    page = await reload(page);
    await keyboard(page);
    await report(page);
    await reportParts();
    await looks();
} catch (fault) {
    check('the test ran to its end', false, fault.stack);
} finally {
    await browser.close();
    await stop(server);
    await stop(elsewhere);
    rmSync(work, {recursive: true, force: true});
}
console.log(`${checks} checks, ${failures} failed, ${((performance.now() - started) / 1000).toFixed(1)} s`);
process.exit(failures ? 1 : 0);
