// api.js: the server's JSON (docs/page.md). A deployment that fails answers {"deployment", "error"} with status 200: the page's
// own request went well.

async function ask(path, body) {
    const options =
        body === undefined
            ? {}
            : {
                  method: 'POST',
                  headers: {'Content-Type': 'application/json'},
                  body: JSON.stringify(body),
              };
    const response = await fetch(path, options);
    const answer = await response
        .json()
        .catch(() => ({error: `${path}: the answer is no JSON (HTTP ${response.status})`}));
    if (!response.ok) throw new Error(answer.error || `${path}: HTTP ${response.status}`);
    return answer;
}

export const deployments = () => ask('api/deployments');
export const sentences = (offset, limit) =>
    ask(offset ? `api/sentences?offset=${offset}&limit=${limit}` : `api/sentences?limit=${limit}`);
export const log = after => ask(`api/log?after=${after}`);
export const record = trials => ask('api/log', {trials});
export const report = () => ask('api/report');
export const recommend = question => ask('api/recommend', question);

/** One text through one deployment. Never throws: what went wrong is the answer's `error`. */
export async function predict(deployment, text, pair) {
    try {
        return await ask('api/predict', pair ? {deployment, text, pair} : {deployment, text});
    } catch (fault) {
        return {deployment, error: fault.message};
    }
}

export async function why(deployment, text, pair) {
    try {
        return await ask('api/why', pair ? {deployment, text, pair} : {deployment, text});
    } catch (fault) {
        return {deployment, error: fault.message};
    }
}
