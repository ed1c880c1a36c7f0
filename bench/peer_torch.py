"""PyTorch as a peer of `make bench`: BERT-base of random weights under bf16 autocast, one thread, in a process of its own.

Driven through pipes by peer_torch.c. "prepare TEXTS LENGTH" and "run" are answered with "ok"; the end of the input ends it.
"""
import math
import sys

import torch
from torch import nn

LAYERS, HIDDEN, HEADS, INNER, VOCAB, POSITIONS = 12, 768, 12, 3072, 30522, 512


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.inner, self.outer = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN, eps=1e-12), nn.LayerNorm(HIDDEN, eps=1e-12)

    def heads(self, x):
        return x.view(x.shape[0], x.shape[1], HEADS, -1).transpose(1, 2)

    def forward(self, x):
        query, key, value = (self.heads(linear(x)) for linear in (self.query, self.key, self.value))
        scores = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(HIDDEN // HEADS), dim=-1)
        x = self.norm1(x + self.out((scores @ value).transpose(1, 2).reshape(x.shape)))
        return self.norm2(x + self.outer(nn.functional.gelu(self.inner(x))))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCAB, HIDDEN), nn.Embedding(POSITIONS, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.pooler, self.classifier = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2)

    def forward(self, ids):
        x = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = Classifier().eval()
    ids = None
    print("PyTorch", torch.__version__, flush=True)
    # One context for all runs: the weights are rounded once.
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for line in sys.stdin:
            words = line.split()
            if words[0] == "prepare":
                ids = torch.randint(1000, 30000, (int(words[1]), int(words[2])))
            else:
                model(ids)
            print("ok", flush=True)


main()
