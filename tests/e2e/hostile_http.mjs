// hostile_http.mjs HOST PORT: requests as bytes, over raw sockets: each gets its status, an error of the right shape, a closed
// connection where its end cannot be trusted, and never an answer to what it smuggles. Every row is also tried with a good
// request in its place, which must fail it.
import net from 'node:net';

const [host, port] = [process.argv[2], Number(process.argv[3])];
let checks = 0, failures = 0;
const good = 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n["a"]';
const smuggled = 'GET /info HTTP/1.1\r\nHost: x\r\nx-request-id: smuggled\r\n\r\n';
const last = 'GET /livez HTTP/1.1\r\nHost: x\r\nx-request-id: last\r\nConnection: close\r\n\r\n';
const head = (...lines) => ['POST /inference HTTP/1.1', ...lines].join('\r\n') + '\r\n\r\n';
const get = target => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
const chunked = 'Transfer-Encoding: chunked';

// Who answers: 'berth' with JSON; 'library' with a page of its own, 'twice' with two heads before it (libmicrohttpd 0.9.75);
// 'nobody': the connection is closed. Then: 'closed', or 'kept', when the next request on the connection must be answered.
const rows = [
    // two readers, two lengths
    ['both lengths', 400, 'berth', 'closed', head('Host: x', 'Content-Length: 5', chunked) + '0\r\n\r\n'],
    ['both, the other way round', 400, 'berth', 'closed', head('Host: x', chunked, 'Content-Length: 5') + '0\r\n\r\n'],
    ['two lengths', 400, 'berth', 'closed', head('Host: x', 'Content-Length: 5', 'Content-Length: 50') + '["a"]'],
    ['the same length twice', 400, 'berth', 'closed', head('Host: x', 'Content-Length: 5', 'content-length: 5') + '["a"]'],
    ['a length of 0, then another', 400, 'berth', 'closed', head('Host: x', 'Content-Length: 0', 'Content-Length: 5') + '["a"]'],
    ['a list of lengths', 400, 'twice', 'closed', head('Host: x', 'Content-Length: 5, 5') + '["a"]'],
    ['a signed length', 400, 'twice', 'closed', head('Host: x', 'Content-Length: +5') + '["a"]'],
    ['a negative length', 400, 'twice', 'closed', head('Host: x', 'Content-Length: -5') + '["a"]'],
    ['a length with a space in it', 400, 'twice', 'closed', head('Host: x', 'Content-Length: 5 0') + '["a"]'],
    ['a length in hexadecimal', 400, 'twice', 'closed', head('Host: x', 'Content-Length: 0x5') + '["a"]'],
    ['a length of nothing', 400, 'twice', 'closed', head('Host: x', 'Content-Length:') + '["a"]'],
    ['a length beyond 64 bits', 413, 'twice', 'closed', head('Host: x', 'Content-Length: 99999999999999999999999') + '["a"]'],
    ['identity', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: identity') + '["a"]'],
    ['gzip, chunked', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: gzip, chunked') + '0\r\n\r\n'],
    ['chunked, chunked', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: chunked, chunked') + '0\r\n\r\n'],
    ['chunked twice', 400, 'berth', 'closed', head('Host: x', chunked, chunked) + '0\r\n\r\n'],
    ['xchunked', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: xchunked') + '0\r\n\r\n'],
    ['chunked and a tab', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: chunked\t') + '0\r\n\r\n'],
    ['chunked behind a vertical tab', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: \vchunked') + '0\r\n\r\n'],
    ['quoted', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding: "chunked"') + '0\r\n\r\n'],
    ['no coding', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding:') + '0\r\n\r\n'],
    ['chunked in HTTP/1.0', 400, 'berth', 'closed', 'POST /inference HTTP/1.0\r\nHost: x\r\n' + chunked + '\r\n\r\n0\r\n\r\n'],
    // names and values
    ['a space before the colon', 400, 'berth', 'closed', head('Host: x', 'Content-Length : 5') + '["a"]'],
    ['a space before the colon of the coding', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding : chunked') + '0\r\n\r\n'],
    ['a tab before the colon', 400, 'berth', 'closed', head('Host: x', 'Content-Length\t: 5') + '["a"]'],
    ['a space before the first name', 400, 'berth', 'closed', head(' Host: x', 'Content-Length: 5') + '["a"]'],
    ['a control character in a name', 400, 'berth', 'closed', head('Host: x', 'Content\x01-Length: 5', 'Content-Length: 5') + '["a"]'],
    ['brackets in a name', 400, 'berth', 'closed', head('Host: x', 'a[0]: b')],
    ['no name', 400, 'berth', 'closed', head('Host: x', ': 5')],
    ['a name beyond ASCII', 400, 'berth', 'closed', head('Host: x', 'Contént: 5')],
    ['no colon', 400, 'library', 'closed', head('Host: x', 'Content-Length 5')],
    ['a NUL in a name', 400, 'library', 'closed', head('Host: x', 'Content\0-Length: 5')],
    ['a NUL in a value', 400, 'berth', 'closed', head('Host: x', 'a: b\0c')],
    ['a NUL that hides a length', 400, 'berth', 'closed', head('Host: x', 'Content-Length: 5\0 0') + '["a"]'],
    ['a bell in a value', 400, 'berth', 'closed', head('Host: x', 'a: b\x07c')],
    ['a DEL in a value', 400, 'berth', 'closed', head('Host: x', 'a: b\x7fc')],
    ['a bare CR in a value', 400, 'berth', 'closed', head('Host: x', 'a: b\rContent-Length: 5')],
    ['a folded value', 400, 'berth', 'closed', head('Host: x', 'a: b\r\n c')],
    ['a folded length', 400, 'berth', 'closed', head('Host: x', 'Content-Length:\r\n 5') + '["a"]'],
    ['a folded coding', 400, 'berth', 'closed', head('Host: x', 'Transfer-Encoding:\r\n\tchunked') + '0\r\n\r\n'],
    ['folded often', 400, 'berth', 'closed', head('Host: x', 'a: b' + '\r\n c'.repeat(500))],
    ['folded at the end', 400, 'berth', 'closed', head('a: b', 'Host: x\r\n  ')],
    ['a bare LF in the head', 400, 'berth', 'closed', 'POST /inference HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\n["a"]'],
    ['bare LFs only', 400, 'berth', 'closed', good.replaceAll('\r\n', '\n')],
    ['a bare LF at the end of the head', 400, 'berth', 'closed', 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\n["a"]'],
    // Host
    ['no Host', 400, 'berth', 'closed', head('Content-Length: 5') + '["a"]'],
    ['two Hosts', 400, 'berth', 'closed', head('Host: x', 'Host: y', 'Content-Length: 5') + '["a"]'],
    ['the same Host twice', 400, 'berth', 'closed', head('Host: x', 'host: x', 'Content-Length: 5') + '["a"]'],
    ['a path as Host', 400, 'berth', 'closed', head('Host: x/inference', 'Content-Length: 5') + '["a"]'],
    ['a name and password as Host', 400, 'berth', 'closed', head('Host: a:b@x', 'Content-Length: 5') + '["a"]'],
    ['a list of Hosts', 400, 'berth', 'closed', head('Host: x, y', 'Content-Length: 5') + '["a"]'],
    // the first line
    ['HTTP/0.9', 400, 'library', 'closed', 'GET /livez\r\n'],
    ['HTTP/0.9 by name', 505, 'library', 'closed', 'GET /livez HTTP/0.9\r\n\r\n'],
    ['HTTP/2', 505, 'library', 'closed', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/9.9', 505, 'library', 'closed', 'GET /livez HTTP/9.9\r\n\r\n'],
    ['a version of its own', 400, 'library', 'closed', 'GET /livez HTTP/1.10\r\nHost: x\r\n\r\n'],
    ['a version in small letters', 400, 'library', 'closed', 'GET /livez http/1.1\r\nHost: x\r\n\r\n'],
    ['a space after the version', 400, 'library', 'closed', 'GET /livez HTTP/1.1 \r\nHost: x\r\n\r\n'],
    ['an absolute target', 400, 'berth', 'closed', get('http://x/livez')],
    ['an authority as target', 400, 'berth', 'closed', 'CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a star as target', 400, 'berth', 'closed', 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a path without a slash', 400, 'berth', 'closed', get('livez')],
    ['two spaces', 400, 'berth', 'closed', 'GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a space in the path', 400, 'berth', 'closed', get('/livez /x')],
    ['a tab in the path', 400, 'berth', 'closed', get('/livez\t/x')],
    ['a control character in the path', 400, 'berth', 'closed', get('/livez\x01')],
    ['a NUL in the path', 400, 'berth', 'closed', get('/livez\0')],
    ['a NUL that hides a version', 400, 'berth', 'closed', get('/livez\0HTTP/1.1\0x')],
    ['%00 in the path', 400, 'berth', 'closed', get('/livez%00')],
    ['%00 in the path, and more', 400, 'berth', 'closed', get('/livez%00/x?y=%00')],
    ['a method that is no word', 400, 'berth', 'closed', 'G@T /livez HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a control character in the method', 400, 'berth', 'closed', 'GET\x01 /livez HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['nothing but words', 0, 'nobody', 'closed', 'nonsense\r\n\r\n'],
    ['a TLS client', 0, 'nobody', 'closed', Buffer.from('16030102000100\r\n01fc0303', 'latin1')],
    ['a line of 100 kB', 414, 'library', 'closed', get('/' + 'a'.repeat(100000))],
    ['a query of 100 kB', 414, 'library', 'closed', get('/livez?' + 'a'.repeat(100000))],
    ['a header of 100 kB', 431, 'library', 'closed', head('Host: x', 'a: ' + 'b'.repeat(100000))],
    ['1,000 headers', 431, 'library', 'closed', head('Host: x', ...Array.from({ length: 1000 }, (_, i) => `a-header-of-mine-${i}: ${i}`))],
    ['1,000 cookies', 0, 'nobody', 'closed', head('Host: x', 'Cookie: ' + Array.from({ length: 1000 }, (_, i) => `cookie${i}=${i}`).join('; '))],
    ['a line of 9 kB', 414, 'berth', 'closed', get('/' + 'a'.repeat(9000))],
    ['65 arguments', 414, 'berth', 'closed', get('/livez?' + '&'.repeat(64))],
    ['1,000 arguments', 414, 'berth', 'closed', get('/livez?' + Array.from({ length: 1000 }, (_, i) => `argument${i}=${i}`).join('&'))],
    // chunks
    ['a chunk size that is none', 400, 'library', 'closed', head('Host: x', chunked) + 'zz\r\n["a"]\r\n0\r\n\r\n'],
    ['a chunk size with 0x', 400, 'library', 'closed', head('Host: x', chunked) + '0x5\r\n["a"]\r\n0\r\n\r\n'],
    ['a signed chunk size', 400, 'library', 'closed', head('Host: x', chunked) + '+5\r\n["a"]\r\n0\r\n\r\n'],
    ['a negative chunk size', 400, 'library', 'closed', head('Host: x', chunked) + '-5\r\n["a"]\r\n0\r\n\r\n'],
    ['a chunk size with a space', 400, 'library', 'closed', head('Host: x', chunked) + '5 \r\n["a"]\r\n0\r\n\r\n'],
    ['an empty chunk size', 400, 'library', 'closed', head('Host: x', chunked) + '\r\n["a"]\r\n0\r\n\r\n'],
    ['a chunk size beyond 64 bits', 413, 'library', 'closed', head('Host: x', chunked) + 'ffffffffffffffffff\r\n["a"]\r\n0\r\n\r\n'],
    ['a chunk that is longer than its size', 400, 'library', 'closed', head('Host: x', chunked) + '5\r\n["a"]xx\r\n0\r\n\r\n'],
    ['a trailer without a colon', 400, 'library', 'closed', head('Host: x', chunked) + '5\r\n["a"]\r\n0\r\nnonsense\r\n\r\n'],
    // what is read, but not beyond: see docs/serving.md
    ['chunks', 200, 'berth', 'closed', head('Host: x', chunked) + '2\r\n["\r\n3\r\na"]\r\n0\r\n\r\n'],
    ['Chunks', 200, 'berth', 'closed', head('Host: x', 'transfer-encoding: Chunked') + '5\r\n["a"]\r\n0\r\n\r\n'],
    ['a chunk extension', 200, 'berth', 'closed', head('Host: x', chunked) + '5;a=b\r\n["a"]\r\n0;c\r\n\r\n'],
    ['a chunk line that ends in LF', 200, 'berth', 'closed', head('Host: x', chunked) + '5\n["a"]\n0\n\n'],
    ['an extension that hides a line', 200, 'berth', 'closed', head('Host: x', chunked) + '5;\n["a"]\r\n0\r\n\r\n'],
    ['trailers', 200, 'berth', 'closed', head('Host: x', chunked) + '5\r\n["a"]\r\n0\r\nContent-Length: 7\r\n\r\n'],
    ['a chunk that ends the JSON early', 400, 'berth', 'closed', head('Host: x', chunked) + '3\r\n["a\r\n0\r\n\r\n'],
    // what is right, if odd: the connection goes on
    ['an ordinary request', 200, 'berth', 'kept', good],
    ['empty lines before it', 200, 'berth', 'kept', '\r\n\r\n' + good],
    ['no space behind colons', 200, 'berth', 'kept', good.replaceAll(': ', ':')],
    ['many spaces behind colons', 200, 'berth', 'kept', good.replaceAll(': ', ': \t   ')],
    ['an empty value, and one beyond ASCII', 200, 'berth', 'kept', good.replace('Host: x', 'Host: [::1]:80\r\na:\r\nb: \xe9\xff  ')],
    ['64 arguments', 200, 'berth', 'kept', good.replace('/inference', '/inference?' + '&'.repeat(63))],
    ['a query', 200, 'berth', 'kept', good.replace('/inference', '/inference?a=%00&b=%zz&&=&c')],
    ['cookies', 200, 'berth', 'kept', good.replace('Host: x', 'Host: x\r\nCookie: a=b; c="d;e"; f\r\nCookie: =')],
    ['a head of many reads', 200, 'berth', 'kept', good.replace('Host: x', 'Host: x\r\n' + 'a: ' + 'b'.repeat(9000))],
    ['a body with GET', 405, 'berth', 'kept', good.replace('POST', 'GET')],
    ['a method nobody knows', 405, 'berth', 'kept', good.replace('POST', 'BREW')],
    ['no such path', 404, 'berth', 'kept', good.replace('/inference', '/nonsense')],
    ['a body that is no JSON', 400, 'berth', 'kept', good.replace('["a"]', '["a",')],
    ['a coding of the content', 415, 'berth', 'kept', good.replace('Host: x', 'Host: x\r\nContent-Encoding: gzip')],
    ['HTTP/1.0, kept alive, without a Host', 200, 'berth', 'kept', good.replace('HTTP/1.1\r\nHost: x', 'HTTP/1.0\r\nConnection: keep-alive')],
    ['a body larger than allowed', 413, 'berth', 'kept', head('Host: x', 'Content-Length: 200000') + 'x'.repeat(200000)],
].map(([name, status, by, then, bytes]) => ({ name, status: [status].flat(), by, then, bytes }));

// All that comes back until the server closes; after `quiet` ms without an answer the client ends its side.
const talk = bytes => new Promise(resolve => {
    const socket = net.connect(port, host), pieces = [];
    let closed = false;
    const give_up = setTimeout(() => socket.destroy(), 20000);
    socket.on('data', piece => pieces.push(piece)).on('end', () => { closed = true; }).on('error', () => {})
        .on('close', () => { clearTimeout(give_up); resolve({ text: Buffer.concat(pieces).toString('latin1'), closed }); });
    socket.write(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'latin1'));
});

// The answers in a stream of bytes, by their Content-Length.
function answers(text) {
    const found = [];
    for (let rest = text; rest;) {
        const match = /^HTTP\/1\.1 (\d+) [^\r]*\r\n([^]*?)\r\n\r\n/.exec(rest);
        if (!match)
            return null;
        const size = Number(/^content-length: (\d+)$/im.exec(match[2])?.[1] ?? 0);
        found.push({ status: Number(match[1]), head: match[2], body: rest.slice(match[0].length, match[0].length + size) });
        if (found.at(-1).body.length < size)
            return null;
        rest = rest.slice(match[0].length + size);
    }
    return found;
}

const isError = text => { try { const { error, error_type } = JSON.parse(text); return error && error_type; } catch { return false; } };

// What is wrong with the row; '' when nothing is.
async function verdict({ status, by, then, bytes }) {
    const { text, closed } = await talk(Buffer.concat([Buffer.from(bytes, 'latin1'), Buffer.from(then === 'kept' ? last : smuggled + last)]));
    const found = answers(by === 'twice' ? text.replace(/^(HTTP\/1\.1 \d+ [^]*?\r\n\r\n)\1/, '$1') : text);
    if (!found)
        return `no HTTP came back: ${JSON.stringify(text.slice(0, 200))}`;
    const wanted = by === 'nobody' ? 0 : then === 'kept' ? 2 : 1;
    if (found.length !== wanted || text.includes('smuggled'))
        return `${found.length} answers, not ${wanted}: ${found.map(one => one.status)}`;
    if (!closed)
        return 'the connection stays open';
    if (wanted === 0)
        return '';
    if (!status.includes(found[0].status))
        return `${found[0].status}: ${found[0].body.slice(0, 200)}`;
    if (found[0].status >= 400 && by === 'berth' && !isError(found[0].body))
        return `no error object: ${found[0].body.slice(0, 200)}`;
    if (by !== 'berth' && isError(found[0].body))
        return 'this one has JSON now: say so in the table, and in docs/serving.md';
    if (then === 'closed' && !/^connection: close$/im.test(found[0].head))
        return 'no word that the connection is closed';
    if (then === 'kept' && (found[1].status !== 200 || !found[1].head.includes('last')))
        return `the next request on the connection: ${found[1].status}`;
    return '';
}

const fail = message => { failures++; console.error(`FAILED: ${message}`); };
for (const row of rows) {
    checks++;
    const wrong = await verdict(row);
    if (wrong)
        fail(`${row.name}: ${wrong}`);
    const next = await talk(last);
    if (!next.text.startsWith('HTTP/1.1 200'))
        fail(`${row.name}: the next client: ${next.text.slice(0, 100)}`);
    const control = row.status.includes(200) && row.then === 'kept' ? good.replace('["a"]', '["a",') : good;
    if (!await verdict({ ...row, bytes: control }))
        fail(`${row.name}: the checker does not see another request in its place`);
}
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures > 0 || checks < 90 ? 1 : 0);
