// numbers.js: numbers as people read them, and the statistics of trials.

/** Three significant digits and a unit that fits; a time that was measured is never shown as zero. */
export function time(us) {
    if (us === null || us === undefined || Number.isNaN(us)) return '–';
    if (us < 0.001) return '< 1 ns';
    if (us < 1) return `${(us * 1000).toPrecision(3)} ns`;
    if (us < 999.5) return `${digits(us)} µs`;
    if (us < 999500) return `${digits(us / 1000)} ms`;
    return `${digits(us / 1e6)} s`;
}

function digits(x) {
    return x >= 99.95 ? x.toFixed(0) : x >= 9.995 ? x.toFixed(1) : x.toFixed(2);
}

/** A probability; certain and impossible only when it is. */
export function percent(p, places = 2) {
    if (p === null || p === undefined || Number.isNaN(p)) return '–';
    let text = (p * 100).toFixed(places);
    for (
        let more = places;
        (p < 1 && Number(text) >= 100) || (p > 0 && Number(text) === 0);
        text = (p * 100).toFixed(more)
    )
        if (++more > 12) return p < 0.5 ? '< 1e-12 %' : '> 99.999999999 %';
    return `${text} %`;
}

export function ratio(x) {
    if (!Number.isFinite(x)) return '–';
    return `${x >= 99.5 ? x.toFixed(0) : x >= 9.95 ? x.toFixed(1) : x.toFixed(2)}×`;
}

export function count(n) {
    return n.toLocaleString('en').replaceAll(',', '\u202f');
}

export function size(n) {
    return n >= 1e9
        ? `${(n / 1e9).toFixed(1)} G`
        : n >= 1e6
          ? `${(n / 1e6).toFixed(1)} M`
          : n >= 1e3
            ? `${(n / 1e3).toFixed(0)} k`
            : `${n}`;
}

export function words(text) {
    return text.trim() ? text.trim().split(/\s+/).length : 0;
}

/** Order statistic by nearest rank of sorted values; null where there are too few for it to be one of the tail. */
export function quantile(sorted, p) {
    const n = sorted.length;
    if (!n || (p > 0.5 && n * (1 - p) < 1 - 1e-9)) return null;
    return sorted[Math.max(0, Math.ceil(p * n - 1e-9) - 1)];
}

export const median = values =>
    quantile(
        [...values].sort((a, b) => a - b),
        0.5,
    );
export const mean = values => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Wilson's 95 % interval of k successes in n. */
export function wilson(k, n) {
    if (!n) return [NaN, NaN];
    const z = 1.959964,
        p = k / n,
        d = 1 + (z * z) / n;
    const middle = (p + (z * z) / (2 * n)) / d,
        half = (z / d) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
    return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Ten bins of confidence: how many, how sure on average, how often right; and the expected calibration error. */
export function calibration(pairs) {
    const bins = Array.from({length: 10}, () => ({n: 0, confidence: 0, right: 0}));
    for (const [confidence, right] of pairs) {
        const bin = bins[Math.min(9, Math.floor(confidence * 10))];
        bin.n++;
        bin.confidence += confidence;
        bin.right += right ? 1 : 0;
    }
    let error = 0;
    for (const bin of bins)
        if (bin.n) {
            error += Math.abs(bin.right - bin.confidence) / pairs.length;
            bin.confidence /= bin.n;
            bin.right /= bin.n;
        }
    return {bins, error: pairs.length ? error : NaN};
}
