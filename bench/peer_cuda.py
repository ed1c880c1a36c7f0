"""Peers of `make bench-cuda`: BERT-base of random weights in PyTorch (compiled, bf16, SDPA) and in ONNX Runtime, on one device.

peer_cuda.py [--device cpu] [--small] [--onnx FILE] [--lengths FILE] [--seconds S] [--train BATCH]... SHAPE...   SHAPE: BATCHxLENGTH

Prints JSON lines: {"peer", "version", "shape", "ms", "low", "high", "n"} with the median and the quartiles of a call's time, ids on the
host and logits back; {"peer", "version", "texts_per_second"} over the texts whose lengths FILE lists (padded batches of like length, the
framework's best); with --train BATCH: {"peer", "version", "train_batch", "examples_per_second"} of steps as Hugging Face's Trainer takes
them (autocast to bf16 over fp32 weights, dropout 0.1, fused AdamW, clipping), batches of those lengths padded to their longest; {"matrix_tflops"}: bf16 products of 8192 x 8192, what the device can do. What is not installed is said on stderr.
"""
import argparse
import json
import math
import statistics
import sys
import time


def say(**facts):
    print(json.dumps(facts), flush=True)


def timed(run, seconds):
    """Median and quartiles of a call in ms; at least 5 calls, for `seconds`."""
    for _ in range(3):
        run()
    times, begin = [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - begin < seconds and len(times) < 2000):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    low, middle, high = statistics.quantiles(times, n=4)
    return {"ms": middle, "low": low, "high": high, "n": len(times)}


def batches_by_length(lengths, batch):
    """Batches of texts of like length: [(texts, longest)], as a framework has to pad them."""
    ordered = sorted(lengths)
    return [(len(part), part[-1]) for part in (ordered[i:i + batch] for i in range(0, len(ordered), batch))]


class Torch:
    def __init__(self, torch, device, layers, hidden):
        from torch import nn
        self.torch, self.device = torch, device
        heads, inner = hidden // 64, hidden * 4

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
                self.inner, self.outer = nn.Linear(hidden, inner), nn.Linear(inner, hidden)
                self.norm1, self.norm2 = nn.LayerNorm(hidden, eps=1e-12), nn.LayerNorm(hidden, eps=1e-12)
                self.drop = nn.Dropout(0.1)  # while training

            def attend(self, query, key, value, mask):
                if hasattr(nn.functional, "scaled_dot_product_attention"):
                    return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=0.1 if self.training else 0.0)
                scores = query @ key.transpose(-1, -2) / math.sqrt(64)
                return self.drop(torch.softmax(scores if mask is None else scores + mask, -1)) @ value

            def forward(self, x, mask):
                b, t, _ = x.shape
                query, key, value = self.qkv(x).view(b, t, 3, heads, 64).permute(2, 0, 3, 1, 4)
                x = self.norm1(x + self.drop(self.out(self.attend(query, key, value, mask).transpose(1, 2).reshape(b, t, hidden))))
                return self.norm2(x + self.drop(self.outer(nn.functional.gelu(self.inner(x)))))

        class Classifier(nn.Module):
            def __init__(self):
                super().__init__()
                self.words, self.positions = nn.Embedding(30522, hidden), nn.Embedding(512, hidden)
                self.norm = nn.LayerNorm(hidden, eps=1e-12)
                self.layers = nn.ModuleList(Layer() for _ in range(layers))
                self.pooler, self.classifier = nn.Linear(hidden, hidden), nn.Linear(hidden, 2)
                self.drop = nn.Dropout(0.1)

            def forward(self, ids, mask):
                x = self.drop(self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]]))
                for layer in self.layers:
                    x = layer(x, mask)
                return self.classifier(self.drop(torch.tanh(self.pooler(x[:, 0]))))

        torch.manual_seed(1)
        self.plain = Classifier().eval().to(device=device, dtype=torch.bfloat16)
        self.model = torch.compile(self.plain, dynamic=False, mode="max-autotune") if device != "cpu" else self.plain

    def once(self, batch, length, masked):
        torch = self.torch
        ids = torch.randint(1000, 30000, (batch, length))
        ids = ids.pin_memory() if self.device != "cpu" else ids
        mask = torch.zeros(batch, 1, 1, length, dtype=torch.bfloat16, device=self.device) if masked else None

        def run():
            with torch.inference_mode():
                return self.model(ids.to(self.device, non_blocking=True), mask).float().cpu()
        return run

    def examples_per_second(self, batch, lengths, steps):
        torch, device = self.torch, self.device
        model = self.plain.to(dtype=torch.float32).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, **({"fused": True} if device != "cpu" else {}))
        torch.manual_seed(2)

        def step(i):
            at = [lengths[(i * batch + j) % len(lengths)] for j in range(batch)]
            longest = max(at)
            ids = torch.randint(1000, 30000, (batch, longest)).to(device, non_blocking=True)
            here = torch.arange(longest)[None, :] < torch.tensor(at)[:, None]
            mask = torch.where(here, 0.0, -1e4).to(dtype=torch.bfloat16)[:, None, None, :].to(device)
            labels = torch.randint(0, 2, (batch,)).to(device)
            with torch.autocast(device, dtype=torch.bfloat16):
                loss = torch.nn.functional.cross_entropy(model(ids, mask).float(), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss

        for i in range(min(steps, 10)):
            step(i)
        wait = torch.cuda.synchronize if device != "cpu" else lambda: None
        wait()
        begin = time.perf_counter()
        for i in range(steps):
            step(i)
        wait()
        return batch * steps / (time.perf_counter() - begin)

    def matrix_tflops(self, size):
        torch = self.torch
        a, b = (torch.randn(size, size, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        wait = torch.cuda.synchronize if self.device != "cpu" else lambda: None

        def run():
            for _ in range(8):
                a @ b
            wait()
        return 8 * 2 * size ** 3 / timed(run, 1)["ms"] / 1e9


def torch_peer(args, lengths):
    try:
        import torch
    except ImportError as fault:
        print(f"peer_cuda: no PyTorch: {fault}", file=sys.stderr)
        return
    if args.device != "cpu" and not torch.cuda.is_available():
        print("peer_cuda: PyTorch sees no GPU", file=sys.stderr)
        return
    peer, version = "PyTorch compiled bf16 SDPA" if args.device != "cpu" else "PyTorch bf16", torch.__version__
    model = Torch(torch, args.device, *((2, 128) if args.small else (12, 768)))
    say(matrix_tflops=model.matrix_tflops(256 if args.small else 8192))
    for shape in args.shapes:
        batch, length = map(int, shape.split("x"))
        say(peer=peer, version=version, shape=shape, **timed(model.once(batch, length, False), args.seconds))
    if lengths:
        # Lengths are rounded up to multiples of 16, so that few shapes are compiled; compiling is not timed.
        runs = [model.once(texts, (longest + 15) // 16 * 16, True) for texts, longest in batches_by_length(lengths, 256) if texts == 256]
        for run in runs:
            run()
        begin = time.perf_counter()
        for run in runs:
            run()
        if runs:
            say(peer=peer, version=version, texts_per_second=256 * len(runs) / (time.perf_counter() - begin))
    for batch in args.train if lengths else []:
        say(peer="PyTorch autocast bf16", version=version, train_batch=batch,
            examples_per_second=model.examples_per_second(batch, lengths, 2 if args.small else 100))


def onnx_peer(args):
    try:
        import numpy
        import onnxruntime
    except ImportError as fault:
        print(f"peer_cuda: no ONNX Runtime: {fault}", file=sys.stderr)
        return
    there = onnxruntime.get_available_providers()
    wanted = [("ONNX Runtime CUDA (TF32)", "CUDAExecutionProvider", {"use_tf32": 1}), ("TensorRT (fp16)", "TensorrtExecutionProvider", {"trt_fp16_enable": True})]
    if args.device == "cpu":
        wanted = [("ONNX Runtime CPU", "CPUExecutionProvider", {})]
    for peer, provider, options in wanted:
        if provider not in there:
            print(f"peer_cuda: ONNX Runtime {onnxruntime.__version__} has no {provider}", file=sys.stderr)
            continue
        try:
            session = onnxruntime.InferenceSession(args.onnx, providers=[(provider, options)])
        except Exception as fault:  # a provider that is there but lacks its own libraries
            print(f"peer_cuda: {peer}: {str(fault).splitlines()[0]}", file=sys.stderr)
            continue
        if provider not in session.get_providers():
            print(f"peer_cuda: {peer} fell back to {session.get_providers()}; not timed", file=sys.stderr)
            continue
        names = [item.name for item in session.get_inputs()]
        for shape in args.shapes:
            batch, length = map(int, shape.split("x"))
            ids = numpy.random.randint(1000, 30000, (batch, length), dtype=numpy.int64)
            feed = {name: ids if name == "input_ids" else numpy.full_like(ids, name == "attention_mask") for name in names}
            say(peer=peer, version=onnxruntime.__version__, shape=shape, **timed(lambda: session.run(None, feed), args.seconds))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--onnx")
    parser.add_argument("--lengths")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--train", type=int, action="append", default=[])
    parser.add_argument("shapes", nargs="*")
    args = parser.parse_args()
    lengths = [int(line) for line in open(args.lengths)] if args.lengths else []
    torch_peer(args, lengths)
    if args.onnx:
        onnx_peer(args)


main()
