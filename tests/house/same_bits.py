#!/usr/bin/env python3
"""Two builds of the program side by side: the same bits, files, keys and exit codes?

  same_bits.py OLD NEW OUT [--devices portable,onednn] [--only runs,networks,losses] [--cifar100 DIR] [--jobs N]

Both train with each family of methods, train each network for a step and export it to every format, print the losses
of each method of logits, and are asked for what must fail. Weights, momenta and files are compared byte for byte, texts
line by line, times and versions left out. What was changed on purpose is named in ON_PURPOSE, with the reason; any
other difference ends with exit code 1. OLD decides what there is to compare: methods and networks of d6905d9.
"""

import argparse
import concurrent.futures
import csv
import json
import random
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

# A difference that matches the expression is what the words behind it say, and no fault.
ON_PURPOSE = [
    (r"safetensors: metadata \+(run_format|settings_hash|data_hash|teacher_hash|weights_hash|metrics)$",
     "format 2: a checkpoint is bound to settings, images and teacher"),
    (r"safetensors: metadata counters: \+", "counters name every metric"),
    (r"(safetensors|onnx): metadata \+(size|test_resize|class_names|mean|std)$", "weights know their input"),
    (r"config\.toml: ", "format 2: sealed, settings that came since, where paths were typed"),
    (r"summary\.json: \+", "schema 1, named metrics, hashes"),
    (r"events: \+(lr|loss/\S+|settings) of ", "TensorBoard: learning rate, loss terms, the settings as text"),
    (r"c int8: exit code 0 -> 2: .*a C file is written of up to", "C files end at 20 million parameters"),
    (r"^exit code 2 -> 7: .*built without CUDA", "a device that is not there is 7, whatever the reason"),
    (r"curves\.svg: ", "colours of the report's palette, cross-entropy beside the test's loss"),
    (r"only in NEW: seal", "format 2"),
    (r"\.c: \+", "C files know the resize and the names of the classes"),
    (r"\.retort: (resize|crc)", "weights know their input"),
    (r"stdout: \+", "schema 1 and named metrics"),
]

# Each family: methods of the labels alone, of logits (row kernels, correlations, corrected teachers, a learned
# temperature, two views), of features, and what a run may do besides.
RUNS = {
    "ce": [], "kd": [], "dkd": [], "dist": [], "nkd": [], "rld": [], "mlkd": [], "ctkd": [], "pcd": [],
    "pcd-released": [], "pcd-progressive": [], "fitnet": [], "at": [], "rkd": [], "crd": [], "reviewkd": [],
    "kd standardized": ["--set", "method.standardize=true"],
    "mlkd two views": ["--set", "method.views=2"],
    "pcd stored teacher": ["--teacher-source", "table"],
    "kd validation": ["--val", "64", "--set", "data.views=4"],
}
STUDY = """title = "both"
seeds = 2
[settings]
epochs = 1
batch = 32
data.spec = "synthetic:train=96,test=48"
[teacher]
model = "resnet8"
[student]
model = "resnet8"
[[methods]]
name = "ce"
[[methods]]
name = "pcd"
"""
LOGIT_METHODS = ["kd", "dkd", "dist", "nkd", "rld", "mlkd", "pcd", "pcd-released", "pcd-progressive"]
NETWORKS = ["resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet20a",
            "resnet32a", "resnet44a", "resnet56a", "resnet110a", "resnet8x4", "resnet32x4", "wrn_16_1", "wrn_16_2",
            "wrn_40_1", "wrn_40_2", "vgg8", "vgg11", "vgg13", "vgg16", "vgg19", "MobileNetV2", "ShuffleV1",
            "ShuffleV2", "ResNet18", "ResNet50"]
EXPORTS = {"onnx": ("onnx", []), "safetensors": ("safetensors", []), "infer": ("retort", []),
           "infer f16": ("retort", ["--quantize", "f16"]), "infer int8": ("retort", ["--quantize", "int8"]),
           "c int8": ("c", ["--quantize", "int8"])}
# (arguments, exit code) of what must be refused as it was.
FEW = ["--model", "resnet8", "--data", "synthetic:train=64,test=16", "--epochs", "3"]
REFUSED = [(["frobnicate"], 2), (["train", "--model", "resnet9"], 2), (["train", "--epohcs", "3"], 2),
           (["train", *FEW, "--set", "optimizer.lr=fast"], 2),
           (["eval", "--weights", "absent", "--data", "synthetic:train=1,test=1"], 3),
           (["train", *FEW, "--out", "/proc/x"], 4), (["train", *FEW, "--lr", "1e30"], 5),
           (["train", *FEW, "--device", "cuda"], 7)]


# Keys of what differs between two runs of one program: times, where the run lies, hashes of files with times.
TIMES = {"seconds", "epoch_seconds", "run", "xxh3", "xxh3_header"}


def safetensors(data):
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    data = data[8 + length:]
    return metadata, {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in header.items()}


def differences_of_maps(old, new, what=""):
    """-name, +name, and what differs in both."""
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"{what}-{name}"
        elif name not in old:
            yield f"{what}+{name}"
        elif old[name] != new[name]:
            if isinstance(old[name], dict) and isinstance(new[name], dict):
                yield from differences_of_maps(old[name], new[name], f"{what}{name}: ")
            else:
                yield f"{what}{name}: {str(old[name])[:80]} -> {str(new[name])[:80]}"


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def safetensors_differences(old, new):
    (old_metadata, old_tensors), (new_metadata, new_tensors) = safetensors(old), safetensors(new)
    for difference in differences_of_maps(old_tensors, new_tensors, "tensor "):
        yield difference.split(": ")[0] + (": other bytes" if ": " in difference else "")
    for metadata in (old_metadata, new_metadata):
        if "counters" in metadata:
            metadata["counters"] = without_times(json.loads(metadata["counters"]))
        if "metrics" in metadata:
            metadata["metrics"] = rows_of_csv(metadata["metrics"])
    yield from differences_of_maps(without_times(old_metadata), without_times(new_metadata), "metadata ")


def fields(data):
    """Of a protocol buffer, those of its outermost message: (number, value)."""
    at, found = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        size = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 0:
            found.append((key >> 3, varint()))
            continue
        size = varint() if size is None else size
        found.append((key >> 3, data[at:at + size]))
        at += size
    return found


def onnx_differences(old, new):
    def read(data):
        rest, metadata = [], {}
        for number, value in fields(data):
            if number == 14:
                entry = dict(fields(value))
                metadata[entry[1].decode()] = entry[2]
            elif number != 3:  # the producer's version
                rest.append((number, value))
        return metadata, rest

    (old_metadata, old_rest), (new_metadata, new_rest) = read(old), read(new)
    if old_rest != new_rest:
        yield "the graph or its weights"
    yield from differences_of_maps(old_metadata, new_metadata, "metadata ")


def infer_differences(old, new):
    """Header: see engine/infer/format.h."""
    crc, resize, header = slice(12, 16), slice(104, 108), 128
    if old[resize] != new[resize]:
        yield f"resize {struct.unpack('<I', old[resize])[0]} -> {struct.unpack('<I', new[resize])[0]}"
    elif old[crc] != new[crc]:
        yield "crc, and nothing that explains it"
    mask = [i for part in (crc, resize) for i in range(part.start, part.stop)]
    old_header, new_header = bytearray(old[:header]), bytearray(new[:header])
    for i in mask:
        old_header[i] = new_header[i] = 0
    if old_header != new_header:
        yield "header"
    if old[header:] != new[header:]:
        yield "graph or weights"


def line_differences(old, new):
    old, new = old.decode().splitlines(), new.decode().splitlines()
    in_old, in_new = set(old), set(new)
    for line in old:
        if line not in in_new:
            yield "-" + line[:100]
    for line in new:
        if line not in in_old:
            yield "+" + line[:100]
    if [line for line in old if line in in_new] != [line for line in new if line in in_old]:
        yield "the lines stand in another order"


def rows_of_csv(text):
    return [without_times(row) for row in csv.DictReader(text.splitlines())]


def csv_differences(old, new):
    old, new = rows_of_csv(old.decode()), rows_of_csv(new.decode())
    for number, (before, after) in enumerate(zip(old, new), 1):
        yield from differences_of_maps(before, after, f"row {number}: ")
    if len(old) != len(new):
        yield "number of rows"


def json_differences(old, new):
    yield from differences_of_maps(without_times(json.loads(old)), without_times(json.loads(new)))


def event_differences(old, new):
    """TensorBoard's records: scalars by step and tag (tensorflow/core/framework/{event,summary}.proto)."""
    def scalars(data):
        at, found = 0, {}
        while at < len(data):
            size = struct.unpack("<Q", data[at:at + 8])[0]
            event = dict(fields(data[at + 12:at + 12 + size]))
            at += size + 16
            for _, value in fields(event.get(5, b"")):
                value = dict(fields(value))
                tag = value[1].decode()
                if tag != "images_per_second":
                    found[f"{tag} of {event.get(2, 0)}"] = value.get(2)
        return found
    yield from differences_of_maps(scalars(old), scalars(new))


COMPARED = {".safetensors": safetensors_differences, ".onnx": onnx_differences, ".retort": infer_differences,
            ".csv": csv_differences, ".json": json_differences, ".toml": line_differences, ".svg": line_differences,
            ".c": line_differences, ".txt": line_differences}
# Times, versions and the machine; the wording of a log is no promise.
LEFT_OUT = {"env.json", "log.txt", "lock", ".lock"}


def file_differences(name, old, new):
    if old == new:
        return
    kind = "events" if "tfevents" in name else name
    compare = event_differences if kind == "events" else COMPARED.get(Path(name).suffix)
    if compare is None:
        yield f"{name}: other bytes"
        return
    for difference in compare(old, new):
        yield f"{kind}: {difference}"


def folder_differences(old, new):
    def files(folder):
        found = {}
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            name = "tb/tfevents" if "tfevents" in name else name
            if path.is_file() and path.name not in LEFT_OUT:
                found[name] = path
        return found
    before, after = files(old), files(new)
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"only in OLD: {name}"
        elif name not in before:
            yield f"only in NEW: {name}"
        else:
            yield from file_differences(name, before[name].read_bytes(), after[name].read_bytes())


class Sides:
    """The two programs, each in a folder of its own below `out`, called with the same arguments."""

    def __init__(self, old, new, out):
        self.programs = {"old": Path(old).resolve(), "new": Path(new).resolve()}
        self.out = Path(out).resolve()
        self.out.mkdir(parents=True)
        self.rows, self.reasons = [], {}
        for side in self.programs:
            (self.out / side).mkdir()

    def call(self, side, arguments):
        folder = self.out / side
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "RETORT_CACHE": str(folder / "cache"),
                       "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
        result = subprocess.run([self.programs[side], *arguments], cwd=folder, env=environment,
                                stdin=subprocess.DEVNULL, capture_output=True)
        return result.returncode, result.stdout, result.stderr.decode(errors="replace").strip()

    def both(self, arguments, expected=0):
        """Differences of exit codes and of what JSON goes to stdout."""
        (old_code, old_out, old_err), (new_code, new_out, new_err) = (self.call(s, arguments) for s in ("old", "new"))
        if old_code != new_code:
            error = new_err if new_code else old_err
            yield f"exit code {old_code} -> {new_code}: {error.splitlines()[-1] if error else ''}"
        elif old_code != expected:
            yield f"exit code {old_code}, expected {expected}: {new_err.splitlines()[-1] if new_err else ''}"
        elif "--json" in arguments and old_out.strip():
            for difference in json_differences(old_out, new_out):
                yield "stdout: " + difference

    def row(self, name, count, differences):
        faults, purposes = [], {}
        for difference in differences:
            for expression, reason in ON_PURPOSE:
                if re.search(expression, difference):
                    purposes[reason] = purposes.get(reason, 0) + 1
                    break
            else:
                faults.append(difference)
        for reason, number in purposes.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + number
        self.rows.append(not faults)
        print(f"{'same  ' if not faults else 'OTHER '} {name}: {count}", flush=True)
        for fault in faults[:12]:
            print(f"         {fault}")
        if len(faults) > 12:
            print(f"         and {len(faults) - 12} more")


def tensors_in(folder):
    """"186 tensors, 2.3 MB in 5 files" of a folder's weights and files."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in LEFT_OUT]
    weights = [safetensors(path.read_bytes())[1] for path in files if path.suffix == ".safetensors"]
    count = sum(len(tensors) for tensors in weights)
    return f"{count} tensors of {len(weights)} checkpoints, {len(files)} files"


def compare_runs(sides, device, cifar100):
    # An odd number of images: the last batch is a small one.
    data = ["--data", "synthetic:train=200,test=64", "--batch", "32", "--epochs", "2", "--device", device]
    teacher = f"{device}/teacher"

    def run(name, arguments):
        folder = f"{device}/{name.replace(' ', '-')}"
        differences = list(sides.both([*arguments, *data, "--json", "--out", folder]))
        old, new = sides.out / "old" / folder, sides.out / "new" / folder
        differences += folder_differences(old, new)
        sides.row(f"{device} {name}", tensors_in(new) if new.exists() else "no run", differences)

    run("teacher", ["train", "--model", "resnet14"])
    for name, extra in RUNS.items():
        if name == "ce":
            run(name, ["train", "--model", "resnet8"])
            continue
        run(name, ["distill", "--teacher", teacher, "--student", "resnet8", "--method", name.split()[0], *extra])
    if cifar100:
        drawn, data = data, ["--data", f"cifar100:{cifar100}", "--limit", "200", "--epochs", "1", "--device", device]
        run("cifar100 ce", ["train", "--model", "resnet20"])
        run("cifar100 pcd", ["distill", "--teacher", f"{device}/cifar100-ce", "--student", "resnet8x4"])
        data = drawn
    study = f"{device}/study"
    for side in ("old", "new"):
        (sides.out / side / f"{device}.toml").write_text(STUDY)
    differences = list(sides.both(["compare", f"{device}.toml", "--out", study, "--set", f"device={device}"]))
    old, new = sides.out / "old" / study, sides.out / "new" / study
    weights = sorted(str(path.relative_to(old)) for path in old.rglob("*.safetensors"))
    for name in weights:
        if (new / name).exists():
            differences += file_differences(name, (old / name).read_bytes(), (new / name).read_bytes())
        else:
            differences.append(f"only in OLD: {name}")
    sides.row(f"{device} compare, 2 seeds", f"{len(weights)} checkpoints", differences)

    images = [random.Random(2).gauss(0, 1) for _ in range(5 * 32 * 32 * 3)]
    for side in ("old", "new"):
        write_npy(sides.out / side / "images.npy", "f4", (5, 32, 32, 3), images)
    differences = list(sides.both(["predict", "--weights", teacher, "images.npy", "--logits", "logits.npy", "--device",
                                   device, "--json"]))
    if len({(sides.out / side / "logits.npy").read_bytes() for side in ("old", "new")}) > 1:
        differences.append("logits: other bytes")
    sides.row(f"{device} predict", "logits of 5 images", differences)
    sides.row(f"{device} eval", "top-1, top-5, loss",
              sides.both(["eval", "--weights", teacher, *data[:2], "--device", device, "--json"]))


def compare_network(sides, network):
    """A step of training by both, and the exports of what OLD trained by both."""
    folder = f"networks/{network}"
    weights = f"{folder}/run/checkpoints/last.safetensors"
    differences = list(sides.both(["train", "--model", network, "--data", "synthetic:train=16,test=16", "--batch", "16",
                                   "--epochs", "1", "--device", "portable", "--out", folder + "/run"]))
    differences += folder_differences(sides.out / "old" / folder / "run", sides.out / "new" / folder / "run")
    differences += sides.both(["info", network, "--json"])
    count = tensors_in(sides.out / "new" / folder / "run")
    shutil.copy(sides.out / "old" / weights, sides.out / "new" / weights)
    for name, (suffix, extra) in EXPORTS.items():
        target = f"{folder}/net.{suffix}"
        call = ["export", weights, "--to", name.split()[0], *extra, "-o", target]
        differences += [f"{name}: {difference}" for difference in sides.both(call)]
        old, new = (sides.out / side / target for side in ("old", "new"))
        if old.exists() and new.exists():
            differences += file_differences(f"net.{suffix}", old.read_bytes(), new.read_bytes())
        for file in (old, new):
            file.unlink(missing_ok=True)
    for side in ("old", "new"):
        shutil.rmtree(sides.out / side / folder)
    return f"{network}", f"a step ({count}), {len(EXPORTS)} exports", differences


def write_npy(path, kind, shape, values):
    header = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    code = {"f8": "d", "f4": "f", "i8": "q"}[kind]
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                     struct.pack(f"<{len(values)}{code}", *values))


def compare_losses(sides):
    draw = random.Random(1)
    samples, classes = 37, 100
    for side in ("old", "new"):
        draw.seed(1)
        for kind in ("f4", "f8"):
            for who in ("student", "teacher"):
                write_npy(sides.out / side / f"{who}.{kind}.npy", kind, (samples, classes),
                          [draw.gauss(0, 3) for _ in range(samples * classes)])
        write_npy(sides.out / side / "labels.npy", "i8", (samples,), [draw.randrange(classes) for _ in range(samples)])
    for method in LOGIT_METHODS:
        differences = []
        for kind in ("f4", "f8"):
            differences += sides.both(["loss", "--method", method, "--student", f"student.{kind}.npy", "--teacher",
                                       f"teacher.{kind}.npy", "--labels", "labels.npy", "--grad", "grad.npy", "--json"])
            if len({(sides.out / side / "grad.npy").read_bytes() for side in ("old", "new")}) > 1:
                differences.append(f"gradient in {kind}: other bytes")
        sides.row(f"loss {method}", "terms and gradients in f32 and f64", differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("out")
    parser.add_argument("--devices", default="portable,onednn")
    parser.add_argument("--only", default="losses,refused,runs,networks")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--cifar100", help="folder of CIFAR-100's binaries: two more runs")
    parser.add_argument("--jobs", type=int, default=1, help="networks at once")
    options = parser.parse_args()
    sides = Sides(options.old, options.new, options.out)
    parts = options.only.split(",")
    if "losses" in parts:
        compare_losses(sides)
    if "refused" in parts:
        for arguments, code in REFUSED:
            sides.row("refused: " + " ".join(arguments), f"exit code {code}", sides.both(arguments, code))
    if "runs" in parts:
        for device in options.devices.split(","):
            compare_runs(sides, device, options.cifar100)
    if "networks" in parts:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for result in pool.map(lambda network: compare_network(sides, network), options.networks.split(",")):
                sides.row(*result)
    print("\nchanged on purpose, with the number of differences:")
    for reason, number in sorted(sides.reasons.items()):
        print(f"  {number:5} {reason}")
    print(f"{sum(sides.rows)} of {len(sides.rows)} the same")
    return 0 if all(sides.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
