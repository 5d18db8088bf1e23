#!/usr/bin/env python3
"""What gpu_first_run.sh left, as tables: no number is typed.

  gpu_results.py summary OUT              writes OUT/summary.json, summary.md, steps.json, tuning.csv from OUT/work
  gpu_results.py section OUT [--into F]   prints the section "On a GPU" made of OUT/summary.json; into F (bench/RESULTS.md)
                                          in the place of the one that is there, or at its end
  gpu_results.py expected OUT SECONDS     prints whether a run of 240 epochs fits, by the step times that were measured
"""
import json
import os
import pathlib
import re
import sys

KERNELS = {"resnet32x4-resnet8x4": 110, "resnet56-resnet20": 200}  # expected at most, bf16, kd; as captured: 104, 193
PUBLISHED = {"kd": 70.66}  # resnet56-resnet20, top-1, of the paper's table


def replace(path, text):
    """The old file or the whole new one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


def json_lines(path):
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def steps_in(work):
    return [row for file in sorted((work / "logs").glob("steps-*.out")) for row in json_lines(file)]


def kernels_of(path):
    """Kernels, microseconds and megabytes of DRAM of a step under ncu: what is between two of the optimiser's kernels."""
    import csv

    rows = [r for r in csv.reader(path.read_text(errors="replace").splitlines()) if len(r) > 5]
    while rows and "Kernel Name" not in rows[0]:  # what the program itself printed
        rows.pop(0)
    if len(rows) < 3:
        return None
    head, units = rows[0], rows[1]
    try:
        name, time, data = (head.index(k) for k in ("Kernel Name", "gpu__time_duration.sum", "dram__bytes.sum"))
    except ValueError:
        return None
    scale_time = {"ns": 1e-3, "us": 1, "usecond": 1, "nsecond": 1e-3, "ms": 1e3, "msecond": 1e3}.get(units[time], None)
    scale_data = {"byte": 1e-6, "Kbyte": 1e-3, "Mbyte": 1, "Gbyte": 1e3}.get(units[data], None)
    if scale_time is None or scale_data is None:
        return None
    kernels = [
        (r[name], float(r[time].replace(",", "")) * scale_time, float(r[data].replace(",", "")) * scale_data)
        for r in rows[2:]
    ]
    ends = [i for i, k in enumerate(kernels) if "sgd" in k[0]]
    if len(ends) < 2:
        return None
    step = kernels[ends[-2] + 1 : ends[-1] + 1]
    return {"kernels": len(step), "us": sum(k[1] for k in step), "dram_mb": sum(k[2] for k in step)}


def summary(out):
    work = out / "work"
    result = {"stages": {}, "steps": [], "pytorch": [], "ncu": {}, "runs": {}, "environment": {}}
    for state in ("done", "failed"):
        for file in sorted((work / state).glob("*")):
            result["stages"][file.name] = {"state": state, "text": file.read_text().strip()}
    text = (work / "logs/environment.out").read_text(errors="replace") if (work / "logs/environment.out").exists() else ""
    lines = text.splitlines()
    result["environment"]["date"] = lines[0] if lines else ""
    commit = re.search(r"^[0-9a-f]{40}$", text, re.M)
    result["environment"]["commit"] = commit.group(0) if commit else ""
    err = work / "logs/environment.err"
    result["environment"]["device"] = next((l for l in err.read_text().splitlines() if ", " in l), "") if err.exists() else ""
    result["steps"] = steps_in(work)
    for file in sorted((work / "logs").glob("pytorch-*.out")):
        result["pytorch"] += list(json_lines(file))
    for file in sorted((work / "ncu").glob("*.csv")):
        found = kernels_of(file)
        if found:
            result["ncu"][file.stem] = found
    for file in sorted((work / "runs").glob("*/summary.json")):
        result["runs"][file.parent.name] = json.loads(file.read_text())
    candidates = work / "cache/cudnn-plans/candidates.csv"
    if candidates.exists():
        replace(out / "tuning.csv", candidates.read_text())
    replace(out / "steps.json", json.dumps(result["steps"], indent=1) + "\n")
    replace(out / "summary.json", json.dumps(result, indent=1) + "\n")
    replace(out / "summary.md", section(result))


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def option(row, name, otherwise=""):
    words = row["options"].split()
    return words[words.index(name) + 1] if name in words else otherwise


def section(result):
    env = result["environment"]
    lines = ["## On a GPU", ""]
    lines.append(f"{env.get('date', '')}, commit {env.get('commit', '')[:9]}; {env.get('device', '')}; `bench/gpu_first_run.sh`.")
    failed = {name: s["text"] for name, s in result["stages"].items() if s["state"] == "failed"}
    lines += ["", "Failed: " + "; ".join(f"{k}: {v}" for k, v in failed.items()) + "." if failed else "No stage failed."]
    done = sorted(name for name, s in result["stages"].items() if s["state"] == "done")
    lines += ["", "Ran: " + (", ".join(done) if done else "nothing") + "."]
    if result["steps"]:
        lines += ["", "| step | method | precision | | median ms | quartiles | 20 between waits | n |", "|---|---|---|---|---|---|---|---|"]
        for row in result["steps"]:
            s, words = row["step"], row["options"].split()
            how = "eager" if "--eager" in words else "captured"
            if "--table" in words:
                how += ", table " + s.get("table", "?")
            lines.append(
                f"| {row['case']} | {option(row, '--method')} | {option(row, '--precision')} | {how} | {number(s['median_ms'], 3)} "
                f"| {number(s['q1_ms'], 3)}-{number(s['q3_ms'], 3)} | {number(s.get('chained_ms'), 3)} | {s['n']} |"
            )
    if result["pytorch"]:
        lines += ["", "| PyTorch, same card | method | variant | median ms |", "|---|---|---|---|"]
        for row in result["pytorch"]:
            lines.append(f"| {row['teacher']}-{row['model']} | {row['method']} | {row['variant']} | {number(row['median_ms'], 3)} |")
    if result["ncu"]:
        lines += ["", "| one bf16 kd step | kernels | expected at most | sum us | DRAM MB |", "|---|---|---|---|---|"]
        for pair, k in result["ncu"].items():
            lines.append(f"| {pair} | {k['kernels']} | {KERNELS.get(pair, '-')} | {number(k['us'], 0)} | {number(k['dram_mb'], 0)} |")
    if result["runs"]:
        lines += ["", "| run (one seed: n = 1) | status | best top-1 | last top-1 | seconds | published |", "|---|---|---|---|---|---|"]
        for name, s in result["runs"].items():
            best, last = ((s.get(k) or {}).get("top1") for k in ("best", "last"))
            paper = PUBLISHED.get(name.split("-", 1)[-1])
            lines.append(f"| {name} | {s['status']} | {number(best, 2)} | {number(last, 2)} | {number(s.get('seconds'), 0)} | {number(paper, 2)} |")
    return "\n".join(lines) + "\n"


def expected(out, seconds):
    """240 epochs of 782 steps, and 80 ms an epoch for the test images and files."""
    for row in steps_in(out / "work"):
        words = row["options"].split()
        if row["case"] == "resnet56-resnet20" and option(row, "--method") == "kd" and not {"--eager", "--table"} & set(words):
            # Steps of a run are not waited for one by one.
            run = 240 * (782e-3 * (row["step"].get("chained_ms") or row["step"]["median_ms"]) + 0.08)
            room = float(seconds) - 60
            return print(f"gpu_first_run: a run of 240 epochs is expected to take {run:.0f} s, {room:.0f} s are left for runs"
                         + ("" if run <= room else ": it will not end in this part; call C again"))
    print("gpu_first_run: no step of resnet56-resnet20 was measured: how long a run takes is not known")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("summary", "section", "expected"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "summary":
        return summary(out)
    if sys.argv[1] == "expected":
        return expected(out, sys.argv[3])
    text = section(json.loads((out / "summary.json").read_text()))
    if sys.argv[3:4] != ["--into"]:
        return print(text, end="")
    target = pathlib.Path(sys.argv[4])
    old = target.read_text()
    without = re.sub(r"\n## On a GPU\n.*?(?=\n## |\Z)", "", old, flags=re.S)
    without = without.replace(" No GPU was at hand.", "")
    replace(target, without.rstrip("\n") + "\n\n" + text)


if __name__ == "__main__":
    main()
