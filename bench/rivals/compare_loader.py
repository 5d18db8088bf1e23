"""Training batches of photos beside PyTorch's ImageNet example: same files, one core each, f32 out, in turns.

Run: python3 bench/rivals/compare_loader.py --folder DIR      (ten JPEGs of 500 x 375 or so: they are copied and repeated)
     python3 bench/rivals/compare_loader.py --folder DIR --rounds 5 --seconds 3 --torch-python /path/to/python --json table.json

PyTorch runs ImageFolder, RandomResizedCrop(224), RandomHorizontalFlip, ToTensor, Normalize on Pillow, as its ImageNet example
does, and the same on tensors (decode_jpeg, v2 transforms with antialias). Every program runs in a process of its own with one
thread; files are in the page cache. The table holds the median over rounds of CPU milliseconds an image, lowest and highest
round, and the ratio to PyTorch's first pipeline. How busy the machine was is measured first and printed. Build first:
cmake --build build/release --target retort_photo_loader. With --folder unset, ten pictures are drawn and saved as JPEGs of quality 90.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)


# --- what PyTorch runs, as `this file --role ...` -------------------------------------------------------------------------


def run_torch(role, folder, seconds):
    import resource

    import torch
    import torchvision
    from torchvision import transforms

    torch.set_num_threads(1)
    numbers = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    if role == "pillow":
        seen = transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
                                   transforms.Normalize(**numbers)])
        images = torchvision.datasets.ImageFolder(os.path.join(folder, "train"), seen)
    else:
        from torchvision.io import ImageReadMode, decode_jpeg, read_file
        from torchvision.transforms import v2

        seen = v2.Compose([v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip(),
                           v2.ToDtype(torch.float32, scale=True), v2.Normalize(**numbers)])
        images = torchvision.datasets.ImageFolder(os.path.join(folder, "train"), seen,
                                                  loader=lambda path: decode_jpeg(read_file(path), ImageReadMode.RGB))
    loader = torch.utils.data.DataLoader(images, batch_size=32, shuffle=True)

    def measure(limit):
        start, cpu, count = time.perf_counter(), time.process_time(), 0
        while True:
            for batch, _ in loader:
                count += len(batch)
                if time.perf_counter() - start > limit:
                    return count, 1000 * (time.process_time() - cpu) / count

    measure(seconds / 5)
    count, cpu_ms = measure(seconds)
    print(json.dumps({"images": count, "cpu_ms": cpu_ms, "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


# --- the comparison ----------------------------------------------------------------------------------------------------------


def drawn_photos(folder, python):
    code = ("import sys, numpy as np\nfrom PIL import Image\nr = np.random.default_rng(1)\n"
            "for i in range(10):\n"
            "    low = Image.fromarray(r.integers(0, 256, (25, 33, 3), dtype=np.uint8)).resize((500, 375), Image.Resampling.BICUBIC)\n"
            "    a = np.asarray(low).astype(int) + r.integers(-12, 13, (375, 500, 3))\n"
            "    Image.fromarray(a.clip(0, 255).astype(np.uint8)).save(f'{sys.argv[1]}/{i}.jpg', quality=90, subsampling=i % 2 * 2)\n")
    subprocess.run([python, "-c", code, folder], check=True)


def main():
    from compare_pytorch import busy_share, cpu_name

    parser = argparse.ArgumentParser()
    parser.add_argument("--folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "bench", "retort_photo_loader"))
    parser.add_argument("--json")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as work:
        source = options.folder
        if not source:
            source = os.path.join(work, "drawn")
            os.makedirs(source)
            drawn_photos(source, options.torch_python)
        files = sorted(os.path.join(where, name) for where, _, names in os.walk(source) for name in names
                       if name.lower().endswith((".jpg", ".jpeg")))[:10]
        for part, copies in [("train", 32), ("val", 1)]:
            for label in range(2):
                os.makedirs(os.path.join(work, "set", part, str(label)))
                for i in range(copies * len(files) // 2):
                    shutil.copy(files[i % len(files)], os.path.join(work, "set", part, str(label), f"{i}.jpg"))
        folder = os.path.join(work, "set")
        commands = {"PyTorch, Pillow": [options.torch_python, __file__, "--role", "pillow", folder, str(options.seconds)],
                    "PyTorch, tensors": [options.torch_python, __file__, "--role", "tensors", folder, str(options.seconds)]}
        for decoder in ["stb", "turbo"]:
            commands[f"retort, {decoder}"] = [options.program, folder, "--decoder", decoder, "--seconds", str(options.seconds)]
        busy = busy_share()
        print(f"{cpu_name()}, one core each; {len(files)} photos, {sum(map(os.path.getsize, files)) / len(files) / 1000:.0f} KB "
              f"on average; {100 * busy:.0f} % of the machine was busy with other work")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        rounds, names = {name: [] for name in commands}, list(commands)
        for turn in range(options.rounds):
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                done = subprocess.run(commands[name], capture_output=True, text=True, env=environment)
                if done.returncode != 0:
                    if not turn:
                        print(f"{name}: left out: {done.stderr.strip().splitlines()[-1:]}")
                    continue
                rounds[name].append(json.loads(done.stdout))
    base = [r["cpu_ms"] for r in rounds["PyTorch, Pillow"]]
    table = []
    for name, runs in rounds.items():
        if not runs:
            continue
        times = [r["cpu_ms"] for r in runs]
        median = statistics.median(times)
        ratio = statistics.median(base) / median if base else float("nan")
        table.append({"program": name, "ms": median, "low": min(times), "high": max(times), "ratio": ratio,
                      "peak_mib": max(r["peak_kib"] for r in runs) / 1024})
        print(f"{name:18} {median:6.2f} ms an image ({min(times):.2f} to {max(times):.2f}), {ratio:4.2f} x, "
              f"peak {table[-1]['peak_mib']:.0f} MiB")
    if options.json:
        with open(options.json, "w") as out:
            json.dump(table, out, indent=1)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--role":
        run_torch(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        main()
