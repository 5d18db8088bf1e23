"""One training or distillation step of this engine beside PyTorch's: same machine, same run, in turns.

Run: python3 bench/compare_pytorch.py                     (the default cases, onednn, 2 threads)
     python3 bench/compare_pytorch.py --case resnet20 --case resnet8x4:resnet32x4:pcd --threads 2 --best
     python3 bench/compare_pytorch.py --json table.json --python /path/to/a/python/with/torch

A case is STUDENT or STUDENT:TEACHER:METHOD (kd, pcd, pcd-released). In every round each program runs for
--seconds, ours first in one round and PyTorch first in the next, so that a machine that slows down slows
both. The table holds the median over rounds of each program's median step, the lowest and highest round,
and their ratio: above 1 this engine is faster. How busy the machine was before the first round is measured
and printed: beside other work the numbers mean little. Build first: cmake --build build/release --target
retort_bench_step.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DEFAULT_CASES = ["resnet20", "resnet8x4", "resnet20:resnet56:kd", "resnet20:resnet56:pcd"]


def cpu_name():
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def busy_share(seconds=2.0):
    """Share of all processors' time that was not idle, over some seconds; None if the system does not say."""

    def read():
        with open("/proc/stat") as stat:
            fields = [int(x) for x in stat.readline().split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]  # all; idle and waiting for a disk

    try:
        total0, idle0 = read()
        time.sleep(seconds)
        total1, idle1 = read()
    except OSError:
        return None
    return 1 - (idle1 - idle0) / (total1 - total0)


def run(command, who):
    """The JSON object that the program prints."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"compare_pytorch: cannot run {command[0]}: {error.strerror}")
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        sys.exit(f"compare_pytorch: {who} ended with {done.returncode}: {last}\n  {' '.join(command)}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        sys.exit(
            f"compare_pytorch: {who} printed no JSON object: {done.stdout[:200]!r}\n  {' '.join(command)}"
        )


def case_arguments(case):
    parts = case.split(":")
    if len(parts) == 1:
        return ["--model", parts[0]]
    if len(parts) == 3:
        return ["--model", parts[0], "--teacher", parts[1], "--method", parts[2]]
    sys.exit(f"compare_pytorch: case {case!r}: expected STUDENT or STUDENT:TEACHER:METHOD")


def ours(options, case):
    command = [options.binary, *case_arguments(case), "--batch", str(options.batch)]
    command += ["--threads", str(options.threads), "--device", options.device]
    return run([*command, "--seconds", str(options.seconds), "--json"], "retort_bench_step")


def rival(options, case):
    command = [options.python, os.path.join(HERE, "pytorch_step.py"), *case_arguments(case)]
    command += ["--batch", str(options.batch), "--threads", str(options.threads)]
    command += ["--device", "cuda" if options.device == "cuda" else "cpu", "--seconds", str(options.seconds)]
    if options.best:
        command.append("--best")
    if options.compile:
        command.append("--compile")
    return run(command, "pytorch_step.py")


def measure(options, case):
    rounds = {"retort": [], "pytorch": []}
    for i in range(options.rounds):
        for who in ("retort", "pytorch") if i % 2 == 0 else ("pytorch", "retort"):
            rounds[who].append((ours if who == "retort" else rival)(options, case))
            median = rounds[who][-1]["median_ms"]
            print(f"{case}  round {i + 1}/{options.rounds}  {who} {median:.2f} ms", file=sys.stderr)
    medians = {who: [r["median_ms"] for r in results] for who, results in rounds.items()}
    pairs = [p / r for p, r in zip(medians["pytorch"], medians["retort"])]
    return {
        "case": case,
        "retort_ms": statistics.median(medians["retort"]),
        "pytorch_ms": statistics.median(medians["pytorch"]),
        "ratio": statistics.median(pairs),
        "ratio_range": [min(pairs), max(pairs)],
        "rounds": rounds,
    }


def spread(results):
    medians = [r["median_ms"] for r in results]
    return f"{statistics.median(medians):.1f} ({min(medians):.1f}-{max(medians):.1f})"


def table(options, rows, busy):
    first = rows[0]["rounds"]["pytorch"][0]
    variants = sorted({r["variant"] for row in rows for r in row["rounds"]["pytorch"]})
    state = "" if busy is None else f"; the machine was {100 * busy:.0f} % busy before the first round"
    head = (
        f"{cpu_name()}, device {options.device}, {options.threads} threads, batch {options.batch}; PyTorch "
        f"{first['torch']} ({first['device']}, {' or '.join(variants)}); {options.rounds} rounds of "
        f"{options.seconds:g} s each in turns; median (lowest-highest round){state}"
    )
    lines = [
        head,
        "",
        "| step | retort ms | PyTorch ms | PyTorch / retort |",
        "|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["ratio_range"]
        rounds = row["rounds"]
        lines.append(
            f"| {row['case'].replace(':', ' < ', 1).replace(':', ', ')} | {spread(rounds['retort'])} | "
            f"{spread(rounds['pytorch'])} | {row['ratio']:.2f} ({low:.2f}-{high:.2f}) |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="A step of this engine beside PyTorch's")
    parser.add_argument("--case", action="append", metavar="STUDENT[:TEACHER:METHOD]")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="onednn", choices=("portable", "onednn", "cuda"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each program in each round")
    parser.add_argument("--compile", action="store_true", help="PyTorch with torch.compile")
    parser.add_argument("--best", action="store_true", help="PyTorch's faster one of eager and torch.compile")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/release/bench/retort_bench_step"))
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--json", metavar="FILE", help="every round, as JSON")
    options = parser.parse_args()
    busy = busy_share()
    if busy is not None and busy > 0.1:
        print(f"compare_pytorch: other programs keep this machine {100 * busy:.0f} % busy", file=sys.stderr)
    rows = [measure(options, case) for case in options.case or DEFAULT_CASES]
    print(table(options, rows, busy))
    if options.json:
        with open(options.json, "w") as out:
            json.dump(
                {"cpu": cpu_name(), "options": vars(options), "busy_before": busy, "rows": rows},
                out,
                indent=1,
            )


if __name__ == "__main__":
    main()
