"""Measures layers of bptt beside those of PyTorch, on the CPU, in f32.

Command: `cargo build --release` and then `python benches/against_torch.py` (needs torch; a quarter
of an hour), or with options, see `--help`.

What to expect: progress on standard error, and one table in Markdown on standard output. Ratios are
bptt over torch: below 1, bptt takes less. Both work in turns, so that a machine that slows down slows
both down; the figures are medians over the rounds' medians. A training step is a forward and a backward
pass with the gradients of the input and of all parameters, the loss being the sum of the outputs.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import beside
from beside import Failed

SIZES = ["32,100,128,128", "64,128,256,256", "1,512,64,64", "16,512,256,512", "7,61,75,100"]
TINY = (1, 1, 1, 1)
# Peaks in MB that differ by less are the same.
NOISE = 1.0

# Starts a program, and says how much memory it had at most, in KiB. A process counts the memory of
# the one that it was forked from: so this is as small as Python gets.
SMALL = """
import posix, sys
child = posix.fork()
if child == 0:
    posix.dup2(2, 1)
    posix.execve(sys.argv[1], sys.argv[1:], posix.environ)
_, status, usage = posix.wait4(child, 0)
print(usage.ru_maxrss if status == 0 else -1)
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    beside.add_arguments(parser, SIZES)
    add("--cell", action="append", choices=["rnn", "lstm", "gru"], help="default: all")
    add("--mode", action="append", choices=["train", "infer"], help="default: both")
    add("--threads", type=int, default=os.cpu_count(), help="of both (default: %(default)s)")
    add("--memory", action="store_true", help="also peak memory, above that of a tiny layer")
    add("--burn-nn", action="store_true", help="also Burn's own layers, on flex")
    add("--device", default="flex", help="bptt's (default: %(default)s)")
    add("--torch-child", metavar="REQUEST", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_child is not None:
        torch_child(args.torch_child)
        sys.exit()
    beside.check_positive(parser, threads=args.threads)
    beside.check_arguments(parser, args, SIZES)
    return args


# PyTorch's side, in a process of its own.


def torch_child(request):
    """Answers requests: the one given by its peak memory, those on standard input by their times."""
    try:
        import torch
    except ImportError:
        print(json.dumps({"error": "PyTorch is missing"}), flush=True)
        return
    if request == "-":
        print(json.dumps({"version": torch.__version__}), flush=True)
        for line in sys.stdin:
            print(json.dumps(torch_times(torch, **json.loads(line))), flush=True)
    else:
        print(json.dumps(torch_peak(torch, **json.loads(request))), flush=True)


LAST = {}


def torch_times(torch, cell, size, mode, threads, repeats):
    """Milliseconds of each run."""
    torch.set_num_threads(threads)
    batch, steps, width, hidden = size
    key = (cell, tuple(size), mode)
    if key not in LAST:
        LAST.clear()
        torch.manual_seed(1)
        layer = getattr(torch.nn, cell.upper())(width, hidden, batch_first=True)
        LAST[key] = layer, torch.randn(batch, steps, width, requires_grad=mode == "train")
    layer, x = LAST[key]

    def train():
        layer(x)[0].sum().backward()
        x.grad = None
        for parameter in layer.parameters():
            parameter.grad = None

    def infer():
        with torch.inference_mode():
            layer(x)

    return beside.times({"train": train, "infer": infer}[mode], repeats)


def torch_peak(torch, size, **request):
    """The most memory of a run above what PyTorch has after that of a tiny layer, in MB.

    Importing it takes more for a while than it keeps, which would hide what a layer takes: so the
    system is told to count anew.
    """
    torch_times(torch, size=TINY, **request)
    LAST.clear()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    base = status("VmRSS")
    torch_times(torch, size=size, **request)
    return {"peak": (status("VmHWM") - base) * 1024 / 1e6}


def status(name):
    """A line of this process's status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def start_torch():
    """The process that measures PyTorch."""
    torch = beside.Child(__file__, ["--torch-child", "-"], "PyTorch")
    if "error" in torch.first:
        raise Failed(f"{torch.first['error']} in {sys.executable}: pip install torch")
    print(f"torch {torch.first['version']}", file=sys.stderr)
    return torch


# bptt's side.


def bptt_command(args, cell, size, mode, repeats, engine="manual"):
    device = "flex" if engine == "burn-nn" else args.device
    what = dict(mode=mode, engine=engine, device=device, threads=args.threads, repeats=repeats)
    return beside.bench_command(args, cell, size, **what)


def bptt_report(*request):
    return beside.report(bptt_command(*request))


# Both.


def run_peak(command):
    """The most memory that the program had, in MB."""
    helper = [sys.executable, "-I", "-S", "-c", SMALL, *command]
    done = subprocess.run(helper, capture_output=True, text=True)
    kib = int(done.stdout or -1)
    if kib < 0:
        raise Failed(f"a run for its memory failed: {done.stderr.strip()}")
    return kib * 1024 / 1e6


def peaks(args, cell, size, mode, tiny={}):
    """Peak memory of torch and bptt above that of the same run of a tiny layer, in MB."""

    def torch():
        request = dict(cell=cell, size=size, mode=mode, threads=args.threads, repeats=3)
        script = str(Path(__file__).resolve())
        command = [sys.executable, script, "--torch-child", json.dumps(request)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"a run of PyTorch for its memory failed: {done.stderr.strip()}")
        return json.loads(done.stdout)["peak"]

    def bptt(size):
        # The first run of a program was seen to peak lower than all that follow: it does not count.
        command = bptt_command(args, cell, size, mode, 3)
        return statistics.median([run_peak(command) for _ in range(4)][1:])

    if (cell, mode) not in tiny:
        tiny[cell, mode] = bptt(TINY)
    of_torch = statistics.median([torch() for _ in range(3)])
    return of_torch, bptt(size) - tiny[cell, mode]


def measure(args, torch, cell, size, mode):
    """One row of the table."""
    medians = {"torch": [], "bptt": []}
    gflops = []
    for _ in range(args.rounds):
        request = dict(cell=cell, size=size, mode=mode)
        times = torch.ask(**request, threads=args.threads, repeats=args.repeats)
        medians["torch"].append(statistics.median(times))
        # PyTorch's threads look for work for a while.
        time.sleep(0.05)
        report = bptt_report(args, cell, size, mode, args.repeats)
        medians["bptt"].append(report["median_ms"])
        gflops.append(report["gflops"])
    by_torch, by_bptt = (statistics.median(medians[side]) for side in ["torch", "bptt"])
    sizes = ", ".join(map(str, size))
    row = [cell, sizes, mode, f"{by_torch:.3g}", f"{by_bptt:.3g}", f"{by_bptt / by_torch:.2f}"]
    row.append(f"{statistics.median(gflops):.1f}")
    if args.burn_nn:
        report = bptt_report(args, cell, size, mode, args.repeats, "burn-nn")
        row.append(f"{report['median_ms']:.3g}")
    if args.memory:
        of_torch, of_bptt = peaks(args, cell, size, mode)
        ratio = f"{of_bptt / of_torch:.2f}" if min(of_torch, of_bptt) > NOISE else "–"
        row += [f"{of_torch:.1f}", f"{of_bptt:.1f}", ratio]
    return row


def table(args):
    beside.check_program(args)
    torch = start_torch()
    head = ["cell", "B, T, I, H", "mode", "torch ms", "bptt ms", "ratio", "GF/s"]
    head += ["burn-nn ms"] * args.burn_nn
    head += ["torch MB", "bptt MB", "ratio"] * args.memory
    rows = []
    for cell in args.cell or ["lstm", "gru", "rnn"]:
        for size in args.size:
            for mode in args.mode or ["train", "infer"]:
                rows.append(measure(args, torch, cell, size, mode))
                print(*rows[-1], sep="  ", file=sys.stderr)
    beside.print_table(head, rows, names=3)


if __name__ == "__main__":
    beside.run(table, arguments())
