"""This engine beside PyTorch: same machine, same run, in turns.

Run: python3 bench/rivals/compare_pytorch.py                            (all sections, about 15 minutes)
     python3 bench/rivals/compare_pytorch.py --only steps,loss --rounds 5 --threads 2
     python3 bench/rivals/compare_pytorch.py --pairs resnet20:resnet56 --methods pcd --only steps
     python3 bench/rivals/compare_pytorch.py --results results.json     (goes on where it was stopped)
     python3 bench/rivals/compare_pytorch.py --pairs resnet18_imagenet,MobileNetV1 --batch 32 --threads 2 --only steps,memory
                                                                        (images of 224x224, 1,000 classes)

Sections: steps (training, distillation with the live teacher and with its logits from the table, evaluation),
loss (pcd and pcd-released alone), data (loader), start (start-up time), memory (peak of a process).

PyTorch is ready before the first round: imported, its nets built, compiled and warm, so that nothing of that
works beside ours. In every round each program runs for --seconds, ours first in one round and PyTorch first in
the next, so that a machine that slows down slows both. Tables hold the median over rounds of each program's median step,
the lowest and highest round, and the median of the rounds' ratios: above 1 this engine is faster. PyTorch is
the faster one of eager and torch.compile, found in its first round; it stays alive between rounds, idle, so
that it compiles once. How busy the machine was before the first round is measured and printed: beside other
work the numbers mean little. Build first: cmake --build build/release --target retort_bench_step retort_cli.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SECTIONS = ("steps", "loss", "data", "start", "memory")
PAIRS = ("resnet20:resnet56", "resnet8x4:resnet32x4", "wrn_16_2:wrn_40_2", "MobileNetV2:vgg13")
METHODS = ("kd", "pcd")
LOSSES = ("pcd", "pcd-released")


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


def classes_of(model):
    """Of the images it is timed on: ImageNet's, which are 224x224, or CIFAR-100's."""
    return "1000" if model.endswith("_imagenet") or model == "MobileNetV1" else "100"


def fail(message):
    sys.exit(f"compare_pytorch: {message}")


def run(command, **more):
    """Runs to the end: its output, seconds of wall clock, and peak of resident memory in bytes."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=err, **more)
        except OSError as error:
            fail(f"cannot run {command[0]}: {error.strerror}")
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read()
    if process.returncode != 0:
        last = (errors.strip() or output.strip() or "no message").splitlines()[-1]
        fail(f"{os.path.basename(command[0])} ended with {process.returncode}: {last}\n  {' '.join(command)}")
    return output, seconds, usage.ru_maxrss * 1024


class Rival:
    """A PyTorch process that measures on request."""

    def __init__(self, options, threads, arguments=(), worker="pytorch_worker.py"):
        command = [options.python, os.path.join(HERE, worker), *arguments]
        command += ["--batch", str(options.batch), "--threads", str(threads)]
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}  # idle threads leave us the processors
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.about = self.read()
        self.version = self.about["torch"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            fail(f"the PyTorch process ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Comparison:
    def __init__(self, options):
        self.options = options
        self.results = {"rows": {}}
        if options.results and os.path.exists(options.results):
            with open(options.results) as file:
                self.results = json.load(file)
            if self.results.get("cpu") != cpu_name():
                fail(f"{options.results}: holds results of another machine; name another file")
        self.results |= {"cpu": cpu_name()}

    def keep(self, key, row):
        self.results["rows"][key] = row
        if self.options.results:
            temporary = self.options.results + ".new"
            with open(temporary, "w") as file:
                json.dump(self.results, file, indent=1)
            os.replace(temporary, self.options.results)

    def has(self, key):
        return key in self.results["rows"]

    def ours(self, arguments, threads):
        command = [self.options.binary, *arguments, "--threads", str(threads)]
        command += ["--device", self.options.device, "--seconds", str(self.options.seconds), "--json"]
        return json.loads(run(command)[0])

    def alternate(self, key, ours, rival):
        """ours() and rival(variants, seconds) in turns; ours gives an object with median_ms."""
        rounds, variants = {"retort": [], "pytorch": []}, ["eager", "compile"]
        details, first = None, None
        rival(variants, 0)  # what it does only once is over
        for i in range(self.options.rounds):
            for who in ("retort", "pytorch") if i % 2 == 0 else ("pytorch", "retort"):
                if who == "retort":
                    details = ours()
                    rounds[who].append(details["median_ms"])
                else:
                    answer = rival(variants, self.options.seconds)
                    first = first or answer
                    variants = [answer["variant"]]
                    rounds[who].append(answer["variants"][answer["variant"]])
                print(f"{key}  round {i + 1}  {who} {rounds[who][-1]:.3f} ms", file=sys.stderr)
        ratios = [p / r for p, r in zip(rounds["pytorch"], rounds["retort"])]
        self.keep(key, {"rounds": rounds, "ratios": ratios, "ours": details, "pytorch": first})

    # --- sections ---------------------------------------------------------------------------------------

    def steps(self):
        methods, batch = self.options.methods, self.options.batch
        for threads in self.options.threads:
            for pair in self.options.pairs:
                student, _, teacher = pair.partition(":")
                wanted = [("train", "train", ["--model", student])]
                for method in methods if teacher else ():
                    arguments = ["--model", student, "--teacher", teacher, "--method", method]
                    wanted.append((method, method, arguments))
                    if method == methods[-1]:  # a teacher's logits cost every method the same
                        wanted.append((f"{method}, table", method, [*arguments, "--table"]))
                wanted.append(("eval", "eval", ["--model", student, "--eval"]))

                def key_of(label, what):
                    name = student if what in ("train", "eval") else f"{student} < {teacher}"
                    return f"steps|{threads}|{name}|{label}"

                wanted = [(key_of(label, what), what, arguments) for label, what, arguments in wanted]
                wanted = [w for w in wanted if not self.has(w[0])]
                if not wanted:
                    continue
                classes = ["--classes", classes_of(student)]
                nets = ["--model", student] + (["--teacher", teacher] if teacher else [])
                rival = Rival(self.options, threads, nets)
                self.results["torch"] = rival.version
                for key, what, arguments in wanted:
                    self.alternate(
                        key,
                        lambda a=[*arguments, *classes]: self.ours([*a, "--batch", str(batch), "--floor"], threads),
                        lambda v, t, w=what: rival.ask(what=w, seconds=t, variants=v),
                    )
                rival.close()

    def loss(self):
        rival = None
        for method in LOSSES:
            for batch in (64, 1024):
                for classes in (100, 1000):
                    key = f"loss|1|{method}|B = {batch}, C = {classes}"
                    if self.has(key):
                        continue
                    rival = rival or Rival(self.options, 1)
                    self.results["torch"] = rival.version
                    shape = {"method": method, "batch": batch, "classes": classes}
                    arguments = ["--loss"] + [x for k, v in shape.items() for x in (f"--{k}", str(v))]
                    self.alternate(
                        key,
                        lambda a=arguments: self.ours(a, 1),
                        lambda v, t, s=shape: rival.ask(what="loss", seconds=t, variants=v, **s),
                    )
        if rival:
            rival.close()

    def data(self):
        for workers in self.options.threads:
            key = f"data|{workers}|loader|{workers} worker{'s' if workers > 1 else ''}"
            if self.has(key):
                continue
            rival = Rival(self.options, workers)
            self.results["torch"] = rival.version
            batch = self.options.batch

            def ours(workers=workers):
                result = self.ours(["--data", "--workers", str(workers), "--batch", str(batch)], workers)
                return result | {"median_ms": result["mean_ms"]}

            self.alternate(
                key,
                ours,
                lambda v, t, w=workers: rival.ask(what="data", seconds=t, batch=batch, workers=w),
            )
            rival.close()

    def start(self):
        """From nothing to a network's description: the libraries are loaded and the network is built."""
        key = "start|1|start-up|resnet20 is built"
        if self.has(key):
            return
        program = os.path.join(os.path.dirname(os.path.dirname(self.options.binary)), "retort")
        build = "import reference_models; reference_models.MODELS['resnet20']()"
        environment = os.environ | {"PYTHONPATH": os.path.join(ROOT, "tests", "data")}
        self.alternate(
            key,
            lambda: {"median_ms": 1e3 * run([program, "info", "resnet20"])[1]},
            lambda v, t: {
                "variant": "eager",
                "variants": {"eager": 1e3 * run([self.options.python, "-c", build], env=environment)[1]},
            },
        )

    def memory(self):
        """Peak of resident memory of a process that trains, in MB; one run of each."""
        for pair in self.options.pairs:
            student, _, teacher = pair.partition(":")
            cases = [(student, ["--model", student])]
            if teacher:
                arguments = ["--model", student, "--teacher", teacher, "--method", "pcd"]
                cases.append((f"{student} < {teacher}, pcd", arguments))
            for name, arguments in cases:
                key = f"memory|{max(self.options.threads)}|{name}|train"
                if self.has(key):
                    continue
                common = ["--threads", str(max(self.options.threads)), "--batch", str(self.options.batch)]
                common += ["--seconds", "0.5"]
                ours = [self.options.binary, *arguments, *common, "--device", self.options.device]
                ours += ["--classes", classes_of(student)]
                mine = run(ours)[2] / 1e6
                script = os.path.join(HERE, "pytorch_step.py")
                theirs = run([self.options.python, script, *arguments, *common])[2] / 1e6
                rounds = {"retort": [mine], "pytorch": [theirs]}
                self.keep(key, {"rounds": rounds, "ratios": [theirs / mine], "pytorch": {"variant": "eager"}})
                print(f"{key}  retort {mine:.0f} MB, PyTorch {theirs:.0f} MB", file=sys.stderr)

    # --- tables -----------------------------------------------------------------------------------------

    def tables(self, busy):
        o, torch = self.options, self.results.get("torch", "-")
        state = "" if busy is None else f"; the machine was {100 * busy:.0f} % busy before the first round"
        parts = [
            f"{cpu_name()}, device {o.device}, batch {o.batch}; PyTorch {torch}, the "
            f"faster of eager and torch.compile; {o.rounds} rounds of {o.seconds:g} s each in turns; median "
            f"(lowest-highest round){state}"
        ]
        titles = {
            "steps": ("step", "ms"),
            "loss": ("loss and gradient, one thread", "ms"),
            "data": ("crop, flip, normalise", "ms a batch"),
            "start": ("start-up", "ms"),
            "memory": ("peak memory", "MB"),
        }
        for section in SECTIONS:
            rows = [(k.split("|"), r) for k, r in self.results["rows"].items() if k.startswith(section + "|")]
            if not rows:
                continue
            title, unit = titles[section]
            floors = section == "steps"
            head = f"| {title} | threads | retort {unit} | PyTorch {unit} | | PyTorch / retort |"
            parts.append("")
            parts.append(head + (" % of floor |" if floors else ""))
            parts.append("|---|---|---|---|---|---|" + ("---|" if floors else ""))
            for (_, threads, name, label), row in rows:
                line = f"| {name}, {label} | {threads} | {spread(row['rounds']['retort'])} | "
                line += f"{spread(row['rounds']['pytorch'])} | {row['pytorch']['variant']} | "
                line += f"{ratio(row['ratios'])} |"
                if floors:
                    share = (row.get("ours") or {}).get("share_of_floor")
                    line += f" {100 * share:.0f} |" if share else " - |"
                parts.append(line)
        return "\n".join(parts)


def number(x):
    return f"{x:.3f}" if x < 1 else f"{x:.2f}" if x < 10 else f"{x:.1f}"


def spread(values):
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} ({number(min(values))}-{number(max(values))})"


def ratio(values):
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}-{max(values):.2f})"


def words(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    return [int(word) for word in words(text)]


def main():
    parser = argparse.ArgumentParser(description="This engine beside PyTorch")
    sections = ", ".join(SECTIONS)
    parser.add_argument("--only", type=words, default=list(SECTIONS), metavar="SECTION,...", help=sections)
    parser.add_argument("--pairs", type=words, default=list(PAIRS), metavar="STUDENT[:TEACHER],...")
    parser.add_argument("--methods", type=words, default=list(METHODS), metavar="METHOD,...")
    parser.add_argument("--threads", type=numbers, default=[1, 2], metavar="N,...")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="onednn", choices=("portable", "onednn"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each program in each round")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build/release/bench/retort_bench_step"))
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--results", metavar="FILE", help="every round, as JSON; not repeated")
    options = parser.parse_args()
    for section in options.only:
        if section not in SECTIONS:
            parser.error(f"--only {section}: expected some of {', '.join(SECTIONS)}")
    for method in options.methods:
        if method not in ("kd", "pcd", "pcd-released"):
            parser.error(f"--methods {method}: expected some of kd, pcd, pcd-released")
    busy = busy_share()
    if busy is not None and busy > 0.1:
        print(f"compare_pytorch: other programs keep this machine {100 * busy:.0f} % busy", file=sys.stderr)
    comparison = Comparison(options)
    for section in options.only:
        getattr(comparison, section)()
    print(comparison.tables(busy))


if __name__ == "__main__":
    main()
