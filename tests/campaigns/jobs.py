"""Runs of a second or two that are hurt, what a user does afterwards, and what must come out: the judge."""

import csv
import json
import re
import shutil
from pathlib import Path

from harness import safetensors_complaint

DATA = "synthetic:train=32,test=16"
NETWORK = ["--data", DATA, "--batch", "8", "--threads", "1", "--workers", "1", "--set", "checkpoint_minutes=0.00001"]
STUDY = """title = "Campaign"
seeds = 1
[settings]
epochs = 1
batch = 8
threads = 1
checkpoint_minutes = 0.00001
[settings.data]
spec = "%s"
workers = 1
[teacher]
model = "resnet8"
[student]
model = "resnet8"
[[methods]]
name = "kd"
[[methods]]
name = "pcd"
""" % DATA


class Job:
    """One kind of run. Its folder is trial/run, its cache trial/cache; what it reads lies elsewhere."""

    name = ""

    def __init__(self, space):
        self.space = space

    def start(self, trial):
        """What a user types first."""
        raise NotImplementedError

    def go_on(self, trial):
        """What a user tries after an accident, in this order, until one ends well."""
        raise NotImplementedError

    def folder(self, trial):
        return trial / "run"

    def cache(self, trial):
        return trial / "cache"

    def reference(self):
        """(what comes out when nothing happens, how long it takes)"""
        def make():
            trial = self.space.new_folder("reference-" + self.name)
            result = self.space.run(self.start(trial), self.cache(trial))
            if result.code != 0:
                raise SystemExit(f"{self.name} does not even run undisturbed: exit {result.code}: {result.err}")
            return self.outcome(trial), result.seconds
        return self.space.once("reference " + self.name, make)

    def outcome(self, trial):
        """All that counts of a finished folder, times left out."""
        folder, found = self.folder(trial), {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.name == "summary.json":
                summary = json.loads(path.read_text())
                found[name] = {key: value for key, value in summary.items() if key not in ("seconds", "teacher", "xxh3")}
            elif path.name == "metrics.csv":
                rows = list(csv.reader(path.read_text().splitlines()))
                column = rows[0].index("seconds") if rows and "seconds" in rows[0] else -1
                found[name] = [[cell for i, cell in enumerate(row) if i != column] for row in rows]
        return found

    def checkpoint_complaints(self, trial):
        """Of checkpoints as an accident left them."""
        return [complaint for path in self.folder(trial).rglob("checkpoints/*.safetensors")
                for complaint in [safetensors_complaint(path)] if complaint]

    def complaints(self, trial, same_end=True):
        """Does what a user does after an accident; then everything must be as if there had been none."""
        all_failed = []
        for arguments in self.go_on(trial):
            result = self.space.run(arguments, self.cache(trial))
            wrong = result.complaints()
            if wrong:
                return wrong
            if result.code == 0:
                break
            all_failed.append(f"exit {result.code}: {' '.join(result.argv)}: {result.reason()}")
        else:
            return ["the folder cannot go on: " + "; ".join(all_failed)]
        return self.end_complaints(trial, same_end)

    def end_complaints(self, trial, same_end=True):
        expected, found = self.reference()[0], self.outcome(trial)
        if not same_end:
            expected, found = sorted(expected), sorted(found)
        wrong = []
        if found != expected:
            wrong.append("another end: " + difference(expected, found))
        left = [str(path) for path in trial.rglob(".retort-*.tmp")]
        if left:
            wrong.append("left behind: " + ", ".join(left[:3]))
        return wrong

    def has_begun(self, trial):
        """Whether there is a run that must not be lost."""
        folder = self.folder(trial)
        return (folder / "config.toml").exists() or any(folder.rglob("checkpoints/*.safetensors"))


# Never results: times, and where things lie.
TIMES = {"seconds", "time", "made", "run", "folder"}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def difference(expected, found):
    for key in sorted(set(expected) | set(found)) if isinstance(expected, dict) else []:
        a, b = expected.get(key), found.get(key)
        if a != b:
            if isinstance(a, dict) and isinstance(b, dict):
                inner = next(k for k in sorted(set(a) | set(b)) if a.get(k) != b.get(k))
                key, a, b = f"{key}: {inner}", a.get(inner), b.get(inner)
            return f"{key}: {str(b)[:160]}, expected {str(a)[:160]}"
    return f"{str(found)[:200]}, expected {str(expected)[:200]}"


class Train(Job):
    name = "train"
    options = []

    def start(self, trial):
        return ["train", "--model", "resnet8", "--epochs", "3", *NETWORK, *self.options, "--out", self.folder(trial)]

    def go_on(self, trial):
        if self.has_begun(trial):
            return [[self.start(trial)[0], "--resume", self.folder(trial)]]
        return [self.start(trial), self.start(trial) + ["--force"]]


class Tune(Train):
    name = "tune"
    options = ["--tune"]


class Distill(Train):
    """With the teacher's logits stored and read again."""

    name = "distill"

    def teacher(self):
        def make():
            trial = self.space.new_folder("teacher")
            Train(self.space).reference()
            result = self.space.run(Train(self.space).start(trial), trial / "cache")
            assert result.code == 0, result.err
            return trial / "run"
        return self.space.once("teacher", make)

    def start(self, trial):
        return ["distill", "--student", "resnet8", "--teacher", self.teacher(), "--method", "kd", "--epochs", "3",
                "--teacher-source", "table", "--set", "data.views=2", *NETWORK, "--out", self.folder(trial)]


class Seeds(Job):
    name = "seeds"
    parallel = 2

    def start(self, trial):
        return ["train", "--model", "resnet8", "--epochs", "2", *NETWORK, "--seeds", "2", "--parallel", str(self.parallel),
                "--out", self.folder(trial)]

    def go_on(self, trial):
        if (self.folder(trial) / "seeds.toml").exists():
            return [["train", "--parallel", str(self.parallel), "--resume", self.folder(trial)]]
        return [self.start(trial), self.start(trial) + ["--force"]]


class SeedsInTurn(Seeds):
    """Its calls come in one order."""

    name = "seeds-in-turn"
    parallel = 1


class Compare(Job):
    name = "compare"
    parallel = 1

    def study(self):
        def make():
            file = self.space.folder / "study.toml"
            file.write_text(STUDY)
            return file
        return self.space.once("study", make)

    def start(self, trial):
        return ["compare", self.study(), "--parallel", str(self.parallel), "--out", self.folder(trial)]

    def go_on(self, trial):
        return [self.start(trial)]


class CompareParallel(Compare):
    name = "compare-parallel"
    parallel = 2


class Command(Job):
    """A command that reads a run and writes one file: what it leaves is that file, or nothing."""

    def __init__(self, space, name, arguments, target):
        super().__init__(space)
        self.name, self.arguments, self.target = name, arguments, target

    def start(self, trial):
        source = Distill(self.space).teacher()
        if self.name == "report":  # it writes beside what it reads
            if not self.folder(trial).exists():
                shutil.copytree(source, self.folder(trial) / "one")
            source = self.folder(trial)
        self.folder(trial).mkdir(exist_ok=True)
        return [str(part).replace("RUN", str(source)).replace("OUT", str(self.folder(trial) / self.target))
                for part in self.arguments]

    def go_on(self, trial):
        return [self.start(trial)]

    def outcome(self, trial):
        found = super().outcome(trial)
        for target in sorted(self.folder(trial).glob(self.target)):
            if target.suffix == ".json":
                content = json.loads(target.read_text())
                content["missing"] = [note for note in content.get("missing", []) if not names_a_file(note, trial)]
                content.pop("xxh3", None)  # of the notes too; what else it is of is compared
                found[target.name] = without_times(content)
            elif target.suffix in (".html", ".md"):
                text = "\n".join(line for line in target.read_text().splitlines() if not names_a_file(line, trial))
                if target.suffix == ".html":  # its numbers are those of report.json, among times
                    text = re.sub(r"[0-9]+", "#", text)
                found[target.name] = hash(text)
            else:
                found[target.name] = hash(target.read_bytes())
        return found


def names_a_file(line, trial):
    """Whether a report's line is about a file of this trial: that it could not be read may be said, and no more."""
    return f"{trial.name}/" in line


def commands(space):
    return [Command(space, "report", ["report", "RUN", "--threads", "1"], "report.*"),
            Command(space, "export", ["export", "RUN", "--to", "onnx", "-o", "OUT"], "net.onnx"),
            Command(space, "import",
                    ["import", "RUN/checkpoints/last.safetensors", "--model", "resnet8", "--out", "OUT"],
                    "net.safetensors")]
