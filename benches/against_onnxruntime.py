"""Measures inference of bptt beside ONNX Runtime, on the CPU, in f32.

Command: `cargo build --release` and then `python benches/against_onnxruntime.py` (needs onnx and onnxruntime; three
minutes), or with options, see `--help`.

What to expect: progress on standard error, and one table in Markdown on standard output, with one and with two threads.
Ratios are bptt over ONNX Runtime: below 1, bptt takes less. Both work in turns, so that a machine that slows down slows
both down; the figures are medians over the rounds' medians. A size with one step is a step of a stream: the state goes in
and comes out. There ONNX Runtime's time has what its interface in Python takes, some 10 µs.
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


def bptt_median(args, cell, size, threads, is_step):
    batch, steps, width, hidden = size
    size = batch, STEPS if is_step else steps, width, hidden
    how = dict(mode="step" if is_step else "infer", threads=threads, repeats=args.repeats, device="flex")
    return beside.report(beside.bench_command(args, cell, size, **how))["median_ms"]


def measure(args, cell, size, threads):
    """The medians of ONNX Runtime and of bptt, in milliseconds."""
    is_step = size[1] == 1
    medians = [], []
    for _ in range(args.rounds):
        # A new session in each round, so that its threads do not look for work while bptt is measured.
        run, feed, states = session(cell, size, threads)
        medians[0].append(statistics.median(onnx_times(run, feed, states, is_step, args.repeats)))
        del run
        medians[1].append(bptt_median(args, cell, size, threads, is_step))
    return [statistics.median(side) for side in medians]


def table(args):
    beside.check_program(args)
    head = ["cell", "B, T, I, H"]
    for threads in args.threads:
        of = f"{threads} thread" + "s" * (threads > 1)
        head += [f"ONNX Runtime ms, {of}", "bptt ms", "ratio"]
    rows = []
    for cell in args.cell or ["lstm", "gru"]:
        for size in args.size:
            row = [cell, ", ".join(map(str, size))]
            for threads in args.threads:
                theirs, ours = measure(args, cell, size, threads)
                row += [f"{theirs:.3g}", f"{ours:.3g}", f"{ours / theirs:.2f}"]
            rows.append(row)
            print(*row, sep="  ", file=sys.stderr)
    beside.print_table(head, rows, names=2)


if __name__ == "__main__":
    beside.run(table, arguments())
