"""Writes layers under the names of other libraries, and what they compute.

    pip install numpy safetensors onnx onnxruntime flax
    python make_cells.py

ONNX Runtime computes the layers of ONNX, and Flax its `MGUCell`. The others need a GPU or an old Python, so this script
computes their equations again, in f64, from their documentation:

- haste (LMNT): LSTM gates `i g f o`, GRU gates `z r g`, IndRNN with tanh; `LayerNormLSTM` and `LayerNormGRU`
- DreamerV3's GRU, under the names of `dreamerv3` (danijar), `dreamerv3-torch` (NM512) and `sheeprl`
- `tf.nn.rnn_cell.LSTMCell` of TensorFlow 1: gates `i j f o`, `forget_bias` 1, peepholes
- `indrnn-pytorch` (StefOe): relu
- minGRU and minLSTM of `minGRU-pytorch` (lucidrains), `minimal-LRU` (Zucchet), `S5` (lindermanlab), RG-LRU of `recurrentgemma` and of
  `transformers` (Hugging Face). The latter two have another first step of a document; here the positions begin at 1.
- LEM of its authors (`tk-rusch/LEM`), with `dt` 1 and 0.25
- `xlstm` (NX-AI): the sLSTM cell, in the layouts of its backends `vanilla` and `cuda`

`cells-expected.safetensors` has NAME.input, [B, T, I] (or [T, B, I], as the library has it), and NAME.output.
"""

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
rng = np.random.default_rng(11)
expected = {}
I, H, B, T = 3, 4, 2, 6


def draw(*shape):
    """Numbers that f32 holds exactly."""
    return rng.uniform(-1, 1, shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def save(name, tensors):
    save_file({key: np.ascontiguousarray(value, dtype=np.float32) for key, value in tensors.items()}, HERE / f"{name}.safetensors")


def keep(name, x, output):
    expected[f"{name}.input"] = np.ascontiguousarray(x, dtype=np.float32)
    expected[f"{name}.output"] = np.ascontiguousarray(output, dtype=np.float32)


def norm(a, epsilon=1e-5):
    centred = a - a.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)


def run(step, state, x):
    """Steps over [T, B, I]; the first part of the state is the output."""
    outputs = []
    for x_t in x.astype(np.float64):
        state = step(x_t, *state)
        outputs.append(state[0])
    return np.stack(outputs)


def zeros(count, size=H):
    return [np.zeros((B, size)) for _ in range(count)]


def haste():
    x = draw(T, B, I)
    lstm = {"kernel": draw(I, 4 * H), "recurrent_kernel": draw(H, 4 * H), "bias": draw(4 * H)}

    def lstm_step(x, h, c):
        i, g, f, o = np.split(x @ lstm["kernel"] + h @ lstm["recurrent_kernel"] + lstm["bias"], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    save("haste-lstm", lstm)
    keep("haste-lstm", x, run(lstm_step, zeros(2), x))

    gru = {"kernel": draw(I, 3 * H), "recurrent_kernel": draw(H, 3 * H), "bias": draw(3 * H), "recurrent_bias": draw(3 * H)}

    def gru_step(x, h):
        a_z, a_r, a_g = np.split(x @ gru["kernel"] + gru["bias"], 3, axis=-1)
        u_z, u_r, u_g = np.split(h @ gru["recurrent_kernel"] + gru["recurrent_bias"], 3, axis=-1)
        z, r = sigmoid(a_z + u_z), sigmoid(a_r + u_r)
        return (z * h + (1 - z) * np.tanh(a_g + r * u_g),)

    save("haste-gru", gru)
    keep("haste-gru", x, run(gru_step, zeros(1), x))

    indrnn = {"kernel": draw(I, H), "recurrent_scale": draw(H), "bias": draw(H)}
    step = lambda x, h: (np.tanh(x @ indrnn["kernel"] + indrnn["bias"] + h * indrnn["recurrent_scale"]),)
    save("haste-indrnn", indrnn)
    keep("haste-indrnn", x, run(step, zeros(1), x))
    normed = {**lstm, "gamma": draw(2, 4 * H), "gamma_h": draw(H), "beta_h": draw(H)}

    def normed_step(x, h, c):
        wx, uh = (norm(v) * gain for v, gain in zip([x @ lstm["kernel"], h @ lstm["recurrent_kernel"]], normed["gamma"]))
        i, g, f, o = np.split(uh + wx + lstm["bias"], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(norm(c) * normed["gamma_h"] + normed["beta_h"]), c

    save("haste-layer-norm-lstm", normed)
    keep("haste-layer-norm-lstm", x, run(normed_step, zeros(2), x))


def tensorflow():
    x = draw(T, B, I)
    layers = []
    for size in [I, H]:
        layer = {"kernel": draw(size + H, 4 * H), "bias": draw(4 * H)}
        layers.append({**layer, **{f"w_{gate}_diag": draw(H) for gate in "ifo"}})

    def stack(peepholes):
        y = x
        for p in layers:
            w_i, w_f, w_o = (p[f"w_{gate}_diag"] * peepholes for gate in "ifo")

            def step(x, h, c):
                i, j, f, o = np.split(np.concatenate([x, h], -1) @ p["kernel"] + p["bias"], 4, axis=-1)
                c = sigmoid(f + 1.0 + w_f * c) * c + sigmoid(i + w_i * c) * np.tanh(j)
                return sigmoid(o + w_o * c) * np.tanh(c), c

            y = run(step, zeros(2), y)
        return y

    names = lambda keys: {
        f"rnn/multi_rnn_cell/cell_{k}/lstm_cell/{key}": layer[key] for k, layer in enumerate(layers) for key in keys
    }
    dense = {"dense/kernel": draw(H, 2), "dense/bias": draw(2)}
    save("tensorflow-lstm", {**names(["kernel", "bias"]), **dense})
    keep("tensorflow-lstm", x.transpose(1, 0, 2), stack(0.0).transpose(1, 0, 2))
    save("tensorflow-peephole", {**names(layers[0]), **dense})
    keep("tensorflow-peephole", x.transpose(1, 0, 2), stack(1.0).transpose(1, 0, 2))
    save("tensorflow-projection", {**names(["kernel", "bias"]), "rnn/multi_rnn_cell/cell_0/lstm_cell/projection/kernel": draw(H, 2)})


def indrnn_pytorch():
    x = draw(T, B, I)
    for name, directions in [("indrnn-pytorch", 1), ("indrnn-pytorch-both", 2)]:
        tensors, y = {"h0": np.zeros(directions * H)}, x
        for k, size in enumerate([I, directions * H]):
            sides = []
            for cells in ["cells", "cells_bi"]:
                p = {"weight_ih": draw(H, size), "weight_hh": draw(H), "bias_ih": draw(H)}
                tensors.update({f"{cells}.{k}.{key}": value for key, value in p.items()})
                step = lambda x, h: (np.maximum(x @ p["weight_ih"].T + p["bias_ih"] + h * p["weight_hh"], 0),)
                turn = (lambda a: a[::-1]) if cells == "cells_bi" else (lambda a: a)
                sides.append(turn(run(step, zeros(1), turn(y))))
            y = np.concatenate(sides[:directions], -1)
        save(name, tensors)
        keep(name, x, y)
    save("indrnn-pytorch-norm", {**tensors, "bns.0.weight": draw(H)})


def xlstm():
    for heads, name in [(1, "xlstm"), (2, "xlstm-heads")]:
        d, x = H // heads, draw(B, T, H)
        gates = {f"xlstm.{gate}gate.weight": draw(heads, d, d) for gate in "ifzo"}
        recurrent, bias = draw(heads, d, 4, d), draw(heads, 4, d)  # [head, in, gate, out], [head, gate, out]

        def step(x, y, c, n, m):
            by_head = lambda a: a.reshape(B, heads, d)
            wx = np.stack([np.einsum("bhi,hoi->bho", by_head(x), w) for w in gates.values()], 2)  # [B, head, gate, out]
            raw = wx + np.einsum("bhi,higo->bhgo", by_head(y), recurrent) + bias
            i, f, z, o = (raw[:, :, k].reshape(B, H) for k in range(4))
            log_f = m - np.log1p(np.exp(-f))
            m_new = i if np.all(n == 0) else np.maximum(i, log_f)
            i, f = np.exp(i - m_new), np.exp(log_f - m_new)
            c, n = f * c + i * np.tanh(z), f * n + i
            return sigmoid(o) * c / n, c, n, m_new

        output = run(step, zeros(4), x.transpose(1, 0, 2)).transpose(1, 0, 2)
        keep(name, x, output)
        norm = {"xlstm.group_norm.weight": draw(H)}
        vanilla = {
            "xlstm.slstm_cell._recurrent_kernel_": recurrent.transpose(0, 2, 3, 1).reshape(heads, 4 * d, d),
            "xlstm.slstm_cell._bias_": bias.transpose(1, 0, 2).reshape(-1),
        }
        cuda = {"xlstm.slstm_cell._recurrent_kernel_": recurrent.reshape(heads, d, 4 * d), "xlstm.slstm_cell._bias_": bias.reshape(-1)}
        save(f"{name}-vanilla", {**gates, **vanilla, **norm})
        save(f"{name}-cuda", {**gates, **cuda, **norm})
    save("xlstm-conv", {**gates, **vanilla, "xlstm.conv1d.conv.weight": draw(H, 1, 4), "xlstm.conv1d.conv.bias": draw(H)})


def onnx_runtime():
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    def compute(kind, tensors, x, **attributes):
        inputs = ["X", "W", "R", "B"] + (["", "", "", "P"] if "P" in tensors else [])
        node = helper.make_node(kind, inputs, ["Y"], hidden_size=H, **attributes)
        constants = [numpy_helper.from_array(value, key) for key, value in tensors.items()]
        info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        graph = helper.make_graph([node], "layer", [info("X")], [info("Y")], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"X": x})[0][:, 0]

    x = draw(T, B, I)
    tensors = lambda gates: {"W": draw(1, gates * H, I), "R": draw(1, gates * H, H), "B": draw(1, 2 * gates * H)}
    lstm = tensors(4)
    peephole = {**lstm, "P": draw(1, 3 * H)}
    for name, kind, tensors, attributes in [
        ("onnx-lstm", "LSTM", lstm, {}),
        ("onnx-peephole", "LSTM", peephole, {}),
        ("onnx-gru", "GRU", (gru := tensors(3)), {}),
        ("onnx-gru-after", "GRU", gru, {"linear_before_reset": 1}),
        ("onnx-rnn", "RNN", tensors(1), {}),
    ]:
        if name != "onnx-gru-after":
            save(name, {f"decoder/{key}": value for key, value in tensors.items()})
        keep(name, x, compute(kind, tensors, x, **attributes))
    save("onnx-both", {key: np.concatenate([value, value]) for key, value in lstm.items()})


def scanned():
    x = draw(B, T, I)

    def keep_scan(name, step, states, x, output=lambda h, x: h):
        h = run(step, states, x.transpose(1, 0, 2))
        keep(name, x, output(h, x.transpose(1, 0, 2).astype(np.float64)).transpose(1, 0, 2))

    w = draw(2 * H, I)
    positive = lambda c: np.where(c >= 0, c + 0.5, sigmoid(c))

    def min_gru(x, h):
        c, z = np.split(x @ w.T, 2, axis=-1)
        z = sigmoid(z)
        return ((1 - z) * h + z * positive(c),)

    save("mingru", {"layers.0.to_hidden_and_gate.weight": w})
    keep_scan("mingru", min_gru, zeros(1), x)
    save("mingru-projected", {"to_hidden_and_gate.weight": w, "to_out.weight": draw(I, H)})

    p = {"nu_log": draw(H) - 1, "theta_log": draw(H), "gamma_log": draw(H) - 1, "B_re": draw(H, I), "B_im": draw(H, I)}
    p |= {"C_re": draw(I, H), "C_im": draw(I, H), "D": draw(I)}
    factor = np.exp(-np.exp(p["nu_log"].astype(np.float64)) + 1j * np.exp(p["theta_log"].astype(np.float64)))
    b = (p["B_re"] + 1j * p["B_im"]) * np.exp(p["gamma_log"].astype(np.float64))[:, None]
    c = p["C_re"] + 1j * p["C_im"]
    complex_zeros = lambda: [np.zeros((B, H), dtype=complex)]
    save("lru", {f"params/seq/{key}": value for key, value in p.items()})
    keep_scan("lru", lambda x, h: (factor * h + x @ b.T,), complex_zeros(), x, lambda h, x: (h @ c.T).real + p["D"] * x)

    p = {"Lambda_re": -np.abs(draw(H)) - 0.1, "Lambda_im": 3 * draw(H), "log_step": draw(H, 1) - 2}
    p |= {"B": draw(H, I, 2), "C": draw(I, H, 2), "D": draw(I)}
    rate = p["Lambda_re"].astype(np.float64) + 1j * p["Lambda_im"]
    factor = np.exp(rate * np.exp(p["log_step"][:, 0].astype(np.float64)))
    b = ((factor - 1) / rate)[:, None] * (p["B"][..., 0] + 1j * p["B"][..., 1])
    c = p["C"][..., 0] + 1j * p["C"][..., 1]
    save("s5", p)
    for name, both in [("s5", 2), ("s5-alone", 1)]:
        output = lambda h, x: both * (h @ c.T).real + p["D"] * x
        keep_scan(name, lambda x, h: (factor * h + x @ b.T,), complex_zeros(), x, output)
    save("s5-unstable", {**p, "Lambda_re": -p["Lambda_re"]})
    save("s5-both", {**p, "C": draw(I, 2 * H, 2)})

    for heads, name in [(1, "rg-lru"), (2, "rg-lru-heads")]:
        d, x = H // heads, draw(B, T, H)
        p = {"a_param": draw(H)}
        p |= {f"{gate}.{key}": draw(*shape) for gate in ["input_gate", "a_gate"] for key, shape in [("w", (heads, d, d)), ("b", (heads, d))]}

        def gate(name, x):
            by_head = np.einsum("bhi,hij->bhj", x.reshape(B, heads, d), p[f"{name}.w"]) + p[f"{name}.b"]
            return sigmoid(by_head.reshape(B, H))

        def rg_lru(x, h):
            log_a = -8 * gate("a_gate", x) * np.log1p(np.exp(p["a_param"].astype(np.float64)))
            return (np.exp(log_a) * h + np.sqrt(1 - np.exp(2 * log_a)) * gate("input_gate", x) * x,)

        save(name, {f"blocks.0.rg_lru.{key}": value for key, value in p.items()})
        keep_scan(name, rg_lru, zeros(1), x)


def haste_layer_norm():
    x = draw(T, B, I)
    p = {"kernel": draw(I, 3 * H), "recurrent_kernel": draw(H, 3 * H), "gamma": draw(2, 3 * H)}
    p |= {"bias": draw(3 * H), "recurrent_bias": draw(3 * H)}

    def step(x, h):
        wx = np.split(norm(x @ p["kernel"]) * p["gamma"][0] + p["bias"], 3, axis=-1)
        uh = np.split(norm(h @ p["recurrent_kernel"]) * p["gamma"][1] + p["recurrent_bias"], 3, axis=-1)
        z, r = sigmoid(wx[0] + uh[0]), sigmoid(wx[1] + uh[1])
        return (z * h + (1 - z) * np.tanh(wx[2] + r * uh[2]),)

    save("haste-layer-norm-gru", p)
    keep("haste-layer-norm-gru", x, run(step, zeros(1), x))
    # In evaluation, zoneout is its expectation.
    zoned = lambda x, h: (0.25 * h + 0.75 * step(x, h)[0],)
    keep("haste-layer-norm-gru-zoneout", x, run(zoned, zeros(1), x))
    indrnn = {"kernel": draw(I, H), "recurrent_scale": draw(H), "bias": draw(H), "gamma": draw(2, H)}
    save("haste-layer-norm-indrnn", indrnn)


def dreamer():
    x = draw(B, T, I)
    kernel, scale, shift = draw(H + I, 3 * H), draw(3 * H), draw(3 * H)

    def step(x, h):
        a = norm(np.concatenate([h, x], -1) @ kernel, 1e-3) * scale + shift
        reset, candidate, update = np.split(a, 3, axis=-1)
        update = sigmoid(update - 1)
        return (update * np.tanh(sigmoid(reset) * candidate) + (1 - update) * h,)

    keep("dreamer", x, run(step, zeros(1), x.transpose(1, 0, 2)).transpose(1, 0, 2))
    # Another layer of the model has the same names.
    beside = {"kernel": draw(2, I), "norm/scale": draw(I), "norm/bias": draw(I)}
    rssm = {f"agent/wm/rssm/img_in/{key}": value for key, value in beside.items()}
    rssm |= {f"agent/wm/rssm/gru/{key}": value for key, value in [("kernel", kernel), ("norm/scale", scale), ("norm/bias", shift)]}
    save("dreamer", rssm)
    cell = "_wm.dynamics._cell.layers"
    x_first = np.concatenate([kernel[H:], kernel[:H]])
    save("dreamer-torch", {f"{cell}.GRU_linear.weight": x_first.T, f"{cell}.GRU_norm.weight": scale, f"{cell}.GRU_norm.bias": shift})
    cell = "rssm.recurrent_model.rnn"
    sheeprl = {f"{cell}.linear.weight": kernel.T, f"{cell}.layer_norm.weight": scale, f"{cell}.layer_norm.bias": shift}
    save("dreamer-sheeprl", sheeprl)
    save("dreamer-v2", {**sheeprl, f"{cell}.linear.bias": draw(3 * H)})
    save("dreamer-blocks", {"dyn/dyngru/kernel": draw(2, H, 6), "dyn/dyngru/bias": draw(3 * H)})


def tensorflow_addons():
    cell = "rnn/layer_norm_lstm_cell"
    lstm = {"kernel": draw(I, 4 * H), "recurrent_kernel": draw(H, 4 * H), "bias": draw(4 * H)}
    norms = {f"{part}_norm/{key}": draw(size) for part, size in [("kernel", 4 * H), ("recurrent", 4 * H), ("state", H)] for key in ["gamma", "beta"]}
    save("tensorflow-addons", {f"{cell}/{key}": value for key, value in {**lstm, **norms}.items()})


def flax_mgu():
    import flax.linen as nn
    import jax
    from flax.traverse_util import flatten_dict

    cell = nn.MGUCell(features=H)
    x = draw(B, I)
    parameters = cell.init(jax.random.key(0), cell.initialize_carry(jax.random.key(1), x.shape), x)["params"]
    save("flax-mgu", {f"MGUCell_0/{key}": np.asarray(value) for key, value in flatten_dict(parameters, sep="/").items()})


def min_lstm():
    x, w = draw(B, T, I), draw(3 * H, I)
    positive = lambda c: np.where(c >= 0, c + 0.5, sigmoid(c))

    def step(x, h):
        c, f, i = np.split(x @ w.T, 3, axis=-1)
        f, i = sigmoid(f), sigmoid(i)
        return (f / (f + i) * h + i / (f + i) * positive(c),)

    save("minlstm", {"layers.0.to_hidden_and_f_i_gate.weight": w})
    keep("minlstm", x, run(step, zeros(1), x.transpose(1, 0, 2)).transpose(1, 0, 2))


def rg_lru_of_transformers():
    """The layer of `rg-lru-heads` under the names of Hugging Face's `RecurrentGemmaRglru`."""
    with safe_open(HERE / "rg-lru-heads.safetensors", "numpy") as file:
        of = lambda name: file.get_tensor(f"blocks.0.rg_lru.{name}")
        p = {f"{theirs}_{part}": of(f"{gate}.{key}") for theirs, gate in [("recurrent_gate", "a_gate"), ("input_gate", "input_gate")] for part, key in [("weight", "w"), ("bias", "b")]}
        p["recurrent_param"] = of("a_param")
    save("rg-lru-transformers", {f"model.layers.0.temporal_block.rg_lru.{key}": value for key, value in p.items()})


def lem():
    x = draw(T, B, I)
    p = {f"{module}.{key}": draw(*shape) for module, rows, columns in [("inp2hid", 4 * H, I), ("hid2hid", 3 * H, H), ("transform_z", H, H)] for key, shape in [("weight", (rows, columns)), ("bias", (rows,))]}
    linear = lambda module, x: x @ p[f"{module}.weight"].T.astype(np.float64) + p[f"{module}.bias"]
    for name, dt in [("lem", 1.0), ("lem-slow", 0.25)]:

        def step(x, y, z):
            i_dt1, i_dt2, i_z, i_y = np.split(linear("inp2hid", x), 4, axis=-1)
            h_dt1, h_dt2, h_y = np.split(linear("hid2hid", y), 3, axis=-1)
            of_y, of_z = dt * sigmoid(i_dt1 + h_dt1), dt * sigmoid(i_dt2 + h_dt2)
            z = (1 - of_z) * z + of_z * np.tanh(i_y + h_y)
            return (1 - of_y) * y + of_y * np.tanh(linear("transform_z", z) + i_z), z

        keep(name, x, run(step, zeros(2), x))
    save("lem", {**{f"cell.{key}": value for key, value in p.items()}, "classifier.weight": draw(2, H), "classifier.bias": draw(2)})


cells = [haste, tensorflow, indrnn_pytorch, xlstm, onnx_runtime, flax_mgu, scanned, haste_layer_norm, dreamer, tensorflow_addons]
for write in cells + [min_lstm, rg_lru_of_transformers, lem]:
    write()
save_file(expected, HERE / "cells-expected.safetensors")
