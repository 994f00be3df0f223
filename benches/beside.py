"""What the scripts share that measure bptt beside another library, in turns with it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

# At least so many runs, and seconds: in the first milliseconds a program's threads may share a core.
WARM_UPS = 2
WARM_UP = 0.1
ROOT = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """One line for the user."""


def run(work, args):
    """Does the work of a script. What fails is one line."""
    try:
        work(args)
    except Failed as failed:
        sys.exit(f"{Path(sys.argv[0]).name}: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)


def add_arguments(parser, sizes):
    """The options that all of the scripts have."""
    add = parser.add_argument
    add("--size", action="append", metavar="B,T,I,H", help=f"default: {' '.join(sizes)}")
    add("--rounds", type=int, default=5, help="in turns (default: %(default)s)")
    add("--repeats", type=int, default=5, help="runs in a round (default: %(default)s)")
    add("--bptt", type=Path, help="the program (default: the release build)")


def check_arguments(parser, args, sizes):
    """Reads the sizes, and finds the program."""
    check_positive(parser, rounds=args.rounds, repeats=args.repeats)
    try:
        args.size = [tuple(map(int, size.split(","))) for size in args.size or sizes]
        assert all(len(size) == 4 and min(size) > 0 for size in args.size)
    except (ValueError, AssertionError):
        parser.error("--size: expected four positive numbers, as in 32,100,128,128")
    args.bptt = (args.bptt or release_build()).resolve()


def release_build():
    """Where cargo puts the program."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "bptt"


def check_positive(parser, **values):
    for name, value in values.items():
        if value < 1:
            parser.error(f"--{name} is {value}: expected at least 1")


def check_program(args):
    if not args.bptt.is_file():
        raise Failed(f"no program {args.bptt}: cargo build --release, or say where with --bptt")


class Child:
    """A process that answers a line of JSON by another one. It says something first, which is `first`."""

    def __init__(self, script, option, what):
        pipe = subprocess.PIPE
        self.what = what
        self.child = subprocess.Popen([sys.executable, script, *option], stdin=pipe, stdout=pipe, text=True)
        self.first = self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise Failed(f"the process that runs {self.what} has ended")
        return json.loads(line)

    def ask(self, **request):
        try:
            print(json.dumps(request), file=self.child.stdin, flush=True)
        except BrokenPipeError:
            raise Failed(f"the process that runs {self.what} has ended") from None
        return self.answer()


def warm_up(once, seconds=WARM_UP):
    """Runs that are not measured."""
    begin, runs = time.perf_counter(), 0
    while runs < WARM_UPS or time.perf_counter() - begin < seconds:
        once()
        runs += 1


def times(once, repeats):
    """Milliseconds of each run, after a warm-up."""
    warm_up(once)
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        once()
        found.append((time.perf_counter() - start) * 1e3)
    return found


def bench_command(args, cell, size, ceiling=False, **options):
    """A measurement by `bptt bench`; with `ceiling`, beside what bounds it."""
    batch, steps, width, hidden = size
    options = {"batch": batch, "time": steps, "input": width, "hidden": hidden, **options}
    named = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    return [str(args.bptt), "bench", "--cell", cell, *named, *([] if ceiling else ["--no-ceiling"]), "--json", "-"]


def report(command):
    """What a measurement by `bptt bench` gave."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"bptt ended with {done.returncode}")
    return json.loads(done.stdout)


def table_lines(head, rows, names):
    """A table in Markdown, whose first columns are names and the others numbers."""
    rule = ["---"] * names + ["---:"] * (len(head) - names)
    return [f"| {' | '.join(row)} |" for row in [head, rule, *rows]]


def print_table(head, rows, names):
    print(*table_lines(head, rows, names), sep="\n")
