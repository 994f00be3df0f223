"""Measures whole training steps of `bptt train char-lm` beside the same model in PyTorch, on the CPU, in f32.

Command: `cargo build --release` and then `python benches/train_against_torch.py` (needs torch; five minutes), or with
options, see `--help`.

A step reads a batch of characters, B times T of them: embedding, LSTM, linear layer, cross entropy, backward pass, the
gradient's global norm cut at 1, Adam. The state of the LSTM is carried from batch to batch.

What to expect: progress on standard error, and one table in Markdown on standard output. Ratios are bptt over torch: below
1, bptt takes less. Both work in turns, so that a machine that slows down slows both down; the figures are medians over
the rounds. A step of bptt is the difference of a long and a short run, so that what a run does once does not count.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import beside
from beside import Failed

# Batch, steps, embedding, hidden.
SIZES = ["32,64,64,128", "32,64,64,384", "32,64,64,1024"]
CHARACTERS = 65


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    beside.add_arguments(parser, SIZES)
    add("--threads", type=int, default=os.cpu_count(), help="of both (default: %(default)s)")
    add("--seconds", type=float, default=6, help="about so long a run of each (default: %(default)s)")
    args = parser.parse_args()
    beside.check_positive(parser, threads=args.threads, seconds=args.seconds)
    beside.check_arguments(parser, args, SIZES)
    return args


class Torch:
    """PyTorch's model and its training."""

    def __init__(self, size, threads):
        try:
            import torch
        except ImportError:
            raise Failed(f"torch is missing in {sys.executable}: pip install torch") from None
        self.torch = torch
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        batch, steps, embedding, hidden = size
        self.embedding = torch.nn.Embedding(CHARACTERS, embedding)
        self.lstm = torch.nn.LSTM(embedding, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, CHARACTERS)
        self.parameters = [p for part in (self.embedding, self.lstm, self.head) for p in part.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)
        self.text = torch.randint(0, CHARACTERS, (batch, 50 * steps + 1))
        self.steps, self.at, self.state = steps, 0, None

    def step(self):
        torch = self.torch
        at = self.at * self.steps
        inputs, targets = (self.text[:, at + k : at + k + self.steps] for k in (0, 1))
        self.at = (self.at + 1) % 50
        output, state = self.lstm(self.embedding(inputs), self.state)
        self.state = tuple(part.detach() for part in state)
        scores = self.head(output)
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return loss.item()

    def milliseconds(self, count):
        start = time.perf_counter()
        for _ in range(count):
            self.step()
        return (time.perf_counter() - start) * 1e3 / count


def text(folder):
    """A file with as many different characters as PyTorch's model reads."""
    import random

    random.seed(1)
    letters = [chr(ord("0") + k) for k in range(CHARACTERS)]
    path = folder / "text.txt"
    path.write_text("".join(letters + random.choices(letters, k=1_000_000)))
    return path


def bptt_seconds(args, size, path, folder, count):
    """Seconds of a run with so many steps."""
    batch, steps, embedding, hidden = size
    options = {
        "text": path,
        "batch": batch,
        "time": steps,
        "embedding": embedding,
        "hidden": hidden,
        "cell": "lstm",
        "clip": 1,
        "lr": 1e-3,
        "steps": count,
        "validate-every": 1_000_000,
        "out": folder / "run",
    }
    named = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    command = [str(args.bptt), "train", "char-lm", *named, "--quiet", "--json", "-"]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"bptt ended with {done.returncode}")
    import json

    return json.loads(done.stdout)["seconds"]


def measure(args, size, path, folder):
    """Milliseconds a step: bptt's and PyTorch's, a pair for each round."""
    torch = Torch(size, args.threads)
    torch.milliseconds(beside.WARM_UPS)
    count = max(10, round(args.seconds * 1e3 / torch.milliseconds(5)))
    short = max(1, count // 5)
    pairs = []
    for number in range(args.rounds):
        theirs = torch.milliseconds(count)
        long_run, short_run = (bptt_seconds(args, size, path, folder, k) for k in (count + short, short))
        pairs.append(((long_run - short_run) * 1e3 / count, theirs))
        print(f"{size} round {number + 1}: {pairs[-1][0]:.2f} and {theirs:.2f} ms", file=sys.stderr)
    return pairs


def work(args):
    beside.check_program(args)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = text(folder)
        for size in args.size:
            pairs = measure(args, size, path, folder)
            ours, theirs = (statistics.median(column) for column in zip(*pairs))
            ratio = statistics.median(a / b for a, b in pairs)
            rate = size[0] * size[1] / ours * 1e3
            name = ",".join(map(str, size))
            rows.append([name, f"{ours:.2f}", f"{theirs:.2f}", f"{rate:,.0f}", f"{ratio:.2f}"])
    head = ["B,T,embedding,H", "bptt ms a step", "torch ms", "bptt characters a second", "ratio"]
    beside.print_table(head, rows, 1)


if __name__ == "__main__":
    beside.run(work, arguments())
