/* verbs.h: the entry of each verb: its own arguments (argv[0] is the verb), the exit status back. */
#ifndef BERTH_CLI_VERBS_H
#define BERTH_CLI_VERBS_H

#include "cli/flags.h"

int cli_tokenize(int argc, char **argv);
int cli_predict(int argc, char **argv);
int cli_eval(int argc, char **argv);
int cli_finetune(int argc, char **argv);
int cli_vocab(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_serve(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_quantize(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_compare(int argc, char **argv);
int cli_recommend(int argc, char **argv);
int cli_pull(int argc, char **argv);

#endif
