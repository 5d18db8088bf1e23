"""Damaged files: whatever the program wrote and reads again. Found and said, or of no matter; never another result; and what
a command refuses, `retort check` finds too."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

from jobs import DATA, NETWORK, Compare, Distill, Seeds, Train, Tune, difference, without_times


def flip(data, chance, times):
    data = bytearray(data)
    for _ in range(times):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def cut_at_line(data, chance):
    ends = [i + 1 for i, byte in enumerate(data[:-1]) if byte == 10]
    return data[:chance.choice(ends)] if ends else None


def other_digit(data, chance):
    places = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
    if not places:
        return None
    at = chance.choice(places)
    other = chance.choice([digit for digit in range(48, 58) if digit != data[at]])
    return data[:at] + bytes([other]) + data[at + 1:]


def zeroed(data, chance):
    third = max(1, len(data) // 3)
    at = chance.randrange(len(data) - third + 1)
    return data[:at] + bytes(third) + data[at + third:]


# Each gives the damaged bytes, or None where it does not apply.
DAMAGES = {
    "one bit": lambda data, chance: flip(data, chance, 1),
    "50 bits": lambda data, chance: flip(data, chance, 50),
    "cut": lambda data, chance: data[:chance.randrange(len(data))],
    "cut at a line": cut_at_line,
    "a third zeroed": zeroed,
    "digit": other_digit,
}


class Fixture:
    """A folder of files, always at the same place, and the commands that read it."""

    def __init__(self, space, name, make, readers, outcome=None, check=("run",)):
        self.space, self.name, self.make, self.readers, self.outcome = space, name, make, readers, outcome
        self.check = check
        self.place = space.folder / "place-of-flips"

    def pristine(self):
        def make():
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir()
            self.make(self.place)
            kept = self.space.new_folder("pristine")
            shutil.copytree(self.place, kept / "all")
            return kept / "all"
        return self.space.once("pristine " + self.name, make)

    def restore(self):
        kept = self.pristine()
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(kept, self.place)

    def read(self, reader):
        """(the command's Result, what it tells, the state of the folder)"""
        arguments = [str(part).replace("PLACE", str(self.place)) for part in self.readers[reader]]
        result = self.space.run(arguments, self.place / "cache")
        told = result.out
        if result.code == 0:
            try:
                told = without_times(json.loads(result.out))
            except ValueError:
                pass
        return result, told, self.outcome(self.place) if self.outcome and result.code == 0 else {}

    def complaints_of_check(self, why):
        """What `retort check` says of files that a command refused; these were not changed since."""
        for place in self.check:
            result = self.space.run(["check", self.place / place], self.place / "cache")
            wrong = result.complaints()
            if wrong or result.code != 0:
                return wrong
        return [f"check finds nothing, after: {why}"]

    def expected(self, reader):
        def make():
            self.restore()
            result, told, state = self.read(reader)
            if result.code != 0:
                raise SystemExit(f"flips: {reader} of the undamaged {self.name}: exit {result.code}: {result.err}")
            return told, state
        return self.space.once(f"expected {self.name} {reader}", make)


def run_job(job, place):
    result = job.space.run(job.start(place), job.cache(place))
    if result.code != 0:
        raise SystemExit(f"flips: {result.argv}: exit {result.code}: {result.err}")


def stop_halfway(job, place):
    """A run that was killed behind its first epoch."""
    process = subprocess.Popen([job.space.retort, *map(str, job.start(place))], start_new_session=True,
                               env=job.space.environment(job.cache(place)), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    metrics = job.folder(place) / "metrics.csv"
    while process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= 2:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return
        time.sleep(.002)
    raise SystemExit("flips: the run could not be stopped in its middle")


def fixtures(space):
    train, tune, distill, compare, seeds = Train(space), Tune(space), Distill(space), Compare(space), Seeds(space)

    def make_study(place):
        run_job(compare, place)
        space.run(["report", place / "run", "--threads", "1"], place / "cache")

    def make_half_seeds(place):
        run_job(seeds, place)
        shutil.rmtree(place / "run" / "seed-2")

    def make_export(form):
        def make(place):
            run_job(train, place)
            space.run(["export", place / "run", "--to", form, "-o", place / f"net.{form}"], place / "cache")
            shutil.rmtree(place / "run")
        return make

    def export_of(form):
        """What is read of every export."""
        return {"eval": ["eval", "--weights", f"PLACE/net.{form}", *synthetic],
                "predict": ["predict", "--weights", f"PLACE/net.{form}", "--data", DATA, "--image", "3", "--json"],
                "check": ["check", f"PLACE/net.{form}", "--json"]}

    def make_two(place):
        run_job(train, place)
        shutil.copytree(place / "run", place / "other")

    def make_cache(place):
        run_job(distill, place)
        shutil.rmtree(place / "run")

    def make_tuned_cache(place):
        run_job(tune, place)
        shutil.rmtree(place / "run")

    synthetic = ["--data", "synthetic:train=32,test=16", "--threads", "1", "--json"]
    resume = {"resume": ["train", "--resume", "PLACE/run", "--json"]}
    readers = {
        **resume,
        "eval": ["eval", "--weights", "PLACE/run", "--threads", "1", "--json"],
        "eval best": ["eval", "--weights", "PLACE/run:best", "--threads", "1", "--json"],
        "distill": ["distill", "--teacher", "PLACE/run", "--student", "resnet8", "--method", "kd", "--epochs", "1",
                    *NETWORK, "--teacher-source", "live", "--out", "PLACE/student", "--json"],
        "report": ["report", "PLACE", "--threads", "1", "--json"],
        "check": ["check", "PLACE/run", "--json"],
        "predict": ["predict", "--weights", "PLACE/run", "--image", "3", "--json"],
        "explain": ["explain", "--weights", "PLACE/run", "--teacher", "PLACE/run:best", "--image", "3"],
        "export": ["export", "PLACE/run", "--to", "infer", "-o", "PLACE/net.retort", "--json"],
        "info": ["info", "PLACE/run", "--json"],
    }
    lists = {"ls": ["ls", "PLACE", "--json"], "diff": ["diff", "PLACE/run", "PLACE/other", "--json"]}
    return [
        Fixture(space, "finished run", lambda place: run_job(train, place), readers),
        Fixture(space, "half a run", lambda place: stop_halfway(train, place), resume, train.outcome),
        Fixture(space, "tuned half run", lambda place: stop_halfway(tune, place), resume, train.outcome),
        Fixture(space, "study", make_study, {
            "compare": [*compare.start(space.folder)[:-1], "PLACE/run", "--json"],
            "report": ["report", "PLACE/run", "--threads", "1", "--json"],
            "report again": ["report", "PLACE/run", "--threads", "1", "--json", "--out", "PLACE/page"]}),
        Fixture(space, "half of two seeds", make_half_seeds, resume, seeds.outcome),
        Fixture(space, "two runs", make_two, lists, check=("run", "other")),
        Fixture(space, "export", make_export("safetensors"), {
            **export_of("safetensors"),
            "info": ["info", "PLACE/net.safetensors", "--json"],
            "import": ["import", "PLACE/net.safetensors", "--model", "resnet8", "--out", "PLACE/again.safetensors",
                       "--json"]}, check=("net.safetensors",)),
        Fixture(space, "export to ONNX", make_export("onnx"), export_of("onnx"), check=("net.onnx",)),
        Fixture(space, "export to the library", make_export("infer"), export_of("infer"), check=("net.infer",)),
        Fixture(space, "logits", make_cache, {"distill": [*distill.start(space.folder)[:-1], "PLACE/run", "--json"]}, check=()),
        Fixture(space, "tuning", make_tuned_cache, {"train": [*tune.start(space.folder)[:-1], "PLACE/run"]}, check=()),
    ]


def trials(space, seed):
    number, chosen = 0, fixtures(space)
    while True:
        chance = random.Random(f"flips {seed} {number}")
        fixture = chance.choice(chosen)
        yield (str(number), None, lambda fixture=fixture, chance=chance: trial(fixture, chance))
        number += 1


def trial(fixture, chance):
    reader = chance.choice(sorted(fixture.readers))
    expected, expected_state = fixture.expected(reader)
    fixture.restore()
    files = sorted(path for path in fixture.place.rglob("*") if path.is_file() and path.stat().st_size > 0)
    path = chance.choice(files)
    name = chance.choice(sorted(DAMAGES))
    before = path.read_bytes()
    damaged = DAMAGES[name](before, chance)
    if damaged is None:
        name, damaged = "one bit", flip(before, chance, 1)
    path.write_bytes(damaged)
    result, told, state = fixture.read(reader)
    wrong = result.complaints()
    if path.exists() and path.read_bytes() == damaged:  # nothing was made of it, and nothing need be
        untouched = str(path.relative_to(fixture.place)).removeprefix("run/")
        state = {**state, untouched: expected_state.get(untouched)} if untouched in state else state
    if not wrong and result.code not in (0, 8) and path.exists() and path.read_bytes() == damaged and fixture.check:
        wrong = fixture.complaints_of_check(f"exit {result.code}: {result.reason()}")
    # What a run goes on from is mended, finished or not.
    if not wrong and result.code == 0 and reader == "resume" and path.name in ("last.safetensors", "previous.safetensors"):
        wrong = [f"{path.name} is still damaged"] if path.exists() and path.read_bytes() == damaged else []
    # Measured convolutions are measured again, and may be others.
    same_end = fixture.name != "tuning"
    if said(told, expected, path):
        same_end = False
    if not wrong and result.code == 0 and same_end and (told, state) != (expected, expected_state):
        wrong = ["believed: " + difference_of([expected, expected_state], [told, state])]
    what = f"{fixture.name}, {path.relative_to(fixture.place)}, {name}, {reader}: "
    kind = f"{path.name.split('.tfevents')[0]}: " + name
    shutil.rmtree(fixture.place, ignore_errors=True)
    return [what + one for one in wrong], 1, kind


def said(told, expected, path):
    """Whether a report, a list of runs or a comparison names the file as one that it could not use: what came of it is then
    missing, or as a note says, and not another."""
    if not isinstance(told, dict) or not isinstance(expected, dict):
        return False
    named = [told, *(one for one in told.get("runs", []) if isinstance(one, dict))]
    notes = [note for one in named for note in [*one.get("missing", []), *one.get("notes", []), one.get("problem", "")]]
    return any(path.name in str(note) for note in notes if note not in expected.get("missing", []))


def difference_of(expected, found):
    """The first place where two results differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(set(expected) | set(found)):
            if expected.get(key) != found.get(key):
                return f"{key}: " + difference_of(expected.get(key), found.get(key))
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (a, b) in enumerate(zip(expected, found)):
            if a != b:
                return f"{i}: " + difference_of(a, b)
    return difference(expected, found)
