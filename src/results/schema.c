/* schema.c: the tables, version by version. docs/results.md explains them; a step that was released is never
 * changed, a new one is added behind it. */
#include "results/database.h"

static const char first_tables[] =
    "CREATE TABLE run(\n"
    "  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, started_us INTEGER NOT NULL,\n"
    "  finished_us INTEGER NOT NULL, command TEXT NOT NULL, suite TEXT NOT NULL, seed INTEGER NOT NULL) STRICT;\n"
    "CREATE TABLE fact(\n"
    "  run INTEGER NOT NULL REFERENCES run, key TEXT NOT NULL, value TEXT NOT NULL,\n"
    "  PRIMARY KEY(run, key)) STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE model(\n"
    "  run INTEGER NOT NULL REFERENCES run, name TEXT NOT NULL, source TEXT NOT NULL, hash TEXT NOT NULL,\n"
    "  architecture TEXT NOT NULL, parameters INTEGER NOT NULL, layers INTEGER NOT NULL, hidden INTEGER NOT NULL,\n"
    "  bytes INTEGER NOT NULL, PRIMARY KEY(run, name)) STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE configuration(\n"
    "  id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, model TEXT NOT NULL, target TEXT NOT NULL,\n"
    "  runtime TEXT NOT NULL, optimization TEXT NOT NULL, precision TEXT NOT NULL, scenario TEXT NOT NULL,\n"
    "  data TEXT NOT NULL, threads INTEGER NOT NULL, batch INTEGER NOT NULL, length INTEGER NOT NULL,\n"
    "  concurrency INTEGER NOT NULL, rate REAL NOT NULL,\n"
    "  status TEXT NOT NULL DEFAULT 'pending', failure TEXT NOT NULL DEFAULT '',\n"
    "  memory_bytes INTEGER NOT NULL DEFAULT 0, load_ms REAL, cold_ms REAL, difference REAL, allowed REAL,\n"
    "  correct INTEGER NOT NULL DEFAULT 0, labelled INTEGER NOT NULL DEFAULT 0,\n"
    "  summary_n INTEGER NOT NULL DEFAULT 0, mean_ms REAL, stddev_ms REAL, p50_ms REAL, p90_ms REAL, p95_ms REAL,\n"
    "  p99_ms REAL,\n"
    "  UNIQUE(run, model, target, runtime, optimization, precision, scenario, data, threads, batch, length,\n"
    "         concurrency, rate)) STRICT;\n"
    "CREATE TABLE trials(\n"
    "  configuration INTEGER NOT NULL REFERENCES configuration, first INTEGER NOT NULL, count INTEGER NOT NULL,\n"
    "  began_us INTEGER NOT NULL, wall_ns INTEGER NOT NULL, texts INTEGER NOT NULL, tokens INTEGER NOT NULL,\n"
    "  padded_tokens INTEGER NOT NULL, late INTEGER NOT NULL, cpu_ns INTEGER NOT NULL, energy_uj INTEGER NOT NULL,\n"
    "  failure TEXT NOT NULL, latency BLOB NOT NULL, service BLOB, ok BLOB,\n"
    "  PRIMARY KEY(configuration, first)) STRICT, WITHOUT ROWID;\n"
    "CREATE TABLE stage(\n"
    "  configuration INTEGER NOT NULL REFERENCES configuration, first INTEGER NOT NULL, name TEXT NOT NULL,\n"
    "  ns BLOB NOT NULL, PRIMARY KEY(configuration, first, name)) STRICT, WITHOUT ROWID;\n";

static const char page_tables[] =
    "CREATE TABLE page_trial(\n"
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, click INTEGER NOT NULL, time_us INTEGER NOT NULL,\n"
    "  deployment TEXT NOT NULL, sentence TEXT NOT NULL, pair TEXT NOT NULL, truth TEXT NOT NULL,\n"
    "  prediction TEXT NOT NULL, score REAL, latency_ms REAL, queue_ms REAL, compute_ms REAL,\n"
    "  tokens INTEGER NOT NULL, failure TEXT NOT NULL) STRICT;\n";

const char *const berth_results_steps[BERTH_RESULTS_VERSION] = {first_tables, page_tables};
