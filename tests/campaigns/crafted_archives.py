"""Checkpoints as PyTorch's zip files, made by hand from a run's weights, with one thing in them that nobody writes."""

import io
import pickle
import random
import sys
import types
import warnings
import zipfile

from harness import safetensors_parts
from jobs import DATA, NETWORK

warnings.filterwarnings("ignore", "Duplicate name")
NUMBERS = [0, 1, 0x7fff, 0xfffe, 0xffff, 0x7fffffff, 0xfffffffe, 0xffffffff]
NAMES = ["../../outside", "/etc/passwd", "", "archive/data.pkl", "archive/data/0", "a" * 60_000, "\u202egnp.x", "a\0b",
         "archive\\data\\0", "archive//data/0", "archive/data/99999999999999999999"]
# Fields of zip's records (PKWARE's APPNOTE, 4.3): signature, then offset and size of what is changed.
FIELDS = {
    "local": (b"PK\3\4", [(4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)]),
    "central": (b"PK\1\2", [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4)]),
    "end": (b"PK\5\6", [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)]),
}


def torch_names():
    """What a pickled tensor refers to by name, so that pickle writes these names; nothing of PyTorch is here."""
    if "torch" in sys.modules:
        return sys.modules["torch"]
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        pass

    class FloatStorage:
        pass

    for name, owner, value in (("_rebuild_tensor_v2", utils, _rebuild_tensor_v2), ("FloatStorage", torch, FloatStorage)):
        value.__module__, value.__qualname__ = owner.__name__, name
        setattr(owner, name, value)
    torch._utils = utils
    sys.modules.update({"torch": torch, "torch._utils": utils})
    return torch


class Stored:
    def __init__(self, key, count):
        self.key, self.count = key, count


class Tensor:
    def __init__(self, stored, offset, shape, strides):
        self.call = (stored, offset, shape, strides, False, {})

    def __reduce__(self):
        return torch_names()._utils._rebuild_tensor_v2, self.call


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Stored):
            return ("storage", torch_names().FloatStorage, value.key, "cpu", value.count)
        return None


def tensors_of(safetensors):
    """(name, shape, bytes) of the f32 tensors of a file."""
    header, data = safetensors_parts(safetensors.read_bytes())
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32" and not name.startswith("optimizer"):
            begin, end = entry["data_offsets"]
            yield name, entry["shape"], data[begin:end]


def strides_of(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.insert(0, step)
        step *= extent
    return strides


def archive(tensors, chance=None):
    """(what was done to its pickle or entries, the zip file); without `chance` nothing was."""
    state, entries, what = {}, [], "nothing"
    victim = chance.randrange(len(tensors)) if chance else -1
    for number, (name, shape, data) in enumerate(tensors):
        stored, offset, strides = Stored(str(number), len(data) // 4), 0, strides_of(shape)
        shape = list(shape)
        if number == victim:
            number_now = chance.choice([-1, 0, 1, 2 ** 31, 2 ** 32, 2 ** 62, 2 ** 63 - 1, 2 ** 64, -2 ** 63])
            part = chance.choice(["offset", "shape", "stride", "count", "key", "rank", "data", "name"])
            what = f"{name}: {part} {number_now}"
            if part == "offset":
                offset = number_now
            elif part == "shape" and shape:
                shape[chance.randrange(len(shape))] = number_now
            elif part == "stride" and strides:
                strides[chance.randrange(len(strides))] = number_now
            elif part == "count":
                stored.count = number_now
            elif part == "key":
                stored.key = chance.choice(NAMES)
            elif part == "rank":
                shape, strides = shape + [1] * 50, strides + [1] * 50
            elif part == "data":
                data = data[:chance.randrange(len(data) + 1)]
            else:
                name = chance.choice(NAMES)
        state[name] = Tensor(stored, offset, tuple(shape), tuple(strides))
        entries.append((f"archive/data/{number}", data))
    pickled = io.BytesIO()
    Pickler(pickled, protocol=2).dump(state)
    entries = [("archive/data.pkl", pickled.getvalue()), *entries, ("archive/version", b"3\n")]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in entries:
            file.writestr(name, data)
    return what, out.getvalue()


def hurt(tensors, chance):
    """(what was done, the file)"""
    kind = chance.choice(["tensor", "field", "field", "name", "compressed", "twice", "bytes"])
    if kind == "tensor":
        return archive(tensors, chance)
    data = bytearray(archive(tensors)[1])
    if kind == "field":
        record = chance.choice(sorted(FIELDS))
        signature, fields = FIELDS[record]
        found = [at for at in range(len(data)) if data[at:at + 4] == signature]
        at, (offset, size) = chance.choice(found), chance.choice(fields)
        number = chance.choice(NUMBERS)
        data[at + offset:at + offset + size] = (number & (256 ** size - 1)).to_bytes(size, "little")
        return f"{record} record, {size} bytes at {offset}: {number}", bytes(data)
    if kind == "bytes":
        at = chance.randrange(len(data))
        data[at:at + chance.randrange(64)] = bytes(chance.randrange(256) for _ in range(chance.randrange(64)))
        return f"bytes from {at}", bytes(data)
    out, source = io.BytesIO(), zipfile.ZipFile(io.BytesIO(bytes(data)))
    odd = chance.choice(NAMES)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED) as file:
        victim = chance.choice(source.namelist())
        for name in source.namelist():
            shown = odd if kind == "name" and name == victim else name
            file.writestr(shown or "x", source.read(name))
            file.filelist[-1].filename = shown or ""  # which writestr() takes for nothing
            if kind == "twice" and name == victim:
                file.writestr(name + " ", b"x" * 100)
                file.filelist[-1].filename = name
    return f"{kind} {victim} {odd[:40]}", out.getvalue()


READERS = {
    "import": ["import", "FILE", "--model", "resnet8", "--out", "OUT"],
    "info": ["info", "FILE", "--model", "resnet8", "--json"],
    "check": ["check", "FILE", "--json"],
    "eval": ["eval", "--weights", "FILE", "--model", "resnet8", "--data", DATA, "--threads", "1", "--json"],
    "init": ["train", "--model", "resnet8", "--init", "FILE", "--epochs", "1", *NETWORK, "--out", "RUN"],
}


def trial(space, weights, seed, number):
    chance = random.Random(f"archive {seed} {number}")
    tensors = space.once("tensors of the archive", lambda: list(tensors_of(weights())))
    folder = space.new_folder()
    what, data = hurt(tensors, chance) if chance.random() < .98 else archive(tensors)
    path, target = folder / "net.pth", folder / "net.safetensors"
    path.write_bytes(data)
    reader = chance.choice(sorted(READERS))
    arguments = [part.replace("FILE", str(path)).replace("OUT", str(target)).replace("RUN", str(folder / "run"))
                 for part in READERS[reader]]
    result = space.run(arguments, folder / "cache")
    wrong = result.complaints()
    if what == "nothing" and result.code != 0:
        wrong = wrong or [f"exit {result.code} of a sound archive: {result.reason()}"]
    if result.code != 0 and target.exists():
        wrong.append("a file was written though it failed")
    outside = [str(path) for path in folder.iterdir() if path.name not in ("net.pth", "net.safetensors", "cache", "run")]
    if outside or (folder.parent / "outside").exists():
        wrong.append(f"wrote elsewhere: {outside}")
    return [f"archive, {what[:120]}, {reader}: {one}" for one in wrong], 1
