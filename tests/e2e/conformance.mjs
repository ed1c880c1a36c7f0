// conformance.mjs URL [broken]: the exact shapes of the peers' interfaces: which members an answer has, of which kinds, and no
// others. Open Inference Protocol v2 with its extensions, text-embeddings-inference's own examples, Hugging Face, OpenAI, the
// study's client. With `broken` one shape is wrong, and must be seen.
const [url, broken] = process.argv.slice(2);
let checks = 0, failures = 0;

const text = 'text', number = 'number', integer = 'integer', truth = 'truth', nothing = 'nothing';
const listOf = shape => ({ each: shape }), optional = shape => ({ optional: shape }), mapOf = shape => ({ values: shape });

// Where the value departs from the shape; '' when nowhere. A shape is a kind, a constant's list, an array (each place), {each},
// {values}, or an object whose members are all.
function departs(value, shape, at = '') {
    if (typeof shape === 'string') {
        const fits = { text: typeof value === 'string', number: typeof value === 'number', integer: Number.isInteger(value), truth: typeof value === 'boolean', nothing: value === null }[shape];
        return fits ? '' : `${at}: ${JSON.stringify(value)} is not ${shape}`;
    }
    if (Array.isArray(shape))
        return !Array.isArray(value) || value.length !== shape.length ? `${at}: not a list of ${shape.length}` : shape.map((one, i) => departs(value[i], one, `${at}[${i}]`)).find(Boolean) ?? '';
    if (shape.is)
        return shape.is.includes(value) ? '' : `${at}: ${JSON.stringify(value)} is none of ${shape.is}`;
    if (shape.each)
        return !Array.isArray(value) || value.length === 0 ? `${at}: no list` : value.map((one, i) => departs(one, shape.each, `${at}[${i}]`)).find(Boolean) ?? '';
    if (value === null || typeof value !== 'object' || Array.isArray(value))
        return `${at}: no object`;
    if (shape.values)
        return Object.entries(value).map(([name, one]) => departs(one, shape.values, `${at}.${name}`)).find(Boolean) ?? '';
    const extra = Object.keys(value).find(name => !(name in shape));
    if (extra)
        return `${at}.${extra}: no such member there`;
    return Object.entries(shape).map(([name, one]) => one.optional ? (name in value ? departs(value[name], one.optional, `${at}.${name}`) : '') : departs(value[name], one, `${at}.${name}`)).find(Boolean) ?? '';
}
const is = (...values) => ({ is: values });

async function shaped(status, method, path, body, shape, headers = {}) {
    checks++;
    const reply = await fetch(url + path, { method, headers: { 'Content-Type': 'application/json', ...headers }, body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
    const sent = await reply.text();
    let wrong = reply.status === status ? '' : `status ${reply.status}`;
    if (!wrong && shape !== null)
        try { wrong = departs(JSON.parse(sent), shape); } catch { wrong = `no JSON: ${sent.slice(0, 100)}`; }
    if (!wrong && shape === null && sent !== '')
        wrong = `a body: ${sent.slice(0, 100)}`;
    if (wrong) {
        failures++;
        console.error(`FAILED: ${method} ${path} ${JSON.stringify(body)?.slice(0, 120) ?? ''}: ${wrong}`);
    }
    return reply;
}

const error = { error: text, error_type: text };
const tensor = (datatype, data) => ({ name: text, datatype: is(datatype), shape: listOf(integer), data: listOf(data) });

// --- Open Inference Protocol -----------------------------------------------------------------------

const model = '/v2/models/sst2', described = { name: text, datatype: text, shape: listOf(integer) };
await shaped(200, 'GET', '/v2', undefined, { name: text, version: text, extensions: broken ? listOf(integer) : listOf(text) });
await shaped(200, 'GET', '/v2/health/live', undefined, { live: is(true) });
await shaped(200, 'GET', '/v2/health/ready', undefined, { live: is(true), ready: is(true) });
for (const path of [model, `${model}/versions/1`]) {
    await shaped(200, 'GET', path, undefined, { name: is('sst2'), versions: [is('1')], platform: is('berth_native'), inputs: listOf(described), outputs: listOf(described) });
    await shaped(200, 'GET', `${path}/ready`, undefined, { name: is('sst2'), ready: is(true) });
    const request = { id: '42', parameters: {}, inputs: [{ name: 'text', shape: [2], datatype: 'BYTES', parameters: {}, data: ['good', 'bad'] }], outputs: [{ name: 'logits', parameters: {} }] };
    const header = { model_name: is('sst2'), model_version: is('1') }, logits = { name: is('logits'), datatype: is('FP32'), shape: [is(2), is(2)], data: [number, number, number, number] };
    await shaped(200, 'POST', `${path}/infer`, request, { ...header, id: is('42'), outputs: [logits] });
    await shaped(200, 'POST', `${path}/infer`, { inputs: request.inputs }, { ...header, outputs: [logits] });
    await shaped(200, 'POST', `${path}/infer`, { ...request, outputs: [{ name: 'label' }, { name: 'score' }] }, { ...header, id: text, outputs: [tensor('BYTES', text), tensor('FP32', number)] });
    await shaped(200, 'POST', `${path}/infer`, { ...request, outputs: [{ name: 'logits', parameters: { classification: 1 } }] }, { ...header, id: text, outputs: [{ name: is('logits'), datatype: is('BYTES'), shape: [is(2), is(1)], data: [text, text] }] });
    const count = { count: integer, ns: integer };
    await shaped(200, 'GET', `${path}/stats`, undefined, { model_stats: [{ name: text, version: text, last_inference: integer, inference_count: integer, execution_count: integer,
        inference_stats: { success: count, fail: count, queue: count, compute_input: count, compute_infer: count, compute_output: count, cache_hit: count, cache_miss: count }, batch_stats: [], memory_usage: [] }] });
}
await shaped(200, 'POST', '/v2/repository/index', undefined, listOf({ name: text, version: text, state: is('READY'), reason: text }));
await shaped(200, 'POST', '/v2/repository/index', { ready: true }, listOf({ name: text, version: text, state: is('READY'), reason: text }));
await shaped(200, 'POST', '/v2/repository/models/sst2/load', {}, null);
for (const [status, path, body] of [[400, `${model}/infer`, '{'], [404, '/v2/models/none/infer', { inputs: [] }], [422, `${model}/infer`, { inputs: [] }], [404, `${model}/versions/7/infer`, {}], [405, '/v2', {}]])
    await shaped(status, 'POST', path, body, error);

// --- text-embeddings-inference: the examples of its documentation ----------------------------------

const ranks = [{ score: number, label: text }, { score: number, label: text }];
const timed = await shaped(200, 'POST', '/predict', { inputs: 'I like you.', truncate: false, truncation_direction: 'right', raw_scores: false }, ranks);
await shaped(200, 'POST', '/predict', { inputs: ['I like you.', 'I like pineapples'] }, ranks);
await shaped(200, 'POST', '/predict', { inputs: [['I like you.'], ['I like pineapples', 'really']], raw_scores: true }, [ranks, ranks]);
await shaped(200, 'POST', '/embed', { inputs: 'What is Deep Learning?', truncate: null, truncation_direction: 'right', prompt_name: null, normalize: true, dimensions: null }, [listOf(number)]);
await shaped(200, 'POST', '/embed', { inputs: ['a', 'b'] }, [listOf(number), listOf(number)]);
await shaped(200, 'POST', '/tokenize', { inputs: 'I like you.', add_special_tokens: true, prompt_name: null }, [listOf({ id: integer, text, special: truth, start: nothing, stop: nothing })]);
await shaped(200, 'POST', '/decode', { ids: [[2, 5, 3]], skip_special_tokens: true }, [text]);
await shaped(200, 'GET', '/info', undefined, { model_id: text, model_sha: nothing, model_dtype: is('float32'), served_model_name: text, model_type: { classifier: { id2label: mapOf(text), label2id: mapOf(integer) } },
    max_concurrent_requests: integer, max_input_length: integer, max_batch_tokens: integer, max_batch_requests: nothing, max_client_batch_size: integer, auto_truncate: truth, tokenization_workers: integer, version: text, sha: nothing, docker_label: nothing });
for (const [status, path, body] of [[422, '/predict', { inputs: 5 }], [422, '/predict', {}], [422, '/embed', { inputs: {} }]])
    await shaped(status, 'POST', path, body, error);
for (const name of ['compute-time', 'compute-characters', 'compute-tokens', 'total-time', 'tokenization-time', 'queue-time', 'inference-time']) {
    checks++;
    if (!/^\d+$/.test(timed.headers.get(`x-${name}`) ?? '')) {
        failures++;
        console.error(`FAILED: x-${name}: ${timed.headers.get(`x-${name}`)}`);
    }
}

// --- Hugging Face, OpenAI, the study ---------------------------------------------------------------

const labelled = [{ label: text, score: number }, { label: text, score: number }];
await shaped(200, 'POST', '/models/sst2', { inputs: 'I like you.' }, [labelled]);
await shaped(200, 'POST', '/models/sst2', { inputs: ['a', 'b'], parameters: {} }, [labelled, labelled]);
const embedding = { object: is('embedding'), embedding: listOf(number), index: integer };
await shaped(200, 'POST', '/v1/embeddings', { input: 'a', model: 'sst2', user: null, encoding_format: 'float', dimensions: null }, { object: is('list'), data: [embedding], model: is('sst2'), usage: { prompt_tokens: integer, total_tokens: integer } });
await shaped(200, 'POST', '/v1/embeddings', { input: ['a', 'b'], model: 'sst2', encoding_format: 'base64' }, { object: is('list'), data: [{ ...embedding, embedding: text }, { ...embedding, embedding: text }], model: text, usage: { prompt_tokens: integer, total_tokens: integer } });
// The study's client: sets a model, then sends lists of 2, 8 and 32 of one sentence of 12 to 112 tokens, and reads these members.
await shaped(400, 'POST', '/set_model', undefined, error);
for (const quantised of ['False', 'True']) {
    const set = await fetch(`${url}/set_model?model_type=sst2&use_onnx_quant=${quantised}&num_threads=1`, { method: 'POST' });
    checks++;
    if (set.status !== 200 || !(await set.text()).startsWith('Model set to sst2')) {
        failures++;
        console.error(`FAILED: /set_model: ${set.status}`);
    }
    for (const batch of [2, 8, 32])
        for (let length = 12; length <= 112; length += 20)
            await shaped(200, 'POST', '/inference', Array(batch).fill('good '.repeat(length - 2).trim()), { predictions: Array(batch).fill([number, number]), time: number, input_size: is(length), model_path: text });
}
await shaped(400, 'POST', '/inference', [], error);
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures > 0 || checks < 80 ? 1 : 0);
