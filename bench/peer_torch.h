/* peer_torch.h: PyTorch as a peer, in a process of its own that is driven through pipes: peer_torch.py runs
 * BERT-base under bf16 autocast, peer_torch_train.py trains. Needs python3 with torch (Debian:
 * python3-torch).
 */
#ifndef BERTH_BENCH_PEER_TORCH_H
#define BERTH_BENCH_PEER_TORCH_H

#include <stdbool.h>
#include <stddef.h>

struct peer_torch;

enum { PEER_TORCH_WHY_SIZE = 512 };

/* NULL with a sentence in `why`. `script` is a path, `argument` what it is given (NULL: nothing). Several
 * threads are pinned, one to a processor. */
struct peer_torch *peer_torch_open(const char *script, const char *argument, size_t threads,
                                   char why[PEER_TORCH_WHY_SIZE]);
void peer_torch_close(struct peer_torch *peer); /* NULL is fine */

/* Sends one line; true when the answer is "ok", or "ok NUMBER" where a number is asked for. */
bool peer_torch_ask(struct peer_torch *peer, const char *question, double *number);

/* Input of the runs that follow; moves the process to the core of the calling thread. */
bool peer_torch_prepare(struct peer_torch *peer, size_t texts, size_t length);

/* One run: returns when the logits are there. */
bool peer_torch_run(void *peer);

#endif
