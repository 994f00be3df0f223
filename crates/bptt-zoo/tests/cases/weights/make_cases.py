"""Writes files as programs around PyTorch leave them, old versions and Keras's CuDNN layers, and what the layers in them compute.

    pip install torch safetensors numpy
    python make_cases.py

`expected.safetensors` has, for each file, an input NAME.input [B, T, I] and NAME.output. What stands beside the files of this script
(`torch-*`, `keras-*` without an entry there) is copied from reports.
"""

import copy
import io
import pickle
import struct
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).resolve().parent
warnings.filterwarnings("ignore")
torch.manual_seed(7)
expected = {}


def keep(name, layer, d_input=3):
    """The input and output of a layer, whose weights are f32, computed in f64."""
    x = torch.randn(2, 5, d_input)
    layer = copy.deepcopy(layer).double().eval()
    with torch.no_grad():
        output = layer(x.double())[0]
    expected[f"{name}.input"], expected[f"{name}.output"] = x, output.float().contiguous()


class Steps(nn.Module):
    """A cell in a loop."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state, outputs = None, []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1), state


def cells():
    for name, cell in [("lstm-cell", nn.LSTMCell(3, 4)), ("gru-cell", nn.GRUCell(3, 4)), ("rnn-cell", nn.RNNCell(3, 4, bias=False))]:
        keep(name, Steps(cell))
        torch.save(cell.state_dict(), HERE / f"{name}.pt")


def weight_norm():
    lstm = nn.LSTM(3, 4, batch_first=True)
    keep("weight-norm", lstm)
    old = copy.deepcopy(lstm)
    nn.utils.weight_norm(old, "weight_hh_l0")
    nn.utils.weight_norm(old, "weight_ih_l0", dim=1)
    nn.utils.weight_norm(old, "bias_hh_l0", dim=None)
    assert "weight_hh_l0_g" in old.state_dict()
    torch.save(old.state_dict(), HERE / "weight-norm.pt")
    new = nn.Module()
    new.rnn = copy.deepcopy(lstm)
    nn.utils.parametrizations.weight_norm(new.rnn, "weight_hh_l0")
    nn.utils.parametrizations.weight_norm(new.rnn, "weight_ih_l0", dim=None)
    assert "rnn.parametrizations.weight_hh_l0.original1" in new.state_dict()
    torch.save(new.state_dict(), HERE / "weight-norm-parametrized.pt")
    nn.utils.parametrizations.orthogonal(lstm, "weight_hh_l0")
    torch.save(lstm.state_dict(), HERE / "orthogonal.pt")


def awd():
    """The names of WeightDrop: salesforce/awd-lstm-lm has both in one module, fastai the raw one outside."""
    lstm = nn.LSTM(3, 4, batch_first=True)
    keep("awd", lstm)
    state = lstm.state_dict()
    dropped = nn.functional.dropout(state["weight_hh_l0"], 0.5)
    torch.save({**state, "weight_hh_l0": dropped, "weight_hh_l0_raw": state["weight_hh_l0"]}, HERE / "awd.pt")
    inside = {f"rnns.0.module.{name}": value for name, value in state.items()}
    inside["rnns.0.module.weight_hh_l0"] = dropped
    torch.save({"rnns.0.weight_hh_l0_raw": state["weight_hh_l0"], **inside}, HERE / "awd-fastai.pt")


def wrapped():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(3, 4, batch_first=True)
            self.head = nn.Linear(4, 4)

    model = Model()
    keep("wrapped", model.rnn)
    state = model.state_dict()
    torch.save({f"module._orig_mod.{name}": value for name, value in state.items()}, HERE / "wrapped.pt")
    lightning = {
        "epoch": 3,
        "global_step": 12,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict((f"model.{name}", value) for name, value in state.items()),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "best_k_models": {}}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"hidden": 4, "lr": 1e-3},
    }
    torch.save(lightning, HERE / "lightning.ckpt.pt")
    script = torch.jit.script(model.rnn)
    script.save(HERE / "torchscript.pt")
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = model.rnn
            self.head = model.head

        def forward(self, x):
            return self.head(self.rnn(x)[0])

    torch.jit.trace(Around().eval(), torch.zeros(1, 2, 3)).save(HERE / "torchscript-traced.pt")


def beside():
    """All that torch.load(weights_only=True) takes, beside the weights and among them."""
    from collections import Counter, defaultdict
    import argparse

    rnn = nn.RNN(3, 4, batch_first=True)
    keep("beside", rnn)
    odd = {
        "set": {1, 2}, "bytes": b"ab", "bytearray": bytearray(b"ab"), "complex": 1 + 2j,
        "counter": Counter("aab"), "ordered": OrderedDict(a=1), "size": torch.Size([1]), "device": torch.device("cpu"),
        "dtypes": [torch.bool, torch.uint8, torch.float16, torch.complex64, torch.float8_e4m3fn, torch.quint8],
        "big": 2**80, "negative": -(2**40), "none": None, "float": 0.5, "scheme": torch.per_tensor_affine,
        "u16": torch.tensor([1], dtype=torch.uint16), "u32": torch.tensor([1], dtype=torch.uint32),
        "c64": torch.tensor([1j]), "c128": torch.tensor([1j], dtype=torch.complex128), "f8": torch.zeros(2).to(torch.float8_e5m2),
        "sparse": torch.eye(2).to_sparse(), "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
        "parameter": nn.Parameter(torch.ones(1)), "buffer": nn.Buffer(torch.ones(1)), "meta": torch.ones(1, device="meta"),
        "storage": torch.arange(3.0).untyped_storage(), "typed": torch.ones(2).storage(),
    }
    torch.save({"odd": odd, "model": rnn.state_dict()}, HERE / "beside.pt")
    buffer = io.BytesIO((HERE / "beside.pt").read_bytes())
    torch.load(buffer, weights_only=True)
    more = {"frozen": frozenset([1]), "default": defaultdict(list, {"a": [1]}), "args": argparse.Namespace(lr=0.1, path=Path("x")), "numpy": np.float64(0.5)}
    torch.save({"more": more, "model": rnn.state_dict()}, HERE / "beside-more.pt")
    state = rnn.state_dict()
    state.update(ids=odd["u16"], spectrum=odd["c64"], scale=odd["f8"])
    torch.save(state, HERE / "beside-among.pt")
    for protocol in [3, 4, 5]:
        torch.save({"odd": odd["set"], "frozen": frozenset([1]), "bytes": [b"ab", bytearray(b"c")], "model": rnn.state_dict()},
                   HERE / f"protocol-{protocol}.pt", pickle_protocol=protocol)
    for protocol in [2, 4]:
        torch.save({"model": rnn.state_dict(), "odd": odd["c64"]}, HERE / f"stream-{protocol}.pt", pickle_protocol=protocol,
                   _use_new_zipfile_serialization=False)


def old():
    """A stream as PyTorch 0.1.10 to 0.3 wrote it under Python 2: strings as SHORT_BINSTRING, _rebuild_tensor with four arguments,
    an OrderedDict out of a list of pairs, and all tensors views of one storage, which is said beside each."""
    lstm = nn.LSTM(3, 4, batch_first=True)
    keep("old", lstm)
    string = lambda text: b"U" + bytes([len(text)]) + text.encode()
    integer = lambda n: b"J" + struct.pack("<i", n)
    long = lambda n: b"\x8a\x02" + struct.pack("<h", n)
    ints = lambda values: b"(" + b"".join(map(integer, values)) + b"t"
    numbers = torch.cat([value.flatten() for value in lstm.state_dict().values()])
    pairs, at = b"", 0
    for name, value in lstm.state_dict().items():
        size = value.numel()
        view = b"(" + string(f"v{at}") + long(at) + long(size) + b"t"
        storage = b"(" + string("storage") + b"ctorch\nFloatStorage\n" + string("94") + string("cuda:0") + long(len(numbers)) + view + b"tQ"
        tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage + integer(0) + ints(value.shape) + ints(value.stride()) + b"tR"
        pairs += b"](" + string(name) + tensor + b"e"
        at += size
    checkpoint = b"\x80\x02}" + string("state_dict") + b"ccollections\nOrderedDict\n](" + pairs + b"e\x85Rs."
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    machine = b"\x80\x02}(" + string("protocol_version") + b"M\xe9\x03" + string("little_endian") + b"\x88u."
    keys = b"\x80\x02](" + string("94") + b"e."
    data = struct.pack("<q", len(numbers)) + numbers.numpy().tobytes()
    (HERE / "old.pt").write_bytes(magic + b"\x80\x02M\xe9\x03." + machine + checkpoint + keys + data)
    # Old tensors in torch's own hand: Python 3, PyTorch 0.1.12.
    def reduce(self, protocol):
        return torch._utils._rebuild_tensor, (self.storage(), self.storage_offset(), tuple(self.size()), self.stride())

    reduce_ex = torch.Tensor.__reduce_ex__
    torch.Tensor.__reduce_ex__ = reduce
    try:
        torch.save(lstm.state_dict(), HERE / "old-python3.pt", _use_new_zipfile_serialization=False)
    finally:
        torch.Tensor.__reduce_ex__ = reduce_ex


def cudnn():
    """The weights of CuDNNLSTM and CuDNNGRU, by the rules by which Keras 2 loads them into LSTM and GRU
    (`_convert_rnn_weights` of its saving code)."""

    def kernels(all_gates, func, gates):
        return np.hstack([func(k) for k in np.hsplit(all_gates, gates)])

    def from_cudnn(kernel):
        return kernel.T.reshape(kernel.shape, order="F")

    def to_cudnn(kernel):
        return kernel.T.reshape(kernel.shape, order="C")

    lstm, gru = nn.LSTM(3, 4, batch_first=True), nn.GRU(3, 4, batch_first=True)
    for name, layer, gates, order in [("cudnn-lstm", lstm, 4, [0, 1, 2, 3]), ("cudnn-gru", gru, 3, [1, 0, 2])]:
        keep(name, layer)
        reorder = lambda a: np.concatenate([np.split(a, gates)[k] for k in order])
        part = lambda what: reorder(getattr(layer, f"{what}_l0").detach().numpy())
        kernel, recurrent = part("weight_ih").T, part("weight_hh").T
        cu_kernel = kernels(kernel, to_cudnn, gates)
        assert np.array_equal(kernels(cu_kernel, from_cudnn, gates), kernel)
        tensors = {"kernel": cu_kernel, "recurrent_kernel": kernels(recurrent, lambda k: k.T, gates),
                   "bias": np.concatenate([part("bias_ih"), part("bias_hh")])}
        tensors = {f"cu_dnn{name[6:]}/{key}:0": np.ascontiguousarray(value) for key, value in tensors.items()}
        save_numpy(tensors, HERE / f"{name}.safetensors")


def keras_2():
    """The names of Keras 2: the cells of both directions have numbers of their own."""
    lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    keep("keras-2-bidirectional", lstm)
    tensors = {}
    for direction, suffix, number in [("forward", "", 1), ("backward", "_reverse", 2)]:
        part = lambda what: getattr(lstm, f"{what}_l0{suffix}").detach().numpy()
        cell = f"bidirectional/{direction}_lstm/lstm_cell_{number}"
        tensors[f"{cell}/kernel:0"] = np.ascontiguousarray(part("weight_ih").T)
        tensors[f"{cell}/recurrent_kernel:0"] = np.ascontiguousarray(part("weight_hh").T)
        tensors[f"{cell}/bias:0"] = part("bias_ih") + part("bias_hh")
    save_numpy(tensors, HERE / "keras-2-bidirectional.safetensors")


if __name__ == "__main__":
    for write in [cells, weight_norm, awd, wrapped, beside, old, cudnn, keras_2]:
        write()
    save_file(expected, HERE / "expected.safetensors")
