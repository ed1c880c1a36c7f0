// cards.js: a card a deployment: what it answers to the current text, how sure it is, and what that took.
import {h, byId} from './dom.js';
import {store, choose, on, colour, isRight, latency} from './store.js';
import {time, percent, ratio, count, size} from './numbers.js';
import {baseline} from './try.js';
import {explain} from './why.js';

function facts(item) {
    const parts =
        item.kind === 'remote'
            ? ['remote', item.url]
            : [
                  item.precision,
                  item.runtime,
                  `${item.threads} thread${item.threads === 1 ? '' : 's'}`,
                  item.parameters ? `${size(item.parameters)} parameters` : null,
              ];
    return parts.filter(Boolean).join(' · ');
}

function frame(item) {
    return h(
        'article.card',
        {
            'data-testid': 'card',
            'data-deployment': item.name,
            'aria-label': item.name,
            style: {'--own': colour(item.name)},
        },
        h(
            'header',
            null,
            h('h3', {'data-testid': 'card-name'}, item.name),
            h('p.facts', {title: item.model || item.url || ''}, facts(item)),
        ),
        h('div.answer', null),
    );
}

const figure = (name, value, title, testid) =>
    h('div', {title}, h('dt', null, name), h('dd', testid ? {'data-testid': testid} : null, value));

function speedup(answer, trial, name) {
    const base = baseline();
    if (name === base) return ['baseline', 'the others are compared with this one'];
    const mine = latency(answer),
        other = latency(trial.answers[base]);
    if (!mine || !other) return ['–', `no answer of ${base} to compare with`];
    return [ratio(other / mine), `${base} took ${time(other)}, this ${time(mine)}`];
}

function spread(answer) {
    const range = answer.range;
    const runs = answer.runs || 1;
    return runs === 1 ? '1 run' : `median of ${runs} runs${range ? `, ${time(range[0])} to ${time(range[1])}` : ''}`;
}

function truth(answer, trial) {
    const right = isRight(answer, trial.truth);
    if (right === null) return null;
    return right ? h('span.right', null, '✓ right') : h('span.wrong', null, '✗ wrong');
}

function filled(answer, trial, item) {
    if (answer.error) return [h('p.down', {role: 'status'}, h('strong', null, 'No answer'), ' ', answer.error)];
    const regression = answer.label === null || answer.label === undefined;
    const [faster, fasterTitle] = speedup(answer, trial, item.name);
    const remoteOnly = answer.compute_us === null || answer.compute_us === undefined;
    return [
        h(
            'div.said',
            null,
            h('span.label', {'data-testid': 'card-label'}, regression ? 'value' : answer.label),
            truth(answer, trial),
            h(
                'span.confidence',
                {'data-testid': 'card-confidence', title: `${answer.score}`},
                regression ? String(Number(answer.score.toPrecision(5))) : percent(answer.score),
            ),
        ),
        regression
            ? null
            : h(
                  'div.bar',
                  {
                      role: 'meter',
                      'aria-label': 'confidence',
                      'aria-valuemin': 0,
                      'aria-valuemax': 1,
                      'aria-valuenow': answer.score.toFixed(4),
                  },
                  h('span', {style: {width: `${answer.score * 100}%`}}),
              ),
        h(
            'dl.times',
            null,
            remoteOnly
                ? figure('round trip', time(answer.total_us), 'this server does not tell its own part', 'card-latency')
                : figure('compute', time(answer.compute_us), 'the model’s own time for this text', 'card-latency'),
            remoteOnly ? null : figure('queue', time(answer.queue_us), 'waited for other requests', 'card-queue'),
            figure('speed-up', faster, fasterTitle, 'card-speedup'),
            figure(
                'tokens',
                answer.tokens ? `${count(answer.tokens)}${answer.truncated ? ' (cut)' : ''}` : '–',
                answer.truncated
                    ? 'the text is longer than the model’s limit: its end was cut off'
                    : 'computed, special ones included',
                'card-tokens',
            ),
        ),
        h(
            'p.basis',
            null,
            spread(answer),
            answer.tokenize_us ? ` · tokenising ${time(answer.tokenize_us)}` : '',
            item.kind === 'remote' && !remoteOnly ? ` · round trip ${time(answer.total_us)}` : '',
        ),
    ];
}

function render() {
    const trial = store.current;
    for (const card of byId('cards').children) {
        const name = card.dataset.deployment,
            item = store.deployments.find(entry => entry.name === name);
        const answer = trial?.answers[name];
        const box = card.querySelector('.answer');
        card.classList.toggle('waiting', Boolean(trial?.running && !answer));
        card.setAttribute('aria-busy', String(Boolean(trial?.running && !answer)));
        if (!answer) {
            if (!trial) box.replaceChildren(h('p.empty', null, 'no text yet'));
            continue; // the last answer stays, faded, until the new one is there
        }
        box.replaceChildren(...filled(answer, trial, item).filter(Boolean));
        for (const [key, value] of Object.entries({
            label: answer.label,
            score: answer.score,
            computeUs: answer.compute_us,
            queueUs: answer.queue_us,
            logits: answer.logits && JSON.stringify(answer.logits),
        }))
            if (value === undefined || value === null) delete card.dataset[key];
            else card.dataset[key] = value;
    }
}

export function start() {
    byId('cards').replaceChildren(...store.deployments.map(frame));
    on('current', render);
    on('choice', render);
    byId('why-all').addEventListener('click', () => explain());
    byId('cards').addEventListener('dblclick', event => {
        const card = event.target.closest('.card');
        if (card) choose({base: card.dataset.deployment});
    });
    render();
}
