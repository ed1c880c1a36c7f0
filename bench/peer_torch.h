/* peer_torch.h: PyTorch as a peer, in a process of its own that is driven through pipes: BERT-base of random
 * weights under bf16 autocast, one thread. Needs python3 with torch (Debian: python3-torch). */
#ifndef BERTH_BENCH_PEER_TORCH_H
#define BERTH_BENCH_PEER_TORCH_H

#include <stdbool.h>
#include <stddef.h>

struct peer_torch;

enum { PEER_TORCH_WHY_SIZE = 512 };

/* NULL with a sentence in `why`. `script` is the path of peer_torch.py. */
struct peer_torch *peer_torch_open(const char *script, char why[PEER_TORCH_WHY_SIZE]);
void peer_torch_close(struct peer_torch *peer); /* NULL is fine */

/* Input of the runs that follow; moves the process to the core of the calling thread. */
bool peer_torch_prepare(struct peer_torch *peer, size_t texts, size_t length);

/* One run: returns when the logits are there. */
bool peer_torch_run(void *peer);

#endif
