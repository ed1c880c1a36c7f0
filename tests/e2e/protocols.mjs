// protocols.mjs URL FOLDER: asks a server in every protocol as its clients do, and compares each number with what
// `berth predict` printed for the same texts (FOLDER/sst2.jsonl, FOLDER/q.jsonl: fp32 and int8), to the bit.
import { readFileSync } from 'node:fs';

const [url, folder] = process.argv.slice(2);
let checks = 0, failures = 0;
const lines = name => readFileSync(`${folder}/${name}`, 'utf8').trim().split('\n').map(line => JSON.parse(line));
const texts = lines('texts.jsonl');
const expected = { sst2: lines('sst2.jsonl'), q: lines('q.jsonl') };
const encoded = lines('tokens.jsonl');

function check(good, what) {
    checks++;
    if (good)
        return;
    failures++;
    console.error(`FAILED: ${what}`);
}

const show = value => JSON.stringify(value)?.slice(0, 300);
const sameFloats = (a, b) => Array.isArray(a) && a.length === b.length && a.every((x, i) => Object.is(Math.fround(x), Math.fround(b[i])));

async function ask(path, body, { method, headers = {} } = {}) {
    const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const reply = await fetch(url + path, { method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body: raw ? body : JSON.stringify(body) });
    const bytes = new Uint8Array(await reply.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    let json;
    try { json = JSON.parse(text); } catch { json = undefined; }
    return { status: reply.status, headers: reply.headers, bytes, text, json, path, body };
}

async function good(path, body, options) {
    const reply = await ask(path, body, options);
    check(reply.status === 200, `${path} ${show(body)}: ${reply.status} ${reply.text}`);
    return reply;
}

async function wrong(status, path, body, options) {
    const reply = await ask(path, body, options);
    check(reply.status === status && typeof reply.json?.error === 'string' && typeof reply.json?.error_type === 'string' &&
        reply.headers.get('content-type') === 'application/json' && reply.headers.get('x-request-id'),
        `${path} ${show(body)}: want ${status} and an error: ${reply.status} ${reply.text.slice(0, 300)}`);
}

// --- Open Inference Protocol -----------------------------------------------------------------------

const tensor = (name, datatype, shape, data, parameters) => ({ name, shape, datatype, ...(parameters && { parameters }), ...(data && { data }) });
const textTensor = wanted => tensor('text', 'BYTES', [wanted.length], wanted);
const output = (reply, name) => reply.json?.outputs?.find(one => one.name === name);

// The JSON of a reply with binary tensors behind it, and those by name.
function split(reply) {
    const size = Number(reply.headers.get('inference-header-content-length'));
    const json = JSON.parse(new TextDecoder().decode(reply.bytes.subarray(0, size)));
    let at = size;
    const binary = {};
    for (const one of json.outputs)
        if (one.parameters?.binary_data_size !== undefined)
            binary[one.name] = reply.bytes.slice(at, at += one.parameters.binary_data_size);
    check(at === reply.bytes.length, `binary reply: ${reply.bytes.length} bytes, ${at} told`);
    return { json, binary };
}

function withBinary(json, ...tensors) {
    const head = new TextEncoder().encode(JSON.stringify(json));
    return [Buffer.concat([head, ...tensors]), { headers: { 'Inference-Header-Content-Length': String(head.length), 'Content-Type': 'application/octet-stream' } }];
}

const int64s = values => Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer);
const byteStrings = values => Buffer.concat(values.flatMap(value => {
    const bytes = Buffer.from(value), size = Buffer.alloc(4);
    size.writeUInt32LE(bytes.length);
    return [size, bytes];
}));

async function openInference() {
    const server = (await good('/v2')).json;
    check(server.name === 'berth' && /^\d/.test(server.version) && ['classification', 'model_repository', 'binary_tensor_data', 'statistics']
        .every(name => server.extensions.includes(name)), `/v2: ${show(server)}`);
    check((await good('/v2/health/live')).json.live === true, 'live');
    check((await good('/v2/health/ready')).json.ready === true, 'ready');
    for (const path of ['/v2/models/sst2', '/v2/models/sst2/versions/1']) {
        const { json } = await good(path);
        const of = (list, name) => list.find(one => one.name === name);
        check(json.name === 'sst2' && show(json.versions) === '["1"]' && json.platform === 'berth_native', `${path}: ${show(json)}`);
        check(of(json.inputs, 'text')?.datatype === 'BYTES' && ['input_ids', 'attention_mask', 'token_type_ids'].every(name =>
            of(json.inputs, name)?.datatype === 'INT64' && show(of(json.inputs, name).shape) === '[-1,-1]'), `inputs: ${show(json.inputs)}`);
        check(of(json.outputs, 'logits')?.datatype === 'FP32' && show(of(json.outputs, 'logits').shape) === '[-1,2]' &&
            of(json.outputs, 'label')?.datatype === 'BYTES' && of(json.outputs, 'score')?.datatype === 'FP32', `outputs: ${show(json.outputs)}`);
        const ready = (await good(`${path}/ready`)).json;
        check(ready.name === 'sst2' && ready.ready === true, `${path}/ready: ${show(ready)}`);
    }
    check(show((await good('/v2/models/two')).json.versions) === '["1","2"]', 'two versions');

    for (const model of ['sst2', 'q']) {
        const singles = texts.filter(one => one.pair === undefined), wanted = expected[model].filter((_, i) => texts[i].pair === undefined);
        const logits = wanted.flatMap(one => one.logits);
        const plain = singles.map(one => one.text);
        const reply = await good(`/v2/models/${model}/versions/1/infer`, { id: 'a "7"', parameters: { anything: 1 }, inputs: [textTensor(plain)],
            outputs: ['score', 'label', 'logits'].map(name => ({ name })) });
        check(reply.json?.model_name === model && reply.json.model_version === '1' && reply.json.id === 'a "7"', `header: ${show(reply.json)}`);
        check(show(reply.json.outputs.map(one => one.name)) === '["score","label","logits"]', 'outputs in the order asked for');
        check(sameFloats(output(reply, 'logits').data, logits) && show(output(reply, 'logits').shape) === show([plain.length, 2]) &&
            output(reply, 'logits').datatype === 'FP32', `${model}: logits ${show(output(reply, 'logits'))}`);
        check(sameFloats(output(reply, 'score').data, wanted.map(one => one.score)) && show(output(reply, 'score').shape) === show([plain.length]), `${model}: score`);
        check(show(output(reply, 'label').data) === show(wanted.map(one => one.label)), `${model}: label`);
        // the same, each alone, as [n,1], and as pairs
        const column = await good(`/v2/models/${model}/infer`, { inputs: [tensor('text', 'BYTES', [plain.length, 1], plain.map(one => [one]))] });
        check(sameFloats(output(column, 'logits').data, logits) && column.json.outputs.length === 1 && !('id' in column.json), `${model}: [n,1]`);
        for (const [i, { text, pair }] of texts.entries()) {
            const one = pair === undefined ? textTensor([text]) : tensor('text', 'BYTES', [1, 2], i % 2 ? [[text, pair]] : [text, pair]);
            check(sameFloats(output(await good(`/v2/models/${model}/infer`, { inputs: [one] }), 'logits').data, expected[model][i].logits), `${model}: text ${i}`);
        }
        // token ids: padded to one length, flat and nested, JSON and binary
        const length = Math.max(...encoded.map(one => one.ids.length)) + 3, all = expected[model].flatMap(one => one.logits);
        const padded = name => encoded.map(one => [...one[name], ...Array(length - one[name].length).fill(0)]);
        const shape = [encoded.length, length], rows = { input_ids: padded('ids'), token_type_ids: padded('type_ids'), attention_mask: padded('attention_mask') };
        for (const nested of [true, false]) {
            const ids = await good(`/v2/models/${model}/infer`, { inputs: Object.entries(rows).map(([name, data]) => tensor(name, 'INT64', shape, nested ? data : data.flat())) });
            check(sameFloats(output(ids, 'logits').data, all), `${model}: ids ${nested ? 'nested' : 'flat'}`);
        }
        const names = Object.keys(rows);
        const [body, options] = withBinary({ parameters: { binary_data_output: true }, inputs: names.map(name => tensor(name, 'INT64', shape, null, { binary_data_size: 8 * shape[0] * shape[1] })),
            outputs: [{ name: 'logits' }, { name: 'score', parameters: { binary_data: false } }, { name: 'label', parameters: { binary_data: true } }] }, ...names.map(name => int64s(rows[name].flat())));
        const { json, binary } = split(await good(`/v2/models/${model}/infer`, body, options));
        check(sameFloats([...new Float32Array(binary.logits.buffer)], all) && !('data' in json.outputs[0]), `${model}: binary logits`);
        check(sameFloats(json.outputs[1].data, expected[model].map(one => one.score)), `${model}: score in JSON beside binary`);
        check(Buffer.from(binary.label).equals(byteStrings(expected[model].map(one => one.label))), `${model}: binary labels`);
    }
    // binary texts, and some inputs binary and others not
    const singles = texts.map((one, i) => [one, i]).filter(([one]) => one.pair === undefined);
    const bytes = byteStrings(singles.map(([one]) => one.text));
    let [body, options] = withBinary({ inputs: [tensor('text', 'BYTES', [singles.length], null, { binary_data_size: bytes.length })] }, bytes);
    check(sameFloats(output(await good('/v2/models/sst2/infer', body, options), 'logits').data, singles.flatMap(([, i]) => expected.sst2[i].logits)), 'binary texts');
    const ids = encoded[0].ids;
    [body, options] = withBinary({ inputs: [tensor('attention_mask', 'INT64', [1, ids.length], ids.map(() => 1)), tensor('input_ids', 'INT64', [1, ids.length], null, { binary_data_size: 8 * ids.length })] }, int64s(ids));
    check(sameFloats(output(await good('/v2/models/sst2/infer', body, options), 'logits').data, expected.sst2[0].logits), 'binary ids, JSON mask');
    await wrong(400, '/v2/models/sst2/infer', body, { headers: { 'Inference-Header-Content-Length': String(body.length + 1) } });
    await wrong(400, '/v2/models/sst2/infer', body, { headers: { 'Inference-Header-Content-Length': '-1' } });
    await wrong(400, '/v2/models/sst2/infer', body, { headers: { 'Inference-Header-Content-Length': '12' } });
    await wrong(400, '/v2/models/sst2/infer', Buffer.concat([body, Buffer.from('x')]), options);
    // classification: "value:index:label", best first
    const classes = await good('/v2/models/sst2/infer', { inputs: [textTensor([texts[0].text])], outputs: [{ name: 'logits', parameters: { classification: 5 } }] });
    const [best, second] = output(classes, 'logits').data.map(one => one.split(':'));
    check(best[2] === expected.sst2[0].label && best[1] === String(expected.sst2[0].scores.indexOf(expected.sst2[0].score)) && output(classes, 'logits').datatype === 'BYTES' &&
        Math.fround(best[0]) === Math.fround(expected.sst2[0].logits[best[1]]) && Number(best[0]) >= Number(second[0]), `classification: ${show(classes.json)}`);

    const infer = '/v2/models/sst2/infer', one = textTensor(['a']);
    for (const [status, path, sent] of [
        [400, infer, ''], [400, infer, '{"inputs":'], [422, infer, '[]'], [422, infer, {}], [422, infer, { inputs: [] }], [422, infer, { inputs: 'x' }],
        [422, infer, { inputs: [tensor('x', 'BYTES', [1], ['a'])] }], [422, infer, { inputs: [tensor('text', 'INT64', [1], [1])] }],
        [422, infer, { inputs: [tensor('text', 'FP99', [1], ['a'])] }], [422, infer, { inputs: [tensor('text', 'BYTES', [2], ['a'])] }],
        [422, infer, { inputs: [tensor('text', 'BYTES', [-1], ['a'])] }], [422, infer, { inputs: [tensor('text', 'BYTES', [1e9, 1e9], ['a'])] }],
        [422, infer, { inputs: [tensor('text', 'BYTES', [1, 1, 1], ['a'])] }], [422, infer, { inputs: [tensor('text', 'BYTES', ['1'], ['a'])] }],
        [422, infer, { inputs: [{ name: 'text', datatype: 'BYTES', shape: [1] }] }], [422, infer, { inputs: [tensor('text', 'BYTES', [1], [5])] }],
        [422, infer, { inputs: [one, one] }], [422, infer, { inputs: [one, tensor('input_ids', 'INT64', [1, 1], [5])] }],
        [422, infer, { inputs: [tensor('input_ids', 'INT64', [1, 2], [[5, 1000000]])] }], [422, infer, { inputs: [tensor('input_ids', 'INT64', [1, 2], [[5, 1.5]])] }],
        [422, infer, { inputs: [tensor('input_ids', 'INT32', [1, 1], [5])] }], [422, infer, { inputs: [tensor('input_ids', 'INT64', [1, 1000], Array(1000).fill(5))] }],
        [422, infer, { inputs: [tensor('attention_mask', 'INT64', [1, 1], [1])] }], [422, infer, { inputs: [one], outputs: [{ name: 'x' }] }],
        [422, infer, { id: 5, inputs: [one] }], [404, '/v2/models/none/infer', { inputs: [one] }], [404, '/v2/models/sst2/versions/2/infer', { inputs: [one] }],
        [404, '/v2/models/none', undefined], [404, '/v2/models/none/ready', undefined], [404, '/v2/models/sst2/versions/9/ready', undefined],
        [404, '/v2/models/none/stats', undefined], [404, '/v2/models/', undefined], [404, '/v2/none', undefined], [405, infer, undefined], [405, '/v2', {}],
        [404, '/v2/repository/models/none/load', {}], [404, '/v2/repository/models/none/unload', {}], [405, '/v2/repository/index', undefined],
        [422, '/v2/repository/index', { ready: 5 }], [400, '/v2/repository/index', '{'], [400, '/v2/repository/models/two/load', { parameters: { config: '{}' } }]])
        await wrong(status, path, sent);
    await wrong(415, infer, JSON.stringify({ inputs: [one] }), { headers: { 'Content-Encoding': 'gzip' } });

    // the repository
    const states = async sent => (await good('/v2/repository/index', sent, { method: 'POST' })).json.map(model => `${model.name}/${model.version} ${model.state}`).join(' ');
    check(await states() === 'sst2/1 READY q/1 READY two/1 READY two/2 READY', 'index');
    check((await good('/v2/repository/models/two/unload', { parameters: { unload_dependents: true } })).text === '', 'unload');
    check(await states({}) === 'sst2/1 READY q/1 READY two/1 UNAVAILABLE two/2 UNAVAILABLE', 'index after unload');
    check(await states({ ready: true }) === 'sst2/1 READY q/1 READY', 'index of what is ready');
    await wrong(503, '/v2/models/two/ready', undefined);
    await wrong(503, '/v2/models/two/infer', { inputs: [one] });
    check((await good('/v2/health/ready')).json.ready === true, 'ready without what was unloaded on purpose');
    await good('/v2/repository/models/two/load', undefined, { method: 'POST' });
    check(await states() === 'sst2/1 READY q/1 READY two/1 READY two/2 READY', 'index after load');
    const again = output(await good('/v2/models/two/versions/1/infer', { inputs: [textTensor([texts[0].text])] }), 'logits').data;
    check(sameFloats(again, expected.sst2[0].logits), 'the same bits after load');

    // statistics: exactly what was asked
    const statistics = async path => (await good(path)).json.model_stats;
    const before = (await statistics('/v2/models/two/versions/2/stats'))[0];
    for (let i = 0; i < 3; i++)
        await good('/v2/models/two/versions/2/infer', { inputs: [textTensor(['a', 'b'])] });
    await wrong(422, '/v2/models/two/versions/2/infer', {});
    const after = (await statistics('/v2/models/two/versions/2/stats'))[0];
    const grown = name => after.inference_stats[name].count - before.inference_stats[name].count;
    check(grown('success') === 3 && grown('fail') === 1 && grown('queue') === 3 && grown('compute_infer') === 3 && after.inference_count - before.inference_count === 6 &&
        after.execution_count - before.execution_count === 3 && after.inference_stats.success.ns > after.inference_stats.compute_infer.ns &&
        Math.abs(after.last_inference - Date.now()) < 60000, `statistics: ${show(before)} ${show(after)}`);
    check((await statistics('/v2/models/two/stats')).length === 2 && (await statistics('/v2/models/stats')).length === 4, 'statistics of several');
}

// --- text-embeddings-inference ---------------------------------------------------------------------

const ranked = (one, values) => one.scores.map((_, i) => i).sort((a, b) => values[b] - values[a]).map(i => ({ score: values[i], label: labels[i] }));
const labels = ['negative', 'positive'];
const sameRanks = (got, want) => Array.isArray(got) && got.length === want.length && got.every((entry, i) => entry.label === want[i].label && sameFloats([entry.score], [want[i].score]));

async function textEmbeddingsInference() {
    for (const [model, suffix] of [['sst2', ''], ['q', '?model=q']]) {
        const wanted = expected[model].map(one => ranked(one, one.scores)), raw = expected[model].map(one => ranked(one, one.logits));
        for (const [i, { text, pair }] of texts.entries()) {
            const inputs = pair === undefined ? text : [text, pair];
            check(sameRanks((await good(`/predict${suffix}`, { inputs })).json, wanted[i]), `/predict ${i}`);
            check(sameRanks((await good(`/predict${suffix}`, { inputs, raw_scores: true, truncate: true, truncation_direction: 'right' })).json, raw[i]), `/predict raw ${i}`);
        }
        const batch = (await good(`/predict${suffix}`, { inputs: texts.map(({ text, pair }) => pair === undefined ? [text] : [text, pair]), truncate: false })).json;
        check(batch.length === texts.length && batch.every((one, i) => sameRanks(one, wanted[i])), '/predict batch');
    }
    const long = 'good '.repeat(600);
    await wrong(422, '/predict', { inputs: long, truncate: false });
    check((await good('/predict', { inputs: long, truncate: true })).json.length === 2, 'truncated');
    check(show((await good('/predict', { inputs: long + ' bad', truncation_direction: 'left' })).json) !== show((await good('/predict', { inputs: long + ' bad' })).json), 'cut on the left');
    const unit = (await good('/embed', { inputs: 'a gripping film' })).json, plain = (await good('/embed', { inputs: ['a gripping film', 'b'], normalize: false })).json;
    const norm = Math.hypot(...plain[0]);
    check(unit.length === 1 && plain.length === 2 && Math.abs(Math.hypot(...unit[0]) - 1) < 1e-5 && Math.abs(norm - 1) > 1e-3 &&
        unit[0].every((x, i) => Math.abs(x - plain[0][i] / norm) < 1e-7), '/embed');
    const tokens = (await good('/tokenize', { inputs: texts.map(one => one.text) })).json;
    const alone = texts.map((one, i) => [one, i]).filter(([one]) => one.pair === undefined);
    check(alone.every(([, i]) => show(tokens[i].map(token => token.id)) === show(encoded[i].ids) && show(tokens[i].map(token => token.text)) === show(encoded[i].tokens) &&
        tokens[i][0].special && tokens[i].at(-1).special && !tokens[i].slice(1, -1).some(token => token.special) && tokens[i][0].start === null), `/tokenize: ${show(tokens[0])}`);
    check((await good('/tokenize', { inputs: 'a film', add_special_tokens: false })).json[0].length === 2, '/tokenize without special tokens');
    check(show((await good('/decode', { ids: encoded[0].ids, skip_special_tokens: true })).json) === '["a gripping, funny film"]', '/decode');
    const info = (await good('/info')).json;
    check(info.model_dtype === 'float32' && info.served_model_name === 'sst2' && show(info.model_type.classifier.id2label) === '{"0":"negative","1":"positive"}' &&
        show(info.model_type.classifier.label2id) === '{"negative":0,"positive":1}' && info.max_input_length === 512 && info.max_concurrent_requests > 0 && info.auto_truncate === true &&
        'max_batch_tokens' in info && 'max_client_batch_size' in info && 'version' in info && 'sha' in info && 'docker_label' in info, `/info: ${show(info)}`);
    await good('/health');
    const metrics = await good('/metrics');
    for (const name of ['te_request_count{method="single"}', 'te_request_success{method="batch"}', 'te_request_failure{err="validation"}', 'te_predict_success', 'te_embed_success',
        'te_queue_size', 'te_request_duration_bucket', 'te_batch_next_tokens_sum', 'nv_inference_request_success{model="sst2",version="1"}'])
        check(metrics.text.includes(`\n${name}`), `/metrics has no ${name}`);
    check(metrics.headers.get('content-type').startsWith('text/plain; version=0.0.4'), '/metrics: type');
    const timed = await good('/predict', { inputs: 'a gripping, funny film' }, { headers: { 'x-request-id': 'my-own.7' } });
    for (const name of ['compute', 'total', 'queue', 'inference', 'tokenization'])
        check(/^\d+$/.test(timed.headers.get(`x-${name}-time`)) && Number(timed.headers.get(`x-${name}-time-us`)) >= 1000 * Number(timed.headers.get(`x-${name}-time`)), `x-${name}-time`);
    check(timed.headers.get('x-compute-tokens') === String(encoded[0].ids.length) && timed.headers.get('x-compute-characters') === '22' &&
        timed.headers.get('x-request-id') === 'my-own.7', 'headers');
    check((await good('/predict', { inputs: ['\u00e9\u{1f600}', 'ab'] })).headers.get('x-compute-characters') === '4', 'characters are not bytes');
    for (const [status, path, body] of [[422, '/predict', {}], [422, '/predict', { inputs: 5 }], [422, '/predict', { inputs: ['a', 'b', 'c'] }], [422, '/predict', { inputs: [] }],
        [422, '/predict', { inputs: [['a'], 'b'] }], [422, '/predict', { inputs: [[]] }], [422, '/predict', { inputs: 'a', truncation_direction: 'up' }], [422, '/embed', { inputs: 'a', normalize: 'no' }],
        [404, '/predict?model=none', { inputs: 'a' }], [405, '/predict', undefined], [400, '/embed', { inputs: [] }], [422, '/tokenize', { inputs: 5 }]])
        await wrong(status, path, body);
}

// --- Hugging Face, OpenAI, the study ---------------------------------------------------------------

async function others() {
    const sst2 = expected.sst2;
    const list = texts.map(({ text, pair }) => pair === undefined ? text : { text, text_pair: pair });
    const nested = (await good('/models/sst2', { inputs: list, parameters: {} })).json;
    check(nested.length === texts.length && nested.every((one, i) => sameRanks(one, ranked(sst2[i], sst2[i].scores))), '/models/sst2');
    check(sameRanks((await good('/models/sst2', { inputs: texts[0].text, parameters: { top_k: 1 } })).json[0], ranked(sst2[0], sst2[0].scores).slice(0, 1)), 'top_k');
    check(sameRanks((await good('/models/q', { inputs: texts[0].text, parameters: { function_to_apply: 'none' } })).json[0], ranked(expected.q[0], expected.q[0].logits)), 'function_to_apply');
    await wrong(404, '/models/none', { inputs: 'a' });
    await wrong(422, '/models/sst2', { input: 'a' });

    const embed = (await good('/embed', { inputs: ['a gripping film', 'b'] })).json;
    const float = (await good('/v1/embeddings', { input: ['a gripping film', 'b'], model: 'sst2', encoding_format: 'float', user: 'x' })).json;
    const base64 = (await good('/v1/embeddings', { input: ['a gripping film', 'b'], model: 'sst2', encoding_format: 'base64' })).json;
    check(float.object === 'list' && float.model === 'sst2' && float.data.every((one, i) => one.object === 'embedding' && one.index === i && sameFloats(one.embedding, embed[i])), '/v1/embeddings');
    check(base64.data.every((one, i) => sameFloats([...new Float32Array(Uint8Array.from(Buffer.from(one.embedding, 'base64')).buffer)], embed[i])), '/v1/embeddings as base64');
    check(float.usage.prompt_tokens === 8 && float.usage.total_tokens === 8, `usage: ${show(float.usage)}`);
    check((await good('/v1/embeddings', { input: [[2, 5, 3], [2, 3]], model: 'sst2', dimensions: 7 })).json.data[1].embedding.length === 7, '/v1/embeddings of ids, cut');
    check(sameFloats((await good('/v1/embeddings', { input: 'a gripping film' })).json.data[0].embedding, embed[0]), '/v1/embeddings of one text, without a model');
    await wrong(404, '/v1/embeddings', { input: 'a', model: 'text-embedding-3-small' });

    await wrong(409, '/inference', ['a']);
    await wrong(400, '/set_model', undefined, { method: 'POST' });
    await wrong(404, '/set_model?model_type=none', undefined, { method: 'POST' });
    check((await good('/set_model?model_type=sst2&use_onnx_quant=False&num_threads=1', undefined, { method: 'POST' })).text.startsWith('Model set to sst2'), '/set_model');
    const study = (await good('/inference', texts.map(one => one.text))).json;
    check(texts.every((one, i) => one.pair !== undefined || sameFloats(study.predictions[i], sst2[i].logits)), '/inference');
    check(study.input_size === Math.max(...(await good('/tokenize', { inputs: texts.map(one => one.text) })).json.map(one => one.length)) && study.time > 0 && typeof study.model_path === 'string', `/inference: ${show(study)}`);
    await good('/set_model?model_type=sst2&use_onnx_quant=True', undefined, { method: 'POST' });
    check(sameFloats((await good('/inference', [texts[0].text])).json.predictions[0], expected.q[0].logits), '/inference at int8');
    await wrong(400, '/inference', []);
}

await openInference();
await textEmbeddingsInference();
await others();
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures > 0 || checks < 200 ? 1 : 0);
