"""Inference of the embeddable library beside onnxruntime and PyTorch: same weights, same machine, one run, in turns.

Run: python3 bench/rivals/compare_infer.py                      (resnet20, resnet8x4, MobileNetV2; 1 and 2 threads; batch 1)
     python3 bench/rivals/compare_infer.py --model resnet20 --threads 1 --batch 1 --batch 64 --rounds 5 --seconds 2
     python3 bench/rivals/compare_infer.py --torch-python /path/to/python --onnx-python /path/to/python --json table.json

Every program runs in a process of its own, so that peak memory is its own. In every round each runs for --seconds, in
turns and in a changing order; the table holds the median over rounds of each program's median call, lowest and highest
round. Weights are random ones, made by PyTorch from tests/data/reference_models.py, with batch norms folded by whoever
folds: retort and PyTorch's exporter; PyTorch itself runs the module in evaluation mode, channels_last. How busy the
machine was before the first round is measured and printed: beside other work the numbers mean little. Build first:
cmake --build build/release --target retort_cli retort_infer_time. A program that is missing is left out, and said so.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
from compare_pytorch import busy_share, cpu_name  # noqa: E402


# --- what the other programs run, as `this file --role ...` -------------------------------------------------------------


def timed(call, seconds):
    """Median seconds of a call."""
    for _ in range(5):
        call()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_kib():
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def torch_model(name):
    sys.path.insert(0, os.path.join(ROOT, "tests", "data"))
    import reference_models
    import torch

    torch.manual_seed(1)
    return reference_models.MODELS[name]().eval()


def role_weights(args):
    """Writes the PyTorch model's weights as safetensors, and the model for onnxruntime."""
    import torch

    model = torch_model(args.model)
    tensors = {n: t.contiguous().float() for n, t in model.state_dict().items() if "num_batches" not in n}
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(args.folder, args.model + ".safetensors"), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            out.write(tensor.numpy().tobytes())
    try:
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, 32, 32),),
            os.path.join(args.folder, args.model + ".onnx"),
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    except Exception as error:  # whichever package is missing: then onnxruntime is left out
        print(f"no ONNX file: {error}", file=sys.stderr)


def role_torch(args):
    import torch

    torch.set_num_threads(args.threads)
    model = torch_model(args.model).to(memory_format=torch.channels_last)
    x = torch.randn(args.batch, 3, 32, 32).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = timed(lambda: model(x), args.seconds)
    print(json.dumps({"images_per_s": args.batch / seconds, "peak_kib": peak_kib(), "version": torch.__version__}))


def role_onnx(args):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    path = os.path.join(args.folder, args.model + ".onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = numpy.random.default_rng(1).standard_normal((args.batch, 3, 32, 32), dtype=numpy.float32)
    seconds = timed(lambda: session.run(None, {session.get_inputs()[0].name: x}), args.seconds)
    print(json.dumps({"images_per_s": args.batch / seconds, "peak_kib": peak_kib(), "version": onnxruntime.__version__}))


# --- the comparison --------------------------------------------------------------------------------------------------------


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{' '.join(command)}\n{done.stderr.strip()[-500:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append")
    parser.add_argument("--threads", action="append", type=int)
    parser.add_argument("--batch", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--onnx-python", default=sys.executable)
    parser.add_argument("--json")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        args.model, args.threads, args.batch = args.model[0], (args.threads or [1])[0], (args.batch or [1])[0]
        return {"weights": role_weights, "torch": role_torch, "onnx": role_onnx}[args.role](args)

    models = args.model or ["resnet20", "resnet8x4", "MobileNetV2"]
    me = os.path.abspath(__file__)
    busy = busy_share()
    print(f"{cpu_name()}, {os.cpu_count()} processors; {0 if busy is None else 100 * busy:.0f} % busy before the start")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            run_python = [args.torch_python, me, "--role", "weights", "--folder", folder, "--model", model]
            subprocess.run(run_python, check=True, stdout=subprocess.DEVNULL)
            net = os.path.join(folder, model + ".retort")
            source = os.path.join(folder, model + ".safetensors")
            export = [os.path.join(args.build, "retort"), "export", source, "--model", model, "--to", "infer", "-o", net]
            subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
            for threads in args.threads or [1, 2]:
                for batch in args.batch or [1]:
                    rows.append(compare(args, me, folder, model, net, threads, batch))
    if args.json:
        with open(args.json, "w") as out:
            json.dump({"cpu": cpu_name(), "busy": busy, "rows": rows}, out, indent=1)


def compare(args, me, folder, model, net, threads, batch):
    common = ["--folder", folder, "--model", model, "--threads", str(threads), "--batch", str(batch)]
    common += ["--seconds", str(args.seconds)]
    timer = os.path.join(args.build, "bench", "retort_infer_time")
    commands = {
        "retort": [timer, net, str(threads), str(batch), str(args.seconds)],
        "onnxruntime": [args.onnx_python, me, "--role", "onnx"] + common,
        "pytorch": [args.torch_python, me, "--role", "torch"] + common,
    }
    found = {name: [] for name in commands}
    names = list(commands)
    for turn in range(args.rounds):
        for name in names[turn % 3 :] + names[: turn % 3]:
            result = run(commands[name])
            if result:
                found[name].append(result)
    row = {"model": model, "threads": threads, "batch": batch}
    line = f"{model}, {threads} threads, batch {batch}:"
    for name, results in found.items():
        if not results:
            line += f" {name} -"
            continue
        rates = [r["images_per_s"] for r in results]
        row[name] = {
            "images_per_s": statistics.median(rates),
            "lowest": min(rates),
            "highest": max(rates),
            "peak_mib": max(r["peak_kib"] for r in results) / 1024,
            **{k: v for k, v in results[0].items() if k in ("memory_bytes", "version", "instruction_set")},
        }
        line += f" {name} {row[name]['images_per_s']:.0f}/s ({min(rates):.0f}-{max(rates):.0f}, {row[name]['peak_mib']:.1f} MiB);"
    print(line, flush=True)
    return row


if __name__ == "__main__":
    main()
