"""Measures inference of bptt beside ONNX Runtime, on the CPU, in f32.

Command: `cargo build --release` and then `python benches/against_onnxruntime.py` (needs onnx and onnxruntime; three
minutes), or with options, see `--help`.

What to expect: progress on standard error, and one table in Markdown on standard output, with one and with two threads.
Ratios are bptt over ONNX Runtime: below 1, bptt takes less. Both work in turns, so that a machine that slows down slows
both down; the figures are medians over the rounds' medians. A size with one step is a step of a stream: the state goes in
and comes out. There ONNX Runtime's time has what its interface in Python takes, some 10 µs.

Beside them is what bounds bptt, measured in the same process right after it, by as many threads (`bptt bench` without
`--no-ceiling`): the time that the bound takes alone, and how much of it is reached, which is that time over bptt's.

- products: the operations at the rate of a product of two matrices of 1024 x 1024;
- cache: reading the weights once a step from the cache that they fit, where that takes longer.

The last two columns are the same for the layer's own products, with as many rows as a step has, and with packed weights
that stay in the cache, and for nothing else. At the end, standard error has the sizes whose ratio is above 0.8 and where
less than 85 % of the bound is reached.
"""

import argparse
import statistics
import sys

import beside
from beside import Failed

SIZES = [
    "32,100,128,128",
    "64,128,256,256",
    "16,512,256,512",
    "1,512,64,64",
    "1,200,80,256",
    "4,100,40,128",
    "1,1,256,256",
]
GATES = {"LSTM": 4, "GRU": 3}
# So many steps of a stream are one run.
STEPS = 1000
# At most so much of ONNX Runtime's time, or at least so much of the bound.
GOAL = 0.8
REACHED = 0.85


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    beside.add_arguments(parser, SIZES)
    add("--cell", action="append", choices=["lstm", "gru"], help="default: both")
    add("--threads", action="append", type=int, help="default: 1 and 2")
    args = parser.parse_args()
    args.threads = args.threads or [1, 2]
    beside.check_positive(parser, threads=min(args.threads))
    beside.check_arguments(parser, args, SIZES)
    return args


def session(cell, size, threads):
    """ONNX Runtime's session of one layer, and its inputs. Its layout of a sequence is [T, B, I]."""
    try:
        import numpy as np
        import onnx
        import onnxruntime as ort
        from onnx import TensorProto, helper
    except ImportError as error:
        raise Failed(f"{error.name} is missing in {sys.executable}: pip install onnx onnxruntime") from None
    batch, steps, width, hidden = size
    op, rows = cell.upper(), GATES[cell.upper()] * hidden
    random = np.random.default_rng(1)

    def weight(name, *shape):
        values = random.uniform(-1, 1, shape).astype(np.float32) / hidden**0.5
        return onnx.numpy_helper.from_array(values, name)

    weights = [weight("W", 1, rows, width), weight("R", 1, rows, hidden), weight("B", 1, 2 * rows)]
    states = ["h0", "c0"] if op == "LSTM" else ["h0"]
    extra = {} if op == "LSTM" else {"linear_before_reset": 1}
    outputs = ["Y", "Y_h"] + (["Y_c"] if op == "LSTM" else [])
    node = helper.make_node(op, ["X", "W", "R", "B", "", *states], outputs, hidden_size=hidden, **extra)
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    inputs = [info("X", [steps, batch, width])] + [info(name, [1, batch, hidden]) for name in states]
    results = [info("Y", [steps, 1, batch, hidden])]
    results += [info(name, [1, batch, hidden]) for name in outputs[1:]]
    graph = helper.make_graph([node], "layer", inputs, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    run = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"X": random.standard_normal((steps, batch, width)).astype(np.float32)}
    feed |= {name: np.zeros((1, batch, hidden), np.float32) for name in states}
    return run, feed, states


def onnx_times(run, feed, states, is_step, repeats):
    """Milliseconds of each run, or of a step."""

    def once():
        if not is_step:
            run.run(["Y"], feed)
            return
        inputs = dict(feed)
        for _ in range(STEPS):
            _, *after = run.run(None, inputs)
            inputs.update(zip(states, after))

    steps = STEPS if is_step else 1
    return [milliseconds / steps for milliseconds in beside.times(once, repeats)]


def bptt_report(args, cell, size, threads, is_step):
    batch, steps, width, hidden = size
    size = batch, STEPS if is_step else steps, width, hidden
    how = dict(mode="step" if is_step else "infer", threads=threads, repeats=args.repeats, device="flex")
    return beside.report(beside.bench_command(args, cell, size, ceiling=True, **how))


def measure(args, cell, size, threads):
    """ONNX Runtime's time in milliseconds, bptt's, and what bounds it: its name, its time, and that of the products."""
    is_step = size[1] == 1
    theirs, ours = [], []
    for _ in range(args.rounds):
        # A new session in each round, so that its threads do not look for work while bptt is measured.
        run, feed, states = session(cell, size, threads)
        theirs.append(statistics.median(onnx_times(run, feed, states, is_step, args.repeats)))
        del run
        ours.append(bptt_report(args, cell, size, threads, is_step))
    if any(report["bounds"] is None for report in ours):
        raise Failed(f"{args.bptt} measures no bounds: build it again")
    bounds = {
        name: statistics.median(report["bounds"][name] for report in ours)
        for name in ["large_ms", "reading_ms", "products_ms"]
    }
    by = "cache" if bounds["reading_ms"] > bounds["large_ms"] else "products"
    alone = max(bounds["reading_ms"], bounds["large_ms"])
    return statistics.median(theirs), statistics.median(r["median_ms"] for r in ours), by, alone, bounds["products_ms"]


def table(args):
    beside.check_program(args)
    head = ["cell", "B, T, I, H", "bound by", "threads", "ONNX Runtime ms", "bptt ms", "ratio"]
    head += ["bound alone ms", "reached", "own products alone ms", "reached"]
    rows, short = [], []
    for cell in args.cell or ["lstm", "gru"]:
        for size in args.size:
            for threads in args.threads:
                theirs, ours, by, alone, products = measure(args, cell, size, threads)
                row = [cell, ", ".join(map(str, size)), by, str(threads)]
                row += [f"{theirs:.3g}", f"{ours:.3g}", f"{ours / theirs:.2f}"]
                row += [text for time in (alone, products) for text in (f"{time:.3g}", f"{time / ours:.0%}")]
                rows.append(row)
                if ours > GOAL * theirs and alone < REACHED * ours:
                    short.append(row)
                print(*row, sep="  ", file=sys.stderr)
    beside.print_table(head, rows, names=3)
    missed = f"{len(short)} of {len(rows)} have a ratio above {GOAL} and reach less than {REACHED:.0%} of the bound"
    print(missed, file=sys.stderr)
    for row in short:
        print(*row, sep="  ", file=sys.stderr)


if __name__ == "__main__":
    beside.run(table, arguments())
