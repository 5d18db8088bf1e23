#!/usr/bin/env python3
"""What ptxas makes of the own kernels for sm_90: no spills, registers that leave two blocks of 256 threads on a
multiprocessor, and 16 bytes a load, several loads in flight, in the kernels that most of a step's time goes to.

usage: ptxas_test.py NVCC SOURCE_FOLDER WORK_FOLDER
"""
import collections
import pathlib
import re
import shutil
import subprocess
import sys

MOST_REGISTERS = 65536 // (2 * 256)
# Loads of 16 bytes that stand in the code of a kernel for 16-bit images (B: bf16) with 8 channels at a time. Four rows are
# loaded before the first is used, twice as many operands in the gradient.
WIDE_LOADS = {
    "batch_norm.cu": {"moments<B, 8>": 4, "train<B, 8, 1>": 4, "train<B, 8, 4>": 16, "apply<B, 8>": 2},
    "batch_norm_gradient.cu": {"gradient_sums<B, 8>": 8, "gradient<B, 8>": 4},
}
FLAGS = ["-std=c++20", "-O3", "--extended-lambda", "--expt-relaxed-constexpr", "-arch=sm_90", "-diag-suppress", "1675"]


def run(nvcc, folder, source, extra, to):
    command = [nvcc, *FLAGS, *extra, f"-I{folder}", str(source), "-o", str(to)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {result.returncode}\n{result.stderr}")
    return result.stderr


def readable(names):
    if not shutil.which("c++filt"):
        return dict(zip(names, names))
    told = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True).stdout.splitlines()
    return dict(zip(names, told))


def properties(report):
    """{kernel: (registers, bytes spilled)} of what `-Xptxas -v` writes."""
    found, name = {}, None
    for line in report.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            name = match[1]
        elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = int(match[1]) + int(match[2])
        elif (match := re.search(r"Used (\d+) registers", line)) and name:
            found[name] = (int(match[1]), spilled)
            name = None
    return found


def wide_loads(ptx):
    """{kernel: loads of 16 bytes}."""
    found = {}
    for match in re.finditer(r"\.entry (\S+?)\((.*?)\n}\n", ptx, re.S):
        widths = re.findall(r"ld\.global(?:\.nc)?\.v(\d)\.\w(\d+)", match[2])
        found[match[1]] = sum(int(count) * int(bits) == 128 for count, bits in widths)
    return found


def main():
    nvcc, folder, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    faults, kernels = [], 0
    for source in sorted((folder / "engine/cuda").glob("*.cu")):
        found = properties(run(nvcc, folder, source, ["-cubin", "-Xptxas", "-v"], work / (source.stem + ".cubin")))
        names = readable(list(found))
        by_registers = collections.Counter()
        for name, (registers, spilled) in found.items():
            kernels += 1
            by_registers[registers] += 1
            if spilled:
                faults.append(f"{source.name}: {names[name]} spills {spilled} bytes")
            if registers > MOST_REGISTERS:
                faults.append(f"{source.name}: {names[name]} has {registers} registers, at most {MOST_REGISTERS} are wanted")
        print(f"{source.name}: {len(found)} kernels, registers", dict(sorted(by_registers.items())))

    for source, expected in WIDE_LOADS.items():
        ptx = work / (source + ".ptx")
        run(nvcc, folder, folder / "engine/cuda" / source, ["-ptx"], ptx)
        loads = wide_loads(ptx.read_text())
        names = readable(list(loads))
        for kernel, least in expected.items():
            wanted = "::" + kernel.replace("B", "__nv_bfloat16") + "("
            of_kernel = [count for name, count in loads.items() if wanted in names[name]]
            if len(of_kernel) != 1:
                faults.append(f"{source}: {len(of_kernel)} kernels {kernel}, expected 1")
                continue
            print(f"{source}: {kernel}: {of_kernel[0]} loads of 16 bytes")
            if of_kernel[0] < least:
                faults.append(f"{source}: {kernel} has {of_kernel[0]} loads of 16 bytes, expected {least} or more")
    if kernels < 100:
        faults.append(f"{kernels} kernels were found, expected 100 or more")
    print("\n".join(faults) or f"{kernels} kernels, none spills")
    sys.exit(bool(faults))


main()
