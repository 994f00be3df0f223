"""Writes the files of weights that the tests read, with PyTorch, Keras and Flax, and checks what bptt writes.

    pip install torch safetensors numpy keras flax jax
    python make_files.py                     write the files beside this script
    python make_files.py --check BPTT        convert each with the command BPTT, load the result into
                                             PyTorch by load_state_dict, and compare the outputs

`expected.safetensors` has, for each file, an input and what the layer makes of it: NAME.input [B, T, I],
NAME.output, NAME.h_n and, for an LSTM, NAME.c_n.
"""

import argparse
import copy
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent


class Model(torch.nn.Module):
    """A larger model around a layer."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Module()
        self.encoder.gru = torch.nn.GRU(3, 4, batch_first=True)
        self.decoder = torch.nn.LSTM(4, 3, batch_first=True)
        self.head = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)


class Shell:
    """Runs a command when it is unpickled by somebody who executes pickles."""

    def __reduce__(self):
        return os.system, ("echo executed > /tmp/bptt-pickle-was-executed",)


def layers():
    """The layers, by the names of their files."""
    torch.manual_seed(7)
    nn = torch.nn
    model = Model()
    flat = nn.LSTM(2, 3, batch_first=True)
    return {
        "lstm-deep": nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2, batch_first=True),
        "gru-time-first": nn.GRU(3, 5, num_layers=3, bias=False),
        "rnn-relu": nn.RNN(3, 4, nonlinearity="relu", bidirectional=True, batch_first=True),
        "lstm-f16": nn.LSTM(2, 3, batch_first=True).half(),
        "gru-bf16": nn.GRU(2, 3, batch_first=True).bfloat16(),
        "gru-f64": nn.GRU(2, 3, batch_first=True).double(),
        "legacy": nn.LSTM(2, 3, batch_first=True),
        "views": flat,
        "parameters": nn.GRU(2, 3, batch_first=True),
        "checkpoint": model,
    }


def views(state):
    """The same state dict, its tensors views of one storage, one of them transposed."""
    state = {name: tensor.clone() for name, tensor in state.items()}
    transposed = state["weight_ih_l0"].t().contiguous()
    parts = [transposed] + [t for name, t in state.items() if name != "weight_ih_l0"]
    storage = torch.cat([part.flatten() for part in parts])
    at = 0
    found = {}
    for name, part in zip(["weight_ih_l0"] + [n for n in state if n != "weight_ih_l0"], parts):
        view = storage[at : at + part.numel()].view(part.shape)
        found[name] = view.t() if name == "weight_ih_l0" else view
        at += part.numel()
    assert all(torch.equal(found[name], state[name]) for name in state)
    return found


def outputs(name, layer, expected):
    """Runs a layer, in f32 at least, and notes what comes out."""
    layer = copy.deepcopy(layer)
    if next(layer.parameters()).dtype != torch.float64:
        layer = layer.float()
    dtype = next(layer.parameters()).dtype
    batch, time = 2, 5
    shape = (batch, time, layer.input_size)
    if not layer.batch_first:
        shape = (time, batch, layer.input_size)
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    with torch.no_grad():
        y, state = layer(x)
    h, c = state if isinstance(state, tuple) else (state, None)
    expected |= {f"{name}.input": x, f"{name}.output": y, f"{name}.h_n": h}
    if c is not None:
        expected[f"{name}.c_n"] = c


def keras_files(expected):
    """Real Keras layers, by the paths of their variables."""
    import keras
    from safetensors.numpy import save_file as save

    keras.utils.set_random_seed(3)
    layers = keras.layers
    files = {
        "keras-lstm": [
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        ],
        "keras-gru": [layers.GRU(4, return_sequences=True)],
        "keras-gru-before": [layers.GRU(4, return_sequences=True, reset_after=False)],
        "keras-rnn": [layers.SimpleRNN(4, return_sequences=True)],
    }
    for name, stack in files.items():
        model = keras.Sequential([keras.Input((5, 2)), *stack, layers.Dense(1)])
        for variable in model.variables:
            # Biases that are zero would hide where they go.
            variable.assign(np.random.default_rng(len(variable.path)).normal(0, 0.5, variable.shape))
        save({v.path: np.ascontiguousarray(v.numpy()) for v in model.variables}, HERE / f"{name}.safetensors")
        x = np.random.default_rng(5).normal(size=(2, 5, 2)).astype(np.float32)
        y = x
        for layer in model.layers[:-1]:
            y = layer(y)
        expected[f"{name}.input"] = torch.from_numpy(x)
        expected[f"{name}.output"] = torch.from_numpy(keras.ops.convert_to_numpy(y))


def flax_files(expected):
    """Real Flax layers, by the paths of their parameters."""
    import flax
    import jax
    import jax.numpy as jnp
    from flax import linen as nn
    from safetensors.numpy import save_file as save

    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.RNN(nn.OptimizedLSTMCell(3))(x)
            return nn.RNN(nn.OptimizedLSTMCell(3))(x)

    files = {
        "flax-lstm": nn.Bidirectional(nn.RNN(nn.OptimizedLSTMCell(3)), nn.RNN(nn.LSTMCell(3))),
        "flax-lstm-stack": Stack(),
        "flax-gru": nn.RNN(nn.GRUCell(4)),
        "flax-rnn": nn.RNN(nn.SimpleCell(4)),
    }
    x = np.random.default_rng(5).normal(size=(2, 5, 2)).astype(np.float32)
    for name, layer in files.items():
        params = layer.init(jax.random.key(0), x)["params"]
        flat = flax.traverse_util.flatten_dict(params, sep="/")
        rng = np.random.default_rng(8)
        flat = {k: rng.normal(0, 0.5, v.shape).astype(np.float32) for k, v in flat.items()}
        save(flat, HERE / f"{name}.safetensors")
        params = flax.traverse_util.unflatten_dict(flat, sep="/")
        with jax.default_matmul_precision("float32"):
            y = layer.apply({"params": jax.tree.map(jnp.asarray, params)}, x)
        expected[f"{name}.input"] = torch.from_numpy(x)
        expected[f"{name}.output"] = torch.from_numpy(np.array(y))


def nnx_files(expected):
    """The same of NNX, whose cells have all gates beside each other."""
    import jax
    from flax import nnx
    from safetensors.numpy import save_file as save

    x = np.random.default_rng(5).normal(size=(2, 5, 2)).astype(np.float32)
    cells = {"flax-nnx-gru": nnx.GRUCell, "flax-nnx-lstm": nnx.OptimizedLSTMCell}
    for name, cell in cells.items():
        rnn = nnx.RNN(cell(2, 4, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
        rng = np.random.default_rng(8)
        flat = {}
        for path, variable in nnx.to_flat_state(nnx.state(rnn, nnx.Param)):
            value = rng.normal(0, 0.5, variable.get_value().shape).astype(np.float32)
            variable.set_value(jax.numpy.asarray(value))
            flat["/".join(map(str, path))] = value
            nnx.update(rnn, nnx.from_flat_state([(path, variable)]))
        save(flat, HERE / f"{name}.safetensors")
        with jax.default_matmul_precision("float32"):
            y = rnn(x)
        expected[f"{name}.input"] = torch.from_numpy(x)
        expected[f"{name}.output"] = torch.from_numpy(np.array(y))


def write():
    made = layers()
    expected = {}
    for name, layer in made.items():
        if name != "checkpoint":
            outputs(name, layer, expected)
    model = made["checkpoint"]
    outputs("checkpoint-gru", model.encoder.gru, expected)
    outputs("checkpoint-lstm", model.decoder, expected)

    def state(name):
        return made[name].state_dict()

    torch.save(state("lstm-deep"), HERE / "lstm-deep.pt")
    save_file(state("gru-time-first"), HERE / "gru-time-first.safetensors")
    torch.save(state("rnn-relu"), HERE / "rnn-relu.pth")
    torch.save(state("lstm-f16"), HERE / "lstm-f16.pt")
    save_file(state("gru-bf16"), HERE / "gru-bf16.safetensors", metadata={"format": "pt"})
    torch.save(state("gru-f64"), HERE / "gru-f64.pt")
    torch.save(state("legacy"), HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(views(state("views")), HERE / "views.pt")
    torch.save(dict(made["parameters"].named_parameters()), HERE / "parameters.pt")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    whole = {
        "epoch": 3,
        "best": 0.25,
        "state": {"model": model.state_dict(), "steps": [1, 2, 3]},
        "optimizer": optimizer.state_dict(),
    }
    torch.save(whole, HERE / "checkpoint.pt")
    # What is refused.
    torch.save({"weight_ih_l0": torch.zeros(1), "x": Shell()}, HERE / "evil.pt")
    torch.save(torch.nn.LSTM(2, 3), HERE / "whole-model.pt")

    keras_files(expected)
    flax_files(expected)
    nnx_files(expected)
    save_file({k: v.contiguous().clone() for k, v in expected.items()}, HERE / "expected.safetensors")


def check(bptt):
    """What bptt writes, PyTorch loads, and computes the same with."""
    expected = load_file(HERE / "expected.safetensors")
    made = layers()
    model = made.pop("checkpoint")
    made["checkpoint-gru"], made["checkpoint-lstm"] = model.encoder.gru, model.decoder
    options = {
        "checkpoint-gru": ["--key", "state.model", "--prefix", "encoder.gru"],
        "checkpoint-lstm": ["--key", "state.model", "--prefix", "decoder"],
        "rnn-relu": ["--nonlinearity", "relu"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, layer in made.items():
            stem = "checkpoint" if name.startswith("checkpoint") else name
            source = next(p for p in HERE.glob(f"{stem}.*") if p.suffix in (".pt", ".pth", ".safetensors"))
            for middle in (None, Path(folder) / f"{name}.bpk"):
                out = Path(folder) / f"{name}.safetensors"
                if middle is None:
                    run = [(source, out, options.get(name, []))]
                else:
                    run = [(source, middle, options.get(name, [])), (middle, out, [])]
                for a, b, more in run:
                    subprocess.run([bptt, "convert", a, b, *more], check=True, stdout=subprocess.DEVNULL)
                fresh = copy.deepcopy(layer)
                for parameter in fresh.parameters():
                    torch.nn.init.zeros_(parameter)
                print(name, "through burnpack" if middle else "", fresh.load_state_dict(load_file(out)))
                if next(fresh.parameters()).dtype != torch.float64:
                    fresh = fresh.float()
                with torch.no_grad():
                    y, _ = fresh(expected[f"{name}.input"])
                assert torch.equal(y, expected[f"{name}.output"]), name
    print("all outputs are the same bits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="BPTT", help="the command to check")
    arguments = parser.parse_args()
    check(arguments.check) if arguments.check else write()
    sys.exit(0)
