#!/usr/bin/env python3
"""A step with every method beside the obvious PyTorch code of the same method: same machine, same run, in turns.

Run: python3 bench/rivals/compare_methods.py --rounds 5 --seconds 5 --threads 2        (all methods, about an hour)
     python3 bench/rivals/compare_methods.py --methods sp,crd,kdsvd --rounds 3 --eager
     python3 bench/rivals/compare_methods.py --results methods.json                    (goes on where it was stopped)
     python3 bench/rivals/compare_methods.py --costs                                   (our program alone, a few minutes, see below)

resnet8x4 learns from resnet32x4 unless --student and --teacher say otherwise (CIFAR's resnets), from a teacher that is asked in every
step, with each method's default settings. PyTorch's side is pytorch_methods.py, the faster of eager and torch.compile, found in the
first round. Both programs are ready before the first round, built, compiled and warm, and live through all rounds; in each, ours runs
for --seconds, then PyTorch, and the other way round in the next, so that a machine that slows down slows both.

The table: per method the median over rounds of each program's median step (lowest-highest round), the median of the rounds' ratios
(above 1 this engine is faster) by the clock and by the process' time, and what the method adds to our step with kd (with ce for a method
without a teacher and for kd itself): the time of those kinds of kernels, by name and shapes, that are called more or less often than
there, each the least of seven steps. Whole steps differ by more than most methods cost. How busy the machine was before the first round
is measured and printed: beside other work the process' time says more than the clock.

--costs measures nothing but what each method adds, writes it into the headers in distill/methods, and into the README there how it
was measured.
Build first: cmake --build build/release --target retort_bench_step retort_cli.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

import compare_pytorch
from compare_pytorch import ROOT, busy_share, number, ratio, spread, words

ALONE = ("ce", "ls-ce", "tfkd-reg")  # without a teacher
GOAL = 1.5  # times as fast; below it, where the time goes
BUSY = 0.1  # from which share on the process' time is what counts
FILES = {
    "ce": "student_alone",
    "ls-ce": "label_smoothing",
    "tfkd-reg": "tfkd",
    "wttm": "ttm",
    "wkd-l": "wkd",
    "pcd-released": "pcd_released",
    "pcd-progressive": "pcd_progressive",
    "sdd-kd": "sdd",
    "sdd-dkd": "sdd",
    "sdd-nkd": "sdd",
}


def fail(message):
    sys.exit(f"compare_methods: {message}")


def base_of(method):
    """Which of our steps a method is compared with; none for ce."""
    return {"ce": None, "kd": "ce"}.get(method, "ce" if method in ALONE else "kd")


class Ours:
    """Our program, which measures on request."""

    def __init__(self, options, method):
        name, _, dot = method.partition("+")
        command = [options.binary, "--asked", "--model", options.student, "--method", name]
        command += ["--batch", str(options.batch), "--threads", str(options.threads), "--device", options.device]
        if name not in ALONE:
            command += ["--teacher", options.teacher]
        if dot:
            command += ["--dot"]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            fail(f"cannot run {options.binary}: {error.strerror}")
        self.method = method
        self.read()  # it is warm

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            fail(f"{self.method}: retort_bench_step ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Methods(compare_pytorch.Comparison):
    def measure(self, busy):
        options = self.options
        wanted = [m for m in options.methods if not self.has(m)]
        if not wanted:
            return
        nets = ["--student", options.student, "--teacher", options.teacher]
        rival = compare_pytorch.Rival(options, options.threads, nets, "pytorch_methods.py")
        unknown = [m for m in wanted if m not in rival.about["methods"]]
        if unknown:
            fail(f"pytorch_methods.py has no code for {', '.join(unknown)}")
        self.results |= {"torch": rival.version, "how": vars(options) | {"results": None}, "busy": busy}
        for method in wanted:
            self.measure_base(method)
            ours = Ours(options, method)
            self.turns(method, ours, rival)
            ours.close()
        rival.close()

    def measure_base(self, method):
        bases, base = self.results.setdefault("bases", {}), base_of(method)
        if base and base not in bases:
            bases[base] = self.kernels_of(base)

    def kernels_of(self, method):
        ours = Ours(self.options, method)
        kernels = ours.ask("kernels")
        ours.close()
        return kernels

    def measure_costs(self, busy):
        self.results |= {"rows": {}, "how": vars(self.options), "busy": busy}
        for method in self.options.methods:
            self.measure_base(method)
            row = {"method": method, "base": base_of(method), "kernels": self.kernels_of(method)}
            self.results["rows"][method] = row
            print(f"{method}: {total_ms(row['kernels']):.1f} ms", file=sys.stderr)

    def turns(self, method, ours, rival):
        options, variants = self.options, ["eager"] if self.options.eager else ["eager", "compile"]
        rival.ask(method=method, seconds=0, variants=variants)  # what it does only once is over
        row = {"method": method, "base": base_of(method), "variant": None, "rounds": []}

        def ask_rival():
            nonlocal variants
            answer = rival.ask(method=method, seconds=options.seconds, variants=variants)
            variants, row["variant"] = [answer["variant"]], answer["variant"]
            return answer["variants"][answer["variant"]]

        asked = {"retort": lambda: ours.ask(options.seconds), "pytorch": ask_rival}
        for i in range(options.rounds):
            order = list(asked) if i % 2 == 0 else list(reversed(asked))
            row["rounds"].append({who: asked[who]() for who in order})
            said = ", ".join(f"{who} {row['rounds'][-1][who]['median_ms']:.2f}" for who in asked)
            print(f"{method}  round {i + 1}  {said} ms", file=sys.stderr)
        row["kernels"] = ours.ask("kernels")
        self.keep(method, row)

    # --- what is shown --------------------------------------------------------------------------------------------------

    def rows(self):
        return [r for r in self.results["rows"].values() if r["method"] in self.options.methods]

    def table(self):
        how, busy = self.results["how"], self.results["busy"]
        state = "" if busy is None else f"; the machine was {100 * busy:.0f} % busy before the first round"
        kind = "eager" if how["eager"] else "the faster of eager and torch.compile"
        lines = [
            f"{self.results['cpu']}, device {how['device']}, {how['student']} < {how['teacher']}, batch {how['batch']}, "
            f"{how['threads']} threads; PyTorch {self.results['torch']}, {kind}; {how['rounds']} rounds of {how['seconds']:g} s each "
            f"in turns; median (lowest-highest round){state}",
            "",
            "| method | retort ms | PyTorch ms | | PyTorch / retort | by the process' time | adds ms |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in self.rows():
            ms = {who: times(row, who, "median_ms") for who in ("retort", "pytorch")}
            ratios = [ratio(ratios_of(row, k)) for k in ("median_ms", "cpu_ms")]
            adds = f"{self.added(row):.2f} to {row['base']}" if row["base"] else "-"
            cells = [row["method"], spread(ms["retort"]), spread(ms["pytorch"]), row["variant"], *ratios, adds]
            lines.append("| " + " | ".join(cells) + " |")
        slow = [r for r in self.rows() if statistics.median(ratios_of(r, "median_ms")) < GOAL]
        if slow:
            lines += ["", f"Where the time goes below {GOAL} times, ms of our kernels in one step:", ""]
        for row in slow:
            sums = {}
            for name, (_, kernel_ms) in row["kernels"].items():
                op = name.split()[0]
                sums[op] = sums.get(op, 0) + kernel_ms
            most = sorted(sums.items(), key=lambda op: -op[1])[:6]
            lines.append(f"- {row['method']}: " + ", ".join(f"{op} {number(op_ms)}" for op, op_ms in most))
        return "\n".join(lines)

    def added(self, row):
        """Milliseconds of the kernels that are not called as often in the base's step."""
        base, none = self.results["bases"][row["base"]], [0, 0.0]
        pairs = [(row["kernels"].get(k, none), base.get(k, none)) for k in {*row["kernels"], *base}]
        return sum(own[1] - other[1] for own, other in pairs if own[0] != other[0])

    def write_costs(self):
        """Into the headers of distill/methods, and how it was measured into its README."""
        how, busy = self.results["how"], self.results["busy"]
        by_file, dot = {}, ""
        for row in self.results["rows"].values():
            if "+" in row["method"]:
                dot = f"`optimizer.kind = dot` adds {self.added(row):.1f} ms to kd's step. "
            elif row["base"]:
                file = FILES.get(row["method"], row["method"])
                by_file.setdefault(file, []).append((row["method"], row["base"], self.added(row)))
        folder = os.path.join(ROOT, "distill", "methods")
        for file, costs in by_file.items():
            write_header(folder, file, costs)
        wholes = " and ".join(f"{name}'s {total_ms(kernels):.0f} ms" for name, kernels in sorted(self.results["bases"].items()))
        text = (
            f"Costs in the headers are what a method adds to a training step of {how['student']} < {how['teacher']}, to {wholes} (batch "
            f"{how['batch']}, f32, {how['threads']} threads, {how['device']}, {self.results['cpu']}): the time of the kernels that it has "
            f"beyond that step's, each the least of seven steps; the machine was {100 * (busy or 0):.0f} % busy with other work. {dot}"
            f"Written by `bench/rivals/compare_methods.py --costs`."
        )
        path = os.path.join(folder, "README.md")
        with open(path) as readme:
            before = readme.read()
        block = "<!-- costs -->\n" + "\n".join(wrapped(text, 128)) + "\n<!-- end of costs -->\n"
        marked = re.compile(r"<!-- costs -->\n.*?<!-- end of costs -->\n", re.S)
        after = marked.sub(block, before) if marked.search(before) else before.rstrip("\n") + "\n\n" + block
        with open(path, "w") as readme:
            readme.write(after)


def times(row, who, key):
    return [r[who][key] for r in row["rounds"]]


def ratios_of(row, key):
    return [p / r for p, r in zip(times(row, "pytorch", key), times(row, "retort", key))]


def total_ms(kernels):
    return sum(ms for _, ms in kernels.values())


def wrapped(text, width):
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def write_header(folder, file, costs):
    """The line `// Cost: ...` at the end of the comment that a file begins with; the .cpp's, or the .h's where that has it."""
    path = os.path.join(folder, file + ".cpp")
    with open(path) as source:
        lines = source.read().split("\n")
    if not lines[0].startswith("//"):
        path = os.path.join(folder, file + ".h")
        with open(path) as source:
            lines = source.read().split("\n")
    if not lines[0].startswith("//"):
        fail(f"{path}: expected a comment on its first line")
    lines = [line for line in lines if not line.startswith("// Cost: ")]
    end = next(i for i, line in enumerate(lines) if not line.startswith("//"))
    several = len(costs) > 1
    each = [f"{name + ' ' if several else ''}{round(cost, 2) + 0.0:+.2f} ms on {base}" for name, base, cost in costs]
    lines.insert(end, f"// Cost: {', '.join(each)} (README.md).")
    with open(path, "w") as source:
        source.write("\n".join(lines))


def known_methods(options):
    program = os.path.join(os.path.dirname(os.path.dirname(options.binary)), "retort")
    listed = json.loads(compare_pytorch.run([program, "info", "--methods", "--json"])[0])
    return [m["name"] for m in listed["methods"]] + ["kd+dot"]


def main():
    parser = argparse.ArgumentParser(description="A step with every method beside PyTorch")
    parser.add_argument("--methods", type=words, metavar="METHOD,...", help="all, and kd+dot")
    parser.add_argument("--student", default="resnet8x4", metavar="NAME")
    parser.add_argument("--teacher", default="resnet32x4", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each program in each round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="onednn", choices=("portable", "onednn"))
    parser.add_argument("--eager", action="store_true", help="torch.compile is left out")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/release/bench/retort_bench_step"))
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--results", metavar="FILE", help="every round, as JSON; not repeated")
    parser.add_argument("--costs", action="store_true", help="measure what each method adds and write it into its header")
    options = parser.parse_args()
    if options.costs and options.results:
        parser.error("--costs: keeps no results")
    options.methods = options.methods or known_methods(options)
    comparison = Methods(options)
    busy = busy_share()
    if busy is not None and busy > BUSY:
        print(f"compare_methods: other programs keep this machine {100 * busy:.0f} % busy", file=sys.stderr)
    if options.costs:
        comparison.measure_costs(busy)
        comparison.write_costs()
        return
    comparison.measure(busy)
    print(comparison.table())


if __name__ == "__main__":
    main()
