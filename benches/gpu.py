"""Measures layers of bptt on a GPU, beside those of PyTorch by cuDNN on the same GPU, and writes one table in Markdown.

Command: `benches/gpu.sh --out gpu-table.md`, which builds the command `bptt` first; for its options see `--help`. A trial
on a machine without a GPU, by software Vulkan and PyTorch on the CPU:

    CUBECL_WGPU_DEFAULT_DEVICE=Cpu benches/gpu.sh --feature wgpu --quick --torch-device cpu

What to expect: progress on standard error; then the names of GPU, driver and versions, and the table, on standard output or
in `--out FILE`. What cannot be measured is left out: its cell has a dash, and a line under the table says why.

Figures are medians over the rounds' medians, in milliseconds. All contenders work in turns, so that a GPU that slows down
slows all of them down. Each is warmed up, for half a second at least. A time is that from the call until the device has
finished; what is in brackets is the device's own time, between two of its time stamps, without what the call takes before
and behind. A training step is a forward and a backward pass with the gradients of the input and of all parameters, the loss
being the sum of the outputs.

PyTorch's f32 is measured with TF32 off (`f32`) and on (`tf32`, its default for these layers). cuDNN has no layer with heads.
FlashRNN is measured if Python has the package `flashrnn`: an LSTM in bf16 by its fused kernels, and the product of the
inputs by `torch.nn.Linear` before it, because a layer has that product too.
"""

import argparse
import datetime
import json
import platform
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import beside
from beside import Failed

# B, T, I, H, heads. The first ones are usual sizes; the ones of 768 units are those of the FlashRNN paper (arXiv 2412.07752),
# B 16 and T 1024 with heads of 768, 256 and 64 units, and its largest T and a large batch.
SIZES = [
    "32,100,128,128,1",
    "64,128,256,256,1",
    "1,512,64,64,1",
    "16,512,256,512,1",
    "16,1024,128,128,1",
    "16,1024,256,256,1",
    "16,1024,768,768,1",
    "16,1024,768,768,3",
    "16,1024,768,768,12",
    "16,2048,768,768,1",
    "128,1024,768,768,1",
]
QUICK = ["2,5,3,4,1", "4,8,16,32,2"]
# Of PyTorch: the type, and whether its products in f32 may be rounded to TF32.
TORCH = {"f32": ("float32", False), "tf32": ("float32", True), "bf16": ("bfloat16", False), "f16": ("float16", False)}
# A GPU at rest has a slow clock.
WARM_UP = 0.5
NONE = "–"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    features = ["vulkan", "cuda", "wgpu"]
    add("--feature", choices=features, default="vulkan", help="bptt's device and how it is built (default: %(default)s)")
    add("--bptt", type=Path, help="the program, built with that feature (default: build it)")
    add("--size", action="append", metavar="B,T,I,H[,HEADS]", help=f"default: {' '.join(SIZES)}")
    add("--cell", action="append", choices=["lstm", "gru"], help="default: both")
    add("--mode", action="append", choices=["train", "infer"], help="default: both")
    kernels = ["auto", "steps", "rows", "reference"]
    add("--kernel", action="append", choices=kernels, help="bptt's (default: auto and rows)")
    add("--rounds", type=int, help="in turns (default: 3)")
    add("--repeats", type=int, help="runs in a round (default: 10)")
    add("--quick", action="store_true", help="tiny sizes, one round: to see whether it works")
    devices = ["cuda", "cpu", "none"]
    add("--torch-device", choices=devices, default="cuda", help="cpu is only for a trial (default: %(default)s)")
    add("--out", type=Path, metavar="FILE", help="where the table goes (default: standard output)")
    add("--force", action="store_true", help="overwrite FILE")
    add("--torch-child", metavar="DEVICE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_child is not None:
        torch_child(args.torch_child)
        sys.exit()
    args.size = [size_of(parser, size) for size in args.size or (QUICK if args.quick else SIZES)]
    args.cell = args.cell or ["lstm", "gru"]
    args.mode = args.mode or ["train", "infer"]
    args.kernel = args.kernel or ["auto", "rows"]
    args.rounds = args.rounds if args.rounds is not None else 1 if args.quick else 3
    args.repeats = args.repeats if args.repeats is not None else 3 if args.quick else 10
    beside.check_positive(parser, rounds=args.rounds, repeats=args.repeats)
    return args


def size_of(parser, text):
    try:
        numbers = [int(number) for number in text.split(",")]
        assert len(numbers) in (4, 5) and min(numbers) > 0
    except (ValueError, AssertionError):
        parser.error(f"--size {text}: expected four or five positive numbers, as in 16,1024,768,768,12")
    size = (*numbers, 1)[:5]
    if size[3] % size[4]:
        parser.error(f"--size {text}: {size[4]} heads do not divide {size[3]} units")
    return size


# PyTorch's side, in a process of its own.


def torch_child(device):
    """Says what there is, and then answers each request by times."""
    try:
        import torch
    except ImportError:
        print(json.dumps({"error": f"PyTorch is missing in {sys.executable}"}), flush=True)
        return
    if device == "cuda" and not torch.cuda.is_available():
        print(json.dumps({"error": f"PyTorch {torch.__version__} finds no CUDA device"}), flush=True)
        return
    print(json.dumps(torch_versions(torch, device)), flush=True)
    for line in sys.stdin:
        try:
            answer = torch_times(torch, device, **json.loads(line))
        except Exception as error:
            # A size that is too large, or a type that a layer does not have: the others are measured all the same.
            answer = {"error": first_line(error)}
        if device == "cuda":
            torch.cuda.empty_cache()
        print(json.dumps(answer), flush=True)


def torch_versions(torch, device):
    found = {"torch": torch.__version__, "device": device}
    if device == "cuda":
        major, minor = torch.cuda.get_device_capability()
        found |= {
            "name": torch.cuda.get_device_name(),
            "capability": f"{major}.{minor}",
            "cuda": torch.version.cuda,
            "cudnn": version_of_cudnn(torch.backends.cudnn.version()),
        }
    try:
        from importlib.metadata import version

        found["flashrnn"] = version("flashrnn")
    except Exception:
        found["flashrnn"] = None
    return found


def version_of_cudnn(number):
    """9.26.0 of 92600; before version 9 it was 8.9.7 of 8907."""
    if number is None:
        return None
    thousand = 10_000 if number >= 90_000 else 1_000
    return f"{number // thousand}.{number % thousand // 100}.{number % 100}"


def first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def allow_tf32(torch, allowed):
    """Whether products in f32 may be rounded to TF32: those of cuDNN's layers, and others."""
    backends = torch.backends
    if hasattr(backends.cudnn, "rnn"):
        precision = "tf32" if allowed else "ieee"
        backends.cudnn.rnn.fp32_precision = precision
        backends.cuda.matmul.fp32_precision = precision
    else:
        backends.cudnn.allow_tf32 = allowed
        backends.cuda.matmul.allow_tf32 = allowed


def torch_times(torch, device, what, cell, size, mode, repeats):
    """The times of each run in milliseconds: until the device has finished, and by the device's own clock, if it has one."""
    torch.manual_seed(1)
    if what == "flashrnn":
        run = flashrnn_run(torch, device, cell, size, mode)
    else:
        run = layer_run(torch, device, what, cell, size, mode)
    is_gpu = device == "cuda"

    def wait():
        if is_gpu:
            torch.cuda.synchronize()

    def once():
        run()
        wait()

    beside.warm_up(once, WARM_UP if is_gpu else beside.WARM_UP)
    wall, of_device = [], []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        once()
        wall.append((time.perf_counter() - start) * 1e3)
    # In runs of their own, so that the events take nothing of the former.
    for _ in range(repeats if is_gpu else 0):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        wait()
        begin.record()
        run()
        end.record()
        wait()
        of_device.append(begin.elapsed_time(end))
    return {"wall": wall, "device": of_device}


def layer_run(torch, device, what, cell, size, mode):
    """One run of a layer of `torch.nn`; on a GPU it is cuDNN's."""
    name, tf32 = TORCH[what]
    allow_tf32(torch, tf32)
    kind = dict(device=device, dtype=getattr(torch, name))
    batch, steps, width, hidden, _ = size
    layer = getattr(torch.nn, cell.upper())(width, hidden, batch_first=True, **kind)
    x = torch.randn(batch, steps, width, requires_grad=mode == "train", **kind)
    if mode == "infer":
        layer.eval()
    return run_of(torch, mode, [x, *layer.parameters()], lambda: layer(x)[0])


def flashrnn_run(torch, device, cell, size, mode):
    """One run of FlashRNN with the product of the inputs before it."""
    from flashrnn import flashrnn

    kind = dict(device=device, dtype=torch.bfloat16)
    batch, steps, width, hidden, heads = size
    head = hidden // heads
    gates = {"lstm": 4}[cell]
    linear = torch.nn.Linear(width, gates * hidden, bias=False, **kind)
    x = torch.randn(batch, steps, width, **kind)
    recurrent = torch.randn(gates, heads, head, head, **kind) / head**0.5
    bias = torch.zeros(gates, heads, head, **kind)
    tracked = [x, recurrent, bias]
    for tensor in tracked:
        tensor.requires_grad_(mode == "train")

    def forward():
        inputs = linear(x).reshape(batch, steps, gates, heads, head)
        states, _ = flashrnn(inputs, recurrent, bias, function=cell, backend="cuda_fused", dtype="bfloat16")
        return states[0]

    return run_of(torch, mode, [*tracked, *linear.parameters()], forward)


def run_of(torch, mode, tracked, forward):
    def train():
        forward().sum().backward()
        for tensor in tracked:
            tensor.grad = None

    def infer():
        # FlashRNN's kernels ask whether gradients are on.
        with torch.no_grad():
            forward()

    return {"train": train, "infer": infer}[mode]


# bptt's side.


def build(args):
    """The program; built, if none is given."""
    if args.bptt is not None:
        if not args.bptt.is_file():
            raise Failed(f"no program {args.bptt}: leave out --bptt to have it built")
        return args.bptt.resolve()
    if shutil.which("cargo") is None:
        raise Failed("cargo is missing, which builds bptt: https://rustup.rs, or say where bptt is with --bptt")
    command = ["cargo", "build", "--release", "--bin", "bptt", "--features", args.feature]
    print(*command, file=sys.stderr)
    if subprocess.run(command, cwd=beside.ROOT, stdout=sys.stderr).returncode != 0:
        raise Failed(f"bptt could not be built with the feature {args.feature}")
    return beside.release_build().resolve()


def adapter(args):
    """The GPU that bptt runs on. Refuses a build without the device, and a machine where it does not work."""
    done = subprocess.run([str(args.bptt), "devices", "--json", "-"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"{args.bptt} devices ended with {done.returncode}")
    device = next((line for line in json.loads(done.stdout) if line["name"] == args.feature), None)
    if device is None or not device["works"]:
        raise Failed(f"no GPU for bptt: {args.feature}: {device['hint'] if device else 'unknown'}")
    return device.get("adapter")


def bptt_report(args, cell, size, mode, kernel, ceiling):
    *four, heads = size
    what = dict(mode=mode, kernel=kernel, heads=heads, device=args.feature, repeats=args.repeats)
    return beside.report(beside.bench_command(args, cell, four, ceiling, **what))


# The machine.


def output_of(*command):
    """What a command prints; nothing, if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=beside.ROOT, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def is_software():
    return os.environ.get("CUBECL_WGPU_DEFAULT_DEVICE", "").lower().startswith("cpu")


def machine(args, torch, adapter):
    """Lines that say what was measured with what."""
    lines = []
    query = "--query-gpu=name,driver_version,memory.total,power.limit"
    nvidia = output_of("nvidia-smi", query, "--format=csv,noheader")
    for line in nvidia.splitlines():
        name, driver, memory, power = (part.strip() for part in line.split(","))
        lines.append(("GPU", f"{name}, {memory}, power limit {power}, driver {driver}"))
    for device in vulkan_devices(output_of("vulkaninfo", "--summary")):
        lines.append(("Vulkan device", device))
    if not lines:
        lines.append(("GPU", "not known: neither nvidia-smi nor vulkaninfo names one"))
    device = f"{adapter}, by {args.feature}" if adapter else args.feature
    if is_software() and args.feature != "cuda":
        device += ", in software on the CPU: no GPU"
    lines.append(("bptt's device", device))
    lines += [("OS", system()), ("CPU", f"{cpu()}, {os.cpu_count()} threads")]
    lines += [("bptt", commit()), ("burn", version_in_lock("burn")), ("cubecl", version_in_lock("cubecl"))]
    lines.append(("rustc", output_of("rustc", "--version").removeprefix("rustc ") or "not known"))
    if torch is not None:
        found = torch.first
        on = "on the CPU, for a trial: no figure of a GPU"
        if "name" in found:
            on = f"on {found['name']}, compute capability {found['capability']}"
        lines.append(("PyTorch", f"{found['torch']} {on}"))
        if "cuda" in found:
            lines.append(("CUDA, cuDNN", f"{found['cuda']}, {found['cudnn'] or 'without cuDNN'}"))
        if found["flashrnn"]:
            lines.append(("FlashRNN", found["flashrnn"]))
    lines.append(("Python", platform.python_version()))
    lines.append(("Date", datetime.date.today().isoformat()))
    lines.append(("Medians of", f"{args.rounds} rounds in turns, {args.repeats} runs each"))
    return lines


def vulkan_devices(summary):
    """What Vulkan's loader lists: name, driver and kind of each."""
    devices, found = [], {}
    for line in [*summary.splitlines(), "GPU"]:
        if line.startswith("GPU"):
            if "deviceName" in found:
                kind = found.get("deviceType", "").removeprefix("PHYSICAL_DEVICE_TYPE_").replace("_", " ").lower()
                driver = f"{found.get('driverName', '')} {found.get('driverInfo', '')}".strip()
                devices.append(f"{found['deviceName']} ({kind}), driver {driver}")
            found = {}
        elif "=" in line:
            name, value = line.split("=", 1)
            found[name.strip()] = value.strip()
    return devices


def system():
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, AttributeError, KeyError):
        name = platform.system()
    return f"{name}, {platform.release()}"


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit():
    name = output_of("git", "rev-parse", "--short=12", "HEAD") or "not known"
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no")
    return f"commit {name}" + (", with changes" if changed else "")


def version_in_lock(package):
    """Of the build: the lock file has it."""
    lines = (beside.ROOT / "Cargo.lock").read_text().splitlines()
    at = lines.index(f'name = "{package}"') + 1
    return lines[at].split('"')[1]


# Both.


def start_torch(args, notes):
    """The process of PyTorch; none, if there is nothing that it could measure."""
    if args.torch_device == "none":
        return None
    torch = beside.Child(__file__, ["--torch-child", args.torch_device], "PyTorch")
    if "error" in torch.first:
        note(notes, f"PyTorch is left out: {torch.first['error']}")
        return None
    if not torch.first["flashrnn"]:
        note(notes, "FlashRNN is left out: Python has no package flashrnn")
    elif args.torch_device == "cpu":
        note(notes, "FlashRNN is left out: it has no layer for the CPU")
    return torch


def note(notes, line):
    if line not in notes:
        notes.append(line)
        print(line, file=sys.stderr)


def contenders(args, torch):
    """What of PyTorch is measured."""
    if torch is None:
        return []
    has_flashrnn = torch.first["flashrnn"] and args.torch_device == "cuda"
    return [*TORCH, *(["flashrnn"] if has_flashrnn else [])]


def can(what, cell, size):
    """cuDNN has no heads; FlashRNN's paper measures LSTM."""
    return cell == "lstm" if what == "flashrnn" else size[4] == 1


def measure(args, torch, cell, size, mode, notes):
    """The rounds of one row: times by contender, reports by kernel."""
    times, reports = {}, {}
    of_row = f"{cell} {','.join(map(str, size))} {mode}"
    failed = set()
    for number in range(args.rounds):
        for what in contenders(args, torch):
            if what in failed or not can(what, cell, size):
                continue
            answer = torch.ask(what=what, cell=cell, size=size, mode=mode, repeats=args.repeats)
            if "error" in answer:
                failed.add(what)
                note(notes, f"{of_row}, {what} is left out: {answer['error']}")
                continue
            medians = [statistics.median(answer[name]) if answer[name] else None for name in ("wall", "device")]
            times.setdefault(what, []).append(medians)
        for kernel in args.kernel:
            if kernel in failed:
                continue
            try:
                # What bounds a run is measured beside it, once.
                report = bptt_report(args, cell, size, mode, kernel, ceiling=number == 0)
                reports.setdefault(kernel, []).append(report)
            except Failed as error:
                failed.add(kernel)
                note(notes, f"{of_row}, kernel {kernel} is left out: {error}")
    for name in failed:
        times.pop(name, None)
        reports.pop(name, None)
    return times, reports


def middle(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def time_text(pairs):
    """A time, and in brackets that by the device's clock."""
    if not pairs:
        return NONE
    wall, of_device = (middle(column) for column in zip(*pairs))
    return f"{wall:.3g}" + (f" ({of_device:.3g})" if of_device is not None else "")


def row(args, torch, cell, size, mode, measured):
    times, reports = measured
    pairs = {kernel: [(r["median_ms"], r.get("device_ms")) for r in of_kernel] for kernel, of_kernel in reports.items()}
    cells = [cell, ", ".join(map(str, size[:4])), str(size[4]), mode]
    cells += [time_text(pairs.get(kernel)) for kernel in args.kernel]
    cells += [time_text(times.get(what)) for what in contenders(args, torch)]
    if not reports:
        return cells + [NONE] * len(FIGURES)
    ours = {kernel: middle(r["median_ms"] for r in of_kernel) for kernel, of_kernel in reports.items()}
    best = min(ours, key=ours.get)
    theirs = middle(wall for wall, _ in times.get("f32", []))
    cells.append(f"{ours[best] / theirs:.2f}" if theirs else NONE)
    return cells + figures(best, reports[best])


# Of bptt's fastest kernel.
FIGURES = ["bptt / torch f32", "kernel", "launches", "GF/s", "of the product", "GB/s copied"]
FIGURES += ["flops a step", "bytes a step", "bound by", "reached"]


def figures(kernel, reports):
    def number(name, show):
        found = middle(report.get(name) for report in reports)
        return NONE if found is None else show(found)

    bounds = [report for report in reports if report.get("device_bounds")]
    share = middle(r["gflops"] / r["ceiling_gflops"] for r in reports if r.get("ceiling_gflops"))
    copied = middle(report["device_bounds"]["copy_gbs"] for report in bounds)
    reached = middle(report["device_bounds"]["alone_ms"] / report["median_ms"] for report in bounds)
    return [
        kernel,
        number("launches", lambda count: f"{count:.0f}"),
        number("gflops", lambda rate: f"{rate:.1f}"),
        NONE if share is None else f"{share:.1%}",
        NONE if copied is None else f"{copied:.1f}",
        number("step_flops", lambda count: f"{count:.3g}"),
        number("step_bytes", lambda count: f"{count:.3g}"),
        bounds[0]["device_bounds"]["by"] if bounds else NONE,
        NONE if reached is None else f"{reached:.1%}",
    ]


def table(args):
    if args.out is not None and args.out.exists() and not args.force:
        raise Failed(f"{args.out} is there: --force overwrites it")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise Failed(f"{args.out}: no such folder")
    args.bptt = build(args)
    on = adapter(args)
    notes = []
    torch = start_torch(args, notes)
    facts = machine(args, torch, on)
    print(*(f"{name}: {value}" for name, value in facts), sep="\n", file=sys.stderr)
    side = "torch" if args.torch_device == "cuda" else "torch on the CPU"
    head = ["cell", "B, T, I, H", "heads", "mode", *(f"bptt {kernel}" for kernel in args.kernel)]
    head += ["FlashRNN bf16" if what == "flashrnn" else f"{side} {what}" for what in contenders(args, torch)]
    head += FIGURES
    rows = []
    for cell in args.cell:
        for size in args.size:
            for mode in args.mode:
                rows.append(row(args, torch, cell, size, mode, measure(args, torch, cell, size, mode, notes)))
                print(*rows[-1], sep="  ", file=sys.stderr)
    if all(cells[4 : 4 + len(args.kernel)] == [NONE] * len(args.kernel) for cells in rows):
        raise Failed(f"bptt measured nothing: {next(line for line in notes if 'kernel' in line)}")
    lines = [f"- {name}: {value}" for name, value in facts]
    lines += ["", "Milliseconds; in brackets those of the device's own clock.", ""]
    lines += [*beside.table_lines(head, rows, names=4), ""]
    lines += [f"- {line}" for line in notes]
    write(args.out, "\n".join(lines).rstrip() + "\n")


def write(path, text):
    """The whole file, or none."""
    if path is None:
        sys.stdout.write(text)
        return
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    beside.run(table, arguments())
