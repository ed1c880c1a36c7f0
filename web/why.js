// why.js: which parts of the text carry a deployment's answer. Each part is hidden in turn; how much the answer's lead over the
// other labels shrinks is its influence, and the shade behind it.
import {h, byId} from './dom.js';
import {store, on, colour, keyOf} from './store.js';
import * as api from './api.js';

let shownFor = null; // the text that the panel explains
let generation = 0;

function part(piece, most, label) {
    const strength = most > 0 ? Math.max(-1, Math.min(1, piece.influence / most)) : 0;
    const glued = piece.text.startsWith('##');
    const words = `${piece.influence >= 0 ? 'for' : 'against'} ${label}: ${piece.influence >= 0 ? '+' : '−'}${Math.abs(piece.influence).toFixed(3)}`;
    return h(
        `span.piece${glued ? '.glued' : ''}${strength < 0 ? '.against' : ''}`,
        {
            title: words,
            tabindex: 0,
            style: {'--strength': Math.abs(strength).toFixed(3)},
        },
        glued ? piece.text.slice(2) : piece.text,
        h('span.only-read', null, ` (${words})`),
    );
}

function row(item, answer) {
    const most = answer.error ? 0 : Math.max(...answer.parts.map(piece => Math.abs(piece.influence)), 0);
    const label = answer.label ?? 'the value';
    return h(
        'div.why-row',
        {'data-testid': 'why-row', 'data-deployment': item.name, style: {'--own': colour(item.name)}},
        h(
            'h3',
            null,
            item.name,
            ' ',
            h('span.note', null, answer.error ? '' : `${label}; strongest ${most.toFixed(2)} in logits`),
        ),
        answer.error
            ? h('p.down', null, answer.error)
            : h(
                  'p.pieces',
                  {dir: 'auto'},
                  answer.parts.map((piece, i) => [
                      i && !piece.text.startsWith('##') ? ' ' : null,
                      piece.second ? h('span.divider', {'aria-label': 'second text'}, ' ⁄ ') : null,
                      part(piece, most, label),
                  ]),
              ),
    );
}

export async function explain() {
    const trial = store.current;
    const panel = byId('why');
    if (!trial) return;
    const mine = ++generation;
    shownFor = keyOf(trial);
    panel.hidden = false;
    const rows = h('div.why-rows', null);
    panel.replaceChildren(
        h(
            'div.pane-head',
            null,
            h('h2', null, 'Why'),
            h('p.note', null, 'Each token is hidden in turn; the shade is how much the answer’s lead changes.'),
            h('span.spacer'),
            h('button.quiet', {type: 'button', onclick: close}, 'Close'),
        ),
        rows,
        h(
            'p.legend',
            null,
            h('span.piece', {style: {'--strength': 1}}, 'speaks for the answer'),
            ' ',
            h('span.piece.against', {style: {'--strength': 1}}, 'speaks against it'),
        ),
    );
    panel.scrollIntoView({block: 'nearest'});
    for (const item of store.deployments) {
        const answer = await api.why(item.name, trial.text, trial.pair);
        if (mine !== generation) return;
        rows.append(row(item, answer));
    }
}

function close() {
    generation++;
    shownFor = null;
    byId('why').hidden = true;
    byId('why-all').focus();
}

export function start() {
    on('current', () => {
        const trial = store.current;
        byId('why-all').disabled = !trial;
        if (byId('why').hidden || (trial && keyOf(trial) === shownFor)) return;
        if (trial && !trial.running && !trial.preview) explain();
        else if (!trial) close();
    });
    byId('why-all').disabled = true;
}
