// hostile_bodies.mjs HOST PORT MODEL: well-framed requests whose content is wrong, for every endpoint: each gets a refusal of the
// right kind with an error object, the server goes on, and a good request is told from a bad one. Then clients that half
// close, and ones that never read, beside one that does.
import http from 'node:http';
import net from 'node:net';

const [host, port, model] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let checks = 0, failures = 0;

function check(good, what) {
    checks++;
    if (good)
        return;
    failures++;
    console.error(`FAILED: ${what}`);
}

const ask = (method, path, body, headers = {}) => new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path, agent, headers: { 'Content-Type': 'application/json', ...headers } }, reply => {
        const pieces = [];
        reply.on('data', piece => pieces.push(piece)).on('end', () => resolve({ status: reply.statusCode, headers: reply.headers, text: Buffer.concat(pieces).toString() }));
    });
    request.on('error', reject).setTimeout(20000, () => request.destroy(new Error('no answer')));
    request.end(body);
});

const isError = text => { try { const { error, error_type } = JSON.parse(text); return typeof error === 'string' && error && error_type; } catch { return false; } };
const show = value => String(value).slice(0, 80);

async function wrong(statuses, method, path, body, headers) {
    const reply = await ask(method, path, body, headers);
    check([statuses].flat().includes(reply.status) && (method === 'HEAD' || isError(reply.text)) && reply.headers.connection !== 'close',
        `${method} ${path} ${show(body)}: want ${statuses} and an error: ${reply.status} ${reply.text.slice(0, 200)}`);
}

// Endpoints with a body, each with a good one, and one of every kind that any of them reads.
const infer = `/v2/models/${model}/infer`;
const tensor = (name, datatype, shape, data, more = {}) => ({ name, datatype, shape, ...(data !== undefined && { data }), ...more });
const posts = {
    '/inference': '["a"]', '/predict': '{"inputs": "a"}', '/embed': '{"inputs": "a"}', '/tokenize': '{"inputs": "a"}', '/decode': '{"ids": [1, 2]}',
    [`/models/${model}`]: '{"inputs": "a"}', '/v1/embeddings': '{"input": "a"}', [infer]: JSON.stringify({ inputs: [tensor('text', 'BYTES', [1], ['a'])] }),
    [`/v2/models/${model}/versions/1/infer`]: JSON.stringify({ inputs: [tensor('text', 'BYTES', [1], ['a'])] }), '/v2/repository/index': '{}', '/api/predict': null,
    '/api/why': null, '/api/recommend': null, '/api/log': null,
};
const gets = ['/health', '/livez', '/readyz', '/metrics', '/', '/info', '/v2', '/v2/health/live', '/v2/health/ready', '/v2/models/stats', `/v2/models/${model}`,
    `/v2/models/${model}/stats`, `/v2/models/${model}/ready`, `/v2/models/${model}/versions/1`, `/v2/models/${model}/versions/1/stats`, `/v2/models/${model}/versions/1/ready`,
    '/api/deployments', '/api/sentences'];

for (const [path, body] of Object.entries(posts)) {
    if (body === null)
        continue;
    const reply = await ask('POST', path, body);
    check(reply.status === 200, `${path}: ${reply.status} ${reply.text.slice(0, 200)}`);
}

// --- malformed or monstrous JSON, for all of them --------------------------------------------------

const member = JSON.stringify; // a text as JSON
const malformed = [ // every reader of JSON must refuse these
    '', ' ', '{', '[', '"', '{"inputs"', '{"inputs":', '{"inputs": "a"', '{"inputs": "a",}', '["a",]', '{inputs: "a"}', "{'inputs': 'a'}", '{"inputs": "a"} x', '{"a": 1}{"a": 1}', 'nul', 'truefalse',
    '{"inputs": 01}', '{"inputs": +1}', '{"inputs": .5}', '{"inputs": 1.}', '{"inputs": 1e}', '{"inputs": 0x10}', '{"inputs": NaN}', '{"inputs": Infinity}', '{"inputs": -}', '{"inputs": 1e99999}',
    '{"inputs": "\\x"}', '{"inputs": "\\u12"}', '{"inputs": "a\nb"}', '{"inputs": "a\0b"}', '{"inputs" "a"}', '{"inputs": "a" "b"}', '{1: 2}', '[1 2]', '/* */ {}', '{"inputs": ["a"}]',
    '['.repeat(20000), '{"a":'.repeat(20000), '['.repeat(20000) + ']'.repeat(20000), '{"inputs": ' + '['.repeat(65) + ']'.repeat(65) + '}', '{"x": ' + '1'.repeat(400) + '}',
    Buffer.from([0xff, 0xfe, 0x7b, 0, 0x7d, 0]), Buffer.from([0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d]),
    ...['ff', 'c0af', 'e080af', 'eda080', 'f4908080', 'f0808080', 'c3', '80', 'f888808080'].map(hex => Buffer.concat([Buffer.from('{"inputs": "'), Buffer.from(hex, 'hex'), Buffer.from('"}')])),
    ...['ff', 'eda080', 'c3'].map(hex => Buffer.concat([Buffer.from('["'), Buffer.from(hex, 'hex'), Buffer.from('"]')])),
];
const misshapen = ['null', 'true', '0', '-0', '1e308', '9223372036854775807', '-9223372036854775808', '"a"', '{"nonsense": 1}', '[[[["a"]]]]', '[null]', '{"inputs": null}', '{"inputs": {}}', '{"inputs": 5}', '{"inputs": 1e308}',
    '{"inputs": [1, "a"]}', '{"inputs": [["a", "b", "c"]]}', '{"inputs": [[[1]]]}', '{"input": {}}', '{"input": [["a"]]}', '{"ids": "a"}', '{"ids": [-1]}', '{"ids": [99999999999]}', '{"ids": [1.5]}',
    '{"inputs": "a", "inputs": "b"}', '{"input": "a", "input": "b"}', '{"ids": [1], "ids": [2]}'];
for (const path of Object.keys(posts).filter(one => one !== '/api/recommend')) { // which reads nothing without --results
    for (const body of malformed)
        if (!(path === '/v2/repository/index' && ['', ' '].includes(body))) // there a body is optional
            await wrong([400, 422], 'POST', path, body);
    for (const body of misshapen) {
        const reply = await ask('POST', path, body);
        check([200, 400, 422].includes(reply.status) && (reply.status === 200 || isError(reply.text)), `${path} ${body}: ${reply.status} ${reply.text.slice(0, 200)}`);
        check(reply.status !== 200 || path === '/v2/repository/index', `${path} ${body}: answered: ${reply.text.slice(0, 200)}`);
    }
}
// the same list tells a good body from these
check((await ask('POST', '/predict', ' {"inputs":"\\ud83d\\ude00 \u00e9", "x": {"y": [1.5e3]}}\r\n\t ')).status === 200, 'good JSON');

// --- tensors ---------------------------------------------------------------------------------------

for (const datatype of ['', 'bytes', 'STRING', 'BOOL', 'UINT8', 'INT8', 'INT32', 'UINT64', 'FP16', 'FP32', 'FP64', 'BF16', 'INT64\0', 'X'.repeat(5000), 5, null, ['BYTES'], {}]) {
    await wrong(422, 'POST', infer, JSON.stringify({ inputs: [tensor('text', datatype, [1], ['a'])] }));
    if (datatype !== 'INT64')
        await wrong(422, 'POST', infer, JSON.stringify({ inputs: [tensor('input_ids', datatype, [1, 1], [5])] }));
}
for (const shape of [[], [0], [-1], [1.5], ['1'], [null], [[1]], [2], [1, 0], [0, 1], [1, 3], [1, 1, 1], [1e18], [4294967296, 4294967296], [9007199254740993, 2], Array(100).fill(1), {}, '1', 1, null, true, undefined])
    await wrong(422, 'POST', infer, JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape, data: ['a'] }] }));
for (const shape of ['[18446744073709551616]', '[9223372036854775808]', '[1e400]', '[-9223372036854775809]', '[1e2]'])
    await wrong([400, 422], 'POST', infer, `{"inputs": [{"name": "text", "datatype": "BYTES", "shape": ${shape}, "data": ["a"]}]}`);
for (const shape of [[1], [1, 2, 1], [2, 2], [1, 3], [1, 0], [1, 1000]])
    await wrong(422, 'POST', infer, JSON.stringify({ inputs: [tensor('input_ids', 'INT64', shape, [5, 6])] }));
for (const data of [[], [5], [5, 6, 7], [[5], [6]], [[5, 6], []], [[5, 6, 7]], [5, [6]], [[5], 6], [5, -1], [5, 1e9], [5, 2 ** 53], [5, 1.5], [5, '6'], [5, null], [5, true], {}, 'ab', 5, null])
    await wrong(422, 'POST', infer, JSON.stringify({ inputs: [tensor('input_ids', 'INT64', [1, 2], data)] }));
for (const other of [tensor('attention_mask', 'INT64', [1, 1], [1]), tensor('attention_mask', 'INT64', [1, 2], [1, 2]), tensor('attention_mask', 'INT64', [1, 2], [0, 0]), tensor('attention_mask', 'INT64', [1, 2], [1, -1]),
    tensor('token_type_ids', 'INT64', [1, 2], [0, 2]), tensor('token_type_ids', 'INT64', [2, 1], [0, 0]), tensor('input_ids', 'INT64', [1, 2], [5, 6]), tensor('text', 'BYTES', [1], ['a'])])
    await wrong(422, 'POST', infer, JSON.stringify({ inputs: [tensor('input_ids', 'INT64', [1, 2], [5, 6]), other] }));
for (const more of [{ id: 5 }, { id: {} }, { inputs: {} }, { inputs: [5] }, { inputs: [[]] }, { outputs: {} }, { outputs: [5] }, { outputs: [{}] }, { outputs: [{ name: 'logits' }, { name: 'logits' }] }, { parameters: [] },
    { parameters: { timeout: -1 } }, { parameters: { timeout: 'soon' } }, { parameters: { binary_data_output: 5 } }, { outputs: [{ name: 'logits', parameters: { classification: 0 } }] },
    { outputs: [{ name: 'score', parameters: { classification: 1 } }] }, { outputs: [{ name: 'logits', parameters: { classification: 'all' } }] }])
    await wrong([400, 422], 'POST', infer, JSON.stringify({ inputs: [tensor('text', 'BYTES', [1], ['a'])], ...more }));

// Binary tensors: the JSON's size, the tensor's size, and what its bytes are.
const withBinary = (json, bytes, size) => {
    const head = Buffer.from(JSON.stringify(json));
    return [Buffer.concat([head, Buffer.from(bytes)]), { 'Inference-Header-Content-Length': String(size ?? head.length) }];
};
const ids = size => ({ inputs: [tensor('input_ids', 'INT64', [1, 2], undefined, { parameters: { binary_data_size: size } })] });
const text = size => ({ inputs: [tensor('text', 'BYTES', [1], undefined, { parameters: { binary_data_size: size } })] });
const five = [5, 0, 0, 0, 0, 0, 0, 0];
for (const [json, bytes, size] of [[ids(16), [...five, ...five], 0], [ids(16), [...five, ...five], -1], [ids(16), [...five, ...five], 1e9], [ids(16), [...five, ...five], '18446744073709551616'], [ids(16), [...five, ...five], '1 2'],
    [ids(16), [...five, ...five], '0x20'], [ids(16), [...five, ...five], ''], [ids(16), five], [ids(8), [...five, ...five]], [ids(8), five], [ids(15), [...five, ...five].slice(1)], [ids(17), [...five, ...five, 0]], [ids(0), []],
    [ids(-1), five], [ids(1.5), five], [ids('16'), [...five, ...five]], [ids(2 ** 53), five], [ids(16), [...five, 5, 0, 0, 0, 0, 0, 0, 128]], [ids(16), [...five, 255, 255, 255, 255, 255, 255, 255, 127]],
    [text(5), [1, 0, 0, 0, 97, 98]], [text(4), [1, 0, 0, 0]], [text(3), [1, 0, 0]], [text(5), [2, 0, 0, 0, 97]], [text(6), [1, 0, 0, 0, 97, 98]], [text(5), [255, 255, 255, 255, 97]], [text(5), [0, 0, 0, 128, 97]],
    [text(10), [1, 0, 0, 0, 97, 1, 0, 0, 0, 98]], [text(0), []]])
    await wrong([400, 422], 'POST', infer, ...withBinary(json, bytes, size));
check((await ask('POST', infer, ...withBinary(ids(16), [...five, ...five]))).status === 200, 'good binary ids');
check((await ask('POST', infer, ...withBinary(text(5), [1, 0, 0, 0, 97]))).status === 200, 'good binary text');

// --- every endpoint, every other method ------------------------------------------------------------

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'];
for (const [path, right] of [...Object.keys(posts).map(path => [path, path === '/api/log' ? ['POST', 'GET', 'HEAD'] : ['POST']]), ...gets.map(path => [path, ['GET', 'HEAD']])])
    for (const method of methods.filter(one => !right.includes(one))) {
        const reply = await ask(method, path);
        check(reply.status === 405 && reply.headers.allow?.split(', ').every(one => right.includes(one)) && (method === 'HEAD' || isError(reply.text)), `${method} ${path}: ${reply.status} ${reply.headers.allow} ${reply.text.slice(0, 100)}`);
    }
for (const path of ['/x', '//', '/v2/', '/v2/models', '/v2/models//infer', `/v2/models/${model}/`, `/v2/models/${model}/infer/`, '/inference/', '/Inference', '/models/', '/models/x/y', `/v2/models/${'x'.repeat(5000)}/infer`, '/page/..', '/page/%2e%2e%2fx', '/..', '/%2e%2e/%2e%2e/etc/passwd'])
    for (const method of ['GET', 'POST', 'DELETE'])
        await wrong([404, 405], method, path, method === 'POST' ? '{}' : undefined);

// --- clients that half close, and that never read --------------------------------------------------

// Sends, closes its own side, and reads what comes.
const halfClosed = bytes => new Promise(resolve => {
    const socket = net.connect({ port, host, allowHalfOpen: true }), pieces = [];
    socket.on('data', piece => pieces.push(piece)).on('error', () => {}).on('end', () => socket.end()).on('close', () => resolve(Buffer.concat(pieces).toString()));
    socket.end(bytes);
    setTimeout(() => { pieces.push(Buffer.from('the server did not close')); socket.destroy(); }, 25000).unref();
});
const request = (body, size = body.length) => `POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n${body}`;
check((await halfClosed('')) === '', 'half-closed without a word');
check((await halfClosed('POST /inf')) === '', 'half-closed in the first line');
check((await halfClosed('POST /inference HTTP/1.1\r\nHost: x\r\nContent-Le')) === '', 'half-closed in the headers');
check(!(await halfClosed(request('["a', 50))).startsWith('HTTP/1.1 200'), 'half-closed in the body');
const late = await halfClosed(request('["a"]')); // read before or after its end was seen: an answer, or none
check(late === '' || late.startsWith('HTTP/1.1 200') && late.includes('"predictions"'), `half-closed behind a request: ${late.slice(0, 100)}`);

// closed by half at every place of a request in chunks: the server ends it, long before the request's time of 30 s is over
const whole = `POST ${infer} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${posts[infer].length.toString(16)}\r\n${posts[infer]}\r\n0\r\n\r\n`;
const cut = await Promise.all(Array.from({ length: whole.length }, (_, size) => halfClosed(whole.slice(0, size))));
check(cut.every(answer => answer === ''), `half-closed everywhere: ${cut.find(Boolean)}`);

const deaf = Array.from({ length: 40 }, () => { // each asks for megabytes, and reads none of them
    const socket = net.connect(port, host);
    socket.on('error', () => {}).pause();
    for (let i = 0; i < 200; i++)
        socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' + request('["a"]'));
    return socket;
});
await new Promise(done => setTimeout(done, 300));
for (let i = 0; i < 50; i++)
    check((await ask('POST', '/inference', '["beside clients that do not read"]')).status === 200, 'beside clients that do not read');
deaf.forEach(socket => socket.destroy());
check((await ask('GET', '/health')).status === 200, 'at the end');
agent.destroy();
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures > 0 || checks < 1000 ? 1 : 0);
