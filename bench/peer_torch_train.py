"""PyTorch as a peer of `make bench-train`: BERT of random weights trained by AdamW as Hugging Face's Trainer does it, in a process of its own.

Driven through pipes by peer_torch.c; the argument is a size. "data BATCH FILE" takes texts, a line of token ids each, in batches of
like lengths; "precision fp32|bf16" (bf16 is autocast) and "steps N" are answered with "ok", "memory" with the peak in bytes.
"""
import math
import os
import random
import sys

import torch
from torch import nn

SIZES = {"bert-tiny": (2, 128, 2, 512), "bert-base": (12, 768, 12, 3072)}
VOCAB, POSITIONS, TYPES, DROPOUT = 30522, 512, 2, 0.1


class Layer(nn.Module):
    def __init__(self, hidden, heads, inner):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.inner, self.outer = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
        self.norm1, self.norm2 = nn.LayerNorm(hidden, eps=1e-12), nn.LayerNorm(hidden, eps=1e-12)
        self.dropout = nn.Dropout(DROPOUT)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x, mask):
        query, key, value = (self.split(linear(x)) for linear in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + mask
        context = (self.dropout(torch.softmax(scores, dim=-1)) @ value).transpose(1, 2).reshape(x.shape)
        x = self.norm1(x + self.dropout(self.out(context)))
        return self.norm2(x + self.dropout(self.outer(nn.functional.gelu(self.inner(x)))))


class Classifier(nn.Module):
    def __init__(self, layers, hidden, heads, inner):
        super().__init__()
        self.words = nn.Embedding(VOCAB, hidden, padding_idx=0)
        self.positions, self.types = nn.Embedding(POSITIONS, hidden), nn.Embedding(TYPES, hidden)
        self.norm, self.dropout = nn.LayerNorm(hidden, eps=1e-12), nn.Dropout(DROPOUT)
        self.layers = nn.ModuleList(Layer(hidden, heads, inner) for _ in range(layers))
        self.pooler, self.classifier = nn.Linear(hidden, hidden), nn.Linear(hidden, 2)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids, mask):
        x = self.words(ids) + self.positions.weight[: ids.shape[1]] + self.types.weight[0]
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, mask)
        return self.classifier(self.dropout(torch.tanh(self.pooler(x[:, 0]))))


def read_batches(size, path):
    """Batches of like lengths, padded to their longest, in random order."""
    with open(path, encoding="ascii") as file:
        texts = sorted(([int(word) for word in line.split()] for line in file), key=len)
    batches = []
    for first in range(0, len(texts) - size + 1, size):
        group = texts[first : first + size]
        longest = len(group[-1])
        ids = torch.tensor([text + [0] * (longest - len(text)) for text in group])
        mask = (torch.arange(longest) >= torch.tensor([[len(text)] for text in group])) * -1e9
        batches.append((ids, mask[:, None, None, :], torch.randint(0, 2, (size,))))
    random.shuffle(batches)
    return batches


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def main():
    random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = Classifier(*SIZES[sys.argv[1]]).train()
    decays = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decays, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=5e-5)
    batches, at, bf16 = [], 0, False
    print("PyTorch", torch.__version__, flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        answer = "ok"
        if command == "data":
            batches, at = read_batches(int(words[0]), words[1]), 0
        elif command == "precision":
            bf16 = words[0] == "bf16"
        elif command == "memory":
            answer = f"ok {peak_memory()}"
        else:
            for _ in range(int(words[0])):
                ids, mask, labels = batches[at % len(batches)]
                at += 1
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                    loss = nn.functional.cross_entropy(model(ids, mask).float(), labels)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        print(answer, flush=True)


main()
