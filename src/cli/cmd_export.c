/* cmd_export.c: `berth export`. */
#include <string.h>

#include "cli/results_flags.h"
#include "cli/verbs.h"

static bool read_format(void *target, const char *value)
{
    static const char *const names[] = {"csv", "json", "study", "db"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(value, names[i]) == 0) {
            *(enum berth_export_format *)target = (enum berth_export_format)i;
            return true;
        }
    return false;
}

int cli_export(int argc, char **argv)
{
    enum berth_export_format format = BERTH_EXPORT_CSV;
    struct berth_selection selection = {0};
    const char *output_path = NULL;
    const struct cli_flag flags[] = {
        {"format", 0, "F", read_format, &format, "csv (default), json, study (the 2021 study's JSON), or db"},
        CLI_OUTPUT_FLAG(output_path),
        CLI_HEADING("selection"),
        CLI_RUN_FLAG(selection),
        CLI_SELECTION_FLAGS(selection),
    };
    const struct cli_verb verb = {
        "export",
        "RESULTS ... [--format csv|json|study|db] [-o FILE]",
        "Prints raw latencies, a row each; several files are read as one.",
        "RESULTS are results files, CSVs that berth export printed or of published figures, or\n"
        "bundled:study-2021. --format db -o FILE writes (or adds to) a results file: their union.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (first == argc)
        return cli_usage(&verb, "no results file");
    if (format == BERTH_EXPORT_RESULTS && !output_path)
        return cli_usage(&verb, "--format db needs -o FILE");
    struct berth_error err;
    const char *const *results = (const char *const *)argv + first;
    size_t count = (size_t)(argc - first);
    if (format == BERTH_EXPORT_RESULTS)
        return berth_export(results, count, format, &selection, NULL, output_path, &err) == BERTH_OK
                   ? CLI_OK
                   : cli_fail("export", &err);
    /* What is refused prints nothing: the rows wait in a temporary file. */
    FILE *rows = tmpfile();
    if (!rows)
        return cli_usage(&verb, "no room for a temporary file");
    struct cli_output output;
    enum berth_status status = berth_export(results, count, format, &selection, rows, NULL, &err);
    if (status == BERTH_OK)
        status = cli_output_open(&output, output_path, &err);
    if (status != BERTH_OK) {
        fclose(rows);
        return cli_fail("export", &err);
    }
    char bytes[1 << 16];
    rewind(rows);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, rows)) > 0;)
        fwrite(bytes, 1, n, output.stream);
    bool broken = ferror(rows) != 0;
    fclose(rows);
    if (broken) {
        err.status = BERTH_IO;
        strcpy(err.message, "the temporary file of the rows cannot be read");
    }
    return cli_output_close(&output, "export", broken ? BERTH_IO : BERTH_OK, &err);
}
