"""Two processes of one thread beside one process of two threads, the same parts of every batch: time of a step, and of the sums.

Run: python3 bench/processes.py                                  (resnet20 and resnet8x4, batches of 64 and 512, 5 turns)
     python3 bench/processes.py --models resnet20 --batches 64 --turns 3 --steps 20 --json processes.json

Needs mpirun, mpicc, and retort with its plugin: cmake --build build/release --target retort_cli retort_mpi_openmpi. In every turn
each way to run trains two epochs of --steps batches, one worker for the images, one after the other; the second epoch is timed.
The table holds the median over turns, lowest and highest turn. Sums: what a step of the two processes exchanges, and the time it
takes with waiting for the other process; beside it MPI_Allreduce of as many bytes as are summed, without any other work (median
of 21). How busy the machine was is measured first and printed.
"""

import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name: processes, threads of each, shards
WAYS = {
    "1 process of 2 threads": (1, 2, 1),
    "1 process of 2 threads, 2 parts": (1, 2, 2),
    "2 processes of 1 thread": (2, 1, 2),
}
BESIDE = "1 process of 2 threads, 2 parts"
EXCHANGED = re.compile(r"exchanged ([\d.]+) MB in ([\d.e+-]+) s")


def busy(seconds=2.0):
    """The share of all cores that is at work, in percent."""

    def times():
        with open("/proc/stat", encoding="utf-8") as file:
            numbers = [int(n) for n in file.readline().split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    all_before, idle_before = times()
    time.sleep(seconds)
    all_after, idle_after = times()
    return 100 * (1 - (idle_after - idle_before) / max(1, all_after - all_before))


def mpirun():
    command = ["mpirun", "--oversubscribe", "--bind-to", "none"]
    return command + (["--allow-run-as-root"] if os.geteuid() == 0 else [])


def measure(arguments, model, batch, way, folder):
    """Milliseconds of a step, and the MB that its sums send and their milliseconds."""
    processes, threads, shards = WAYS[way]
    out = os.path.join(folder, "run")
    command = [arguments.retort, "train", "--model", model, "--data", f"synthetic:train={arguments.steps * batch},test=10",
               "--epochs", "2", "--batch", str(batch), "--threads", str(threads), "--out", out, "--force", "--quiet",
               "--set", "data.workers=1", "--set", "checkpoint_minutes=60", "--set", f"shards={shards}"]
    if processes > 1:
        command = [*mpirun(), "-np", str(processes), *command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr}")
    with open(os.path.join(out, "metrics.csv"), encoding="utf-8") as file:
        seconds = float(list(csv.DictReader(file))[-1]["seconds"])
    result = {"ms": 1000 * seconds / arguments.steps}
    if processes > 1:
        with open(os.path.join(out, "log.txt"), encoding="utf-8") as file:
            found = EXCHANGED.findall(file.read())
        if not found:
            sys.exit(f"{out}/log.txt: no line of what was exchanged")
        megabytes, spent = found[-1]
        result |= {"mb": float(megabytes) / (2 * arguments.steps), "sum_ms": 1000 * float(spent) / (2 * arguments.steps)}
    return result


def allreduce_ms(megabytes, folder):
    """Of two processes that do nothing else."""
    program = os.path.join(folder, "allreduce_time")
    if not os.path.exists(program):
        subprocess.run(["mpicc", "-O2", os.path.join(ROOT, "bench", "allreduce_time.c"), "-o", program], check=True)
    done = subprocess.run([*mpirun(), "-np", "2", program, str(int(1e6 * megabytes))], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True)
    return 1000 * float(done.stdout)


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def print_rows(rows):
    """As soon as they are measured: what follows takes minutes, and may be stopped."""
    one = next(statistics.median(t["ms"] for t in r["turns"]) for r in rows if r["way"] == BESIDE)
    for row in rows:
        turns = row["turns"]
        times = [t["ms"] for t in turns]
        sums = " | | "
        if "mb" in turns[0]:
            sums = f"{turns[0]['mb']:.2f} | {spread([t['sum_ms'] for t in turns], 2)} | {row['allreduce_ms']:.2f}"
        print(f"| {row['model']} | {row['batch']} | {row['way']} | {spread(times, 1)} | {statistics.median(times) / one:.2f} | {sums} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retort", default=os.path.join(ROOT, "build", "release", "retort"))
    parser.add_argument("--models", nargs="+", default=["resnet20", "resnet8x4"])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 512])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of an epoch")
    parser.add_argument("--json", help="all measurements go there")
    arguments = parser.parse_args()
    if not os.access(arguments.retort, os.X_OK):
        parser.error(f"{arguments.retort} is not there; build it, or name it with --retort")
    print(f"busy before the first turn: {busy():.0f} % of {os.cpu_count()} cores", file=sys.stderr)
    print("| network | batch | | step ms | beside one process | MB sent a step | ms of sums a step | ms of MPI_Allreduce |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for batch in arguments.batches:
                found = {way: [] for way in WAYS}
                for turn in range(arguments.turns):
                    for way in WAYS:
                        found[way].append(measure(arguments, model, batch, way, folder))
                    print(f"{model}, batch {batch}: turn {turn + 1} of {arguments.turns}", file=sys.stderr)
                # Two processes send as many bytes as they sum: half of them, and then half of the result.
                whole = [turn["mb"] for turns in found.values() for turn in turns if "mb" in turn][0]
                beside = allreduce_ms(whole, folder)
                found = [{"model": model, "batch": batch, "way": way, "turns": turns, "allreduce_ms": beside}
                         for way, turns in found.items()]
                print_rows(found)
                rows += found
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
