"""Writes the seeds of the corpus: one small file for each thing that a reader has to refuse, and sound ones.

    python make_corpus.py          needs nothing but Python
"""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent / "corpus"


def put(folder, name, data):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    (HERE / folder / name).write_bytes(data)


def archive(entries, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in entries:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = compression
            file.writestr(info, data)
    return out.getvalue()


def text(string):
    data = string.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def tensor(key, elements, shape, stride, offset=0):
    ints = lambda values: b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += b"J" + struct.pack("<i", elements) + b"tQ"
    end = b"\x89ccollections\nOrderedDict\n)RtR"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"J" + struct.pack("<i", offset) + ints(shape) + ints(stride) + end


def state(*items):
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in items) + b"u."


def pytorch():
    numbers = b"\0" * 96
    whole = [("a/data.pkl", state(("weight_ih_l0", tensor("0", 24, (12, 2), (2, 1))))), ("a/byteorder", b"little")]
    data = [("a/data/0", numbers)]
    put("pytorch", "sound", archive(whole + data))
    put("pytorch", "climbs", archive(whole + data + [("../../escape", b"x")]))
    put("pytorch", "compressed", archive(whole + data, zipfile.ZIP_DEFLATED))
    put("pytorch", "twice", archive(whole + data + [("b/data.pkl", b"\x80\x02}.")]))
    put("pytorch", "missing", archive(whole))
    bomb = archive([("a/data.pkl", b"\x80\x02}."), ("a/data/0", b"\0" * 1_000_000)], zipfile.ZIP_DEFLATED)
    put("pytorch", "bomb", bomb)
    views = {
        "repeats": tensor("0", 24, (2**30, 2**30), (0, 0)),
        "outside": tensor("0", 24, (12, 2), (2, 1), offset=1),
        "negative": tensor("0", 24, (-12, 2), (2, 1)),
        "claims": tensor("0", 2**31 - 1, (2**31 - 1,), (1,)),
        "widest-step": tensor("0", 24, (1, 24), (2**31 - 1, 1)),
        "many-dimensions": tensor("0", 24, (1,) * 60 + (24,), (1,) * 61),
    }
    for name, view in views.items():
        put("pytorch", name, archive([("a/data.pkl", state(("w", view)))] + data))
    pickles = {
        "calls": b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R.",
        "deep": b"\x80\x02" + b"]" * 500 + b"a" * 499 + b".",
        "memo": b"\x80\x02]q\x00" + b"(" + b"h\x00" * 9 + b"t" * 1 + b"q\x01(" + b"h\x01" * 9 + b"t.",
        "cycle": b"\x80\x02}q\x00" + text("a") + b"h\x00s.",
        "duplicate": b"\x80\x02}" + text("a") + b"K\x01s" + text("a") + b"K\x02s.",
        "claims-text": b"\x80\x02X\xff\xff\xff\xff.",
        "protocol-4": pickle.dumps({"a": [1, 2.0, "b", None, True, 2**70]}, protocol=4),
        "build": b"\x80\x02}}b.",
        "memos": b"\x80\x04N" + b"\x94" * 500 + b".",
        "far-memo": b"\x80\x02Nr\xff\xff\xff\xff.",
        "python-2": b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x01eeU\x01\xff0\x85R.",
        "one-list-for-many": b"\x80\x02ccollections\nOrderedDict\nq\x00](" + b"U\x01aN\x86" * 9 + b"eq\x01" + b"0h\x00h\x01\x85R" * 9 + b".",
        "passed-over": b"\x80\x04}(U\x01ac__builtin__\nset\n]\x85RU\x01b\x8f(K\x01\x90U\x01c(\x91U\x01dcargparse\nNamespace\n)\x81}bu.",
    }
    for name, program in pickles.items():
        put("pytorch", f"pickle-{name}", archive([("a/data.pkl", program)]))
    script = b"\x80\x02c__torch__\nNet\nq\x00)\x81}(" + text("w") + tensor("0", 24, (24,), (1,)) + text("a") + b"h\x00)\x81}"
    script += text("w") + tensor("0", 24, (24,), (1,)) + b"sbub."
    put("pytorch", "script", archive([("a/data.pkl", script), ("a/constants.pkl", b"\x80\x02).")] + data))
    cycle = b"\x80\x02c__torch__\nNet\n)\x81q\x00}" + text("a") + b"h\x00sb."
    put("pytorch", "script-cycle", archive([("a/data.pkl", cycle), ("a/constants.pkl", b"\x80\x02).")] + data))
    shape, odd = (12, 2), tensor("0", 24, (12, 2), (2, 1)).replace(b"FloatStorage", b"ComplexFloatStorage")
    put("pytorch", "complex", archive([("a/data.pkl", state(("c", odd), ("w", tensor("0", 24, shape, (2, 1)))))] + data))
    norm = [("weight_hh_l0_g", tensor("0", 24, (12, 1), (1, 1))), ("weight_hh_l0_v", tensor("0", 24, shape, (2, 1)))]
    put("pytorch", "weight-norm", archive([("a/data.pkl", state(*norm))] + data))
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    stream = magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + state(("w", tensor("0", 24, (12, 2), (2, 1))))
    keys = b"\x80\x02]" + text("0") + b"a."
    put("pytorch", "stream", stream + keys + struct.pack("<q", 24) + b"\0" * 96)
    put("pytorch", "stream-claims", stream + keys + struct.pack("<q", 2**62) + b"\0" * 96)
    put("pytorch", "stream-twice", stream + b"\x80\x02](" + text("0") * 2 + b"e." + (struct.pack("<q", 24) + b"\0" * 96) * 2)


def safetensors():
    def file(header, data):
        header = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(header)) + header + b"\0" * data

    entry = lambda shape, start, end, dtype="F32": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    put("safetensors", "sound", file({"__metadata__": {"format": "pt"}, "a": entry([2], 0, 8)}, 8))
    put("safetensors", "overlap", file({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12))
    put("safetensors", "two-lines", file({"a": entry([2], 0, 8), "b\nc": entry([2], 12, 20)}, 20))
    put("safetensors", "outside", file({"a": entry([2], 2**40, 2**40 + 8)}, 8))
    put("safetensors", "overflow", file({"a": entry([2**32, 2**32, 2], 0, 8)}, 8))
    one = json.dumps(entry([2], 0, 8))
    put("safetensors", "duplicate", file(f'{{"a":{one},"a":{one}}}'.encode(), 8))
    put("safetensors", "nested", file(b'{"a":' * 300, 0))
    put("safetensors", "huge-header", struct.pack("<Q", 2**63) + b"{}")
    put("safetensors", "our-metadata", file({"__metadata__": {"bptt": '{"":{"clip":0.5}}'}, "a": entry([2], 0, 8)}, 8))
    lstm = {"weight_ih_l0": entry([4, 1], 0, 16), "weight_hh_l0": entry([4, 1], 16, 32), "weight_ih_l99999999999": entry([4, 1], 32, 48)}
    put("safetensors", "many-layers", file(lstm, 48))
    keras = {"lstm/lstm_cell/kernel": entry([1, 4], 0, 16), "lstm/lstm_cell/recurrent_kernel": entry([1, 4], 16, 32), "lstm/lstm_cell/bias": entry([4], 32, 48)}
    put("safetensors", "keras", file(keras, 48))
    cudnn = {"lstm/kernel": entry([1, 4], 0, 16), "lstm/recurrent_kernel": entry([1, 4], 16, 32), "lstm/bias": entry([8], 32, 64)}
    put("safetensors", "cudnn", file(cudnn, 64))
    put("safetensors", "complex", file({"a": entry([2], 0, 16, "C64"), "b": entry([2], 16, 24)}, 24))
    gates = {f"cell/{side}{gate}/kernel": 4 for side in "ih" for gate in "rzn"}
    flax = {name: entry([1, 1], 4 * k, 4 * k + 4) for k, name in enumerate(gates)}
    put("safetensors", "flax", file(flax, 24))


def cbor(value):
    """As much of CBOR as a burnpack file needs; a map is a tuple of pairs."""

    def head(kind, n):
        for size, code, form in ((24, None, None), (2**8, 24, ">B"), (2**16, 25, ">H"), (2**32, 26, ">I"), (2**64, 27, ">Q")):
            if n < size:
                return bytes([kind << 5 | n]) if code is None else bytes([kind << 5 | code]) + struct.pack(form, n)

    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value)


def burnpack():
    def file(tensors, data, size=None):
        about = cbor((("tensors", tuple(tensors)),))
        head = b"NRUB" + struct.pack("<HI", 1, len(about) if size is None else size) + about
        return head + b"\0" * (-len(head) % 256 + data)

    entry = lambda shape, start, end: (("dtype", "F32"), ("shape", shape), ("data_offsets", [start, end]))
    put("burnpack", "sound", file([("a", entry([2], 0, 8))], 8))
    put("burnpack", "overlap", file([("a", entry([2], 0, 8)), ("b", entry([2], 4, 12))], 12))
    put("burnpack", "outside", file([("a", entry([2], 2**40, 2**40 + 8))], 8))
    put("burnpack", "overflow", file([("a", entry([2**63, 2], 0, 8))], 8))
    put("burnpack", "backward", file([("a", entry([2], 8, 0))], 8))
    put("burnpack", "duplicate", file([("a", entry([2], 0, 8)), ("a", entry([2], 0, 8))], 8))
    put("burnpack", "huge-header", file([("a", entry([2], 0, 8))], 8, size=2**32 - 1))
    # A list that claims to have 2**62 entries.
    put("burnpack", "huge-list", file([("a", (("dtype", "F32"), ("shape", []), ("data_offsets", [0, 8])))], 8).replace(b"shape\x80", b"shape\x9b\x40" + b"\0" * 7))


if __name__ == "__main__":
    pytorch()
    safetensors()
    burnpack()
