"""What all campaigns use: a folder to work in, the program, the shim between it and the operating system."""

import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Documented exit codes (`retort --help`) but 1, a bug of the program.
DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 8, 9, 129, 130, 138, 143}


def patience():
    """What time limits are multiplied with on a busy machine: many processes a core, and this one giving way to them."""
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return busy * (8 if os.nice(0) >= 10 and busy > 1.5 else 1)


class Result:
    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    def reason(self):
        lines = self.err.strip().splitlines()
        told = [line for line in lines if line.startswith("retort:") or "failed" in line] or lines[-1:]
        return "; ".join(told[-2:])[:400] or "no message"

    def complaints(self, expected_signal=None):
        """Whatever was done to the program: it ends by itself, with a documented code, and says why."""
        shown = " ".join(self.argv)
        if self.code is None:
            return [f"hangs: {shown}"]
        if self.code < 0 and -self.code != expected_signal:
            return [f"killed by signal {-self.code} ({signal.Signals(-self.code).name}): {shown}: {self.reason()}"]
        if self.code >= 0 and self.code not in DOCUMENTED:
            return [f"exit {self.code}: {shown}: {self.reason()}"]
        if self.code > 0 and not self.err.strip() and not self.out.strip():
            return [f"exit {self.code} without a word: {shown}"]
        return []


class Space:
    """A folder of its own below the temporary folder, and the program that is tried."""

    def __init__(self, retort, seed, slow=1.0):
        self.retort, self.seed, self.slow = str(Path(retort).resolve()), seed, slow
        self.folder = Path(tempfile.mkdtemp(prefix="retort-campaign-"))
        self.made = 0
        self._shared = {}
        self._libraries = {}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def once(self, key, make):
        """What several trials share, made when it is first asked for."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def new_folder(self, name="trial"):
        self.made += 1
        folder = self.folder / f"{name}-{self.made}"
        folder.mkdir()
        return folder

    def library(self, source):
        """A C file beside this one as a shared library."""
        if source not in self._libraries:
            target = self.folder / (Path(source).stem + ".so")
            command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-o", str(target),
                       str(HERE / source), "-ldl", "-pthread"]
            subprocess.run(command, check=True)
            self._libraries[source] = str(target)
        return self._libraries[source]

    def environment(self, cache, extra=None):
        env = {name: value for name, value in os.environ.items() if not name.startswith("RETORT_")}
        env.update({"RETORT_CACHE": str(cache), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"})
        env.update(extra or {})
        return env

    def run(self, arguments, cache, extra=None, cwd=None, seconds=60, before=None):
        """retort with these arguments. Result.code is None if it had to be ended after `seconds`,
        more on a busy machine."""
        argv = [self.retort, *map(str, arguments)]
        started = time.monotonic()
        process = subprocess.Popen(argv, env=self.environment(cache, extra), cwd=cwd or self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True, preexec_fn=before)
        try:
            out, err = process.communicate(timeout=seconds * self.slow * patience())
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            code = None
        return Result(argv[1:], code, out.decode(errors="replace"), err.decode(errors="replace"),
                      time.monotonic() - started)

    def run_and_kill(self, arguments, cache, after):
        """The same, killed with its group after so many seconds; Result.code is -SIGKILL if it was still there."""
        argv = [self.retort, *map(str, arguments)]
        started = time.monotonic()
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(argv, env=self.environment(cache), cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
            try:
                process.wait(timeout=after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            errors.seek(0)
            err = errors.read().decode(errors="replace")
        return Result(argv[1:], process.returncode, "", err, time.monotonic() - started)

    def shim(self, prefixes, log, **settings):
        """Environment that puts the shim between; settings: see shim.c."""
        env = {"LD_PRELOAD": self.library("shim.c"), "RETORT_SHIM_PREFIXES": ":".join(map(str, prefixes)),
               "RETORT_SHIM_LOG": str(log)}
        for name, value in settings.items():
            env["RETORT_SHIM_" + name.upper()] = str(value)
        return env


def read_log(log):
    """The shim's log: (number, call, path, names that were not durable)."""
    calls = []
    for line in Path(log).read_text(errors="replace").splitlines():
        number, call, rest = line.split(" ", 2)
        path, names = rest.rsplit(" ", 1)
        calls.append((int(number), call, path, int(names)))
    return calls


def masked(call):
    """What tells calls apart: the operation and the path, every number in it as #."""
    _, operation, path, _ = call
    out = []
    for c in path:
        if not c.isdigit():
            out.append(c)
        elif not out or out[-1] != "#":
            out.append("#")
    return operation + " " + "".join(out)


def distinct_calls(calls):
    """One of each kind; of equal neighbours, as the writes of a checkpoint, the first, the second and the last. A call
    counts as another one where another call comes before it."""
    chosen, seen, before, at = [], set(), "", 0
    while at < len(calls):
        kind = masked(calls[at])
        end = at
        while end < len(calls) and masked(calls[end]) == kind:
            end += 1
        if (before, kind) not in seen:
            seen.add((before, kind))
            chosen += [calls[i] for i in sorted({at, min(at + 1, end - 1), end - 1})]
        before, at = kind, end
    return chosen


def safetensors_parts(data):
    """(header, bytes of the tensors). ValueError where the header is no JSON."""
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + length]), data[8 + length:]


def safetensors_complaint(path):
    """Why this is no whole safetensors file, or None. Its hashes are the program's to check."""
    data = path.read_bytes()
    if len(data) < 8:
        return f"{path}: {len(data)} bytes"
    try:
        header, tensors = safetensors_parts(data)
    except ValueError:
        return f"{path}: its header is no JSON"
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    return None if end == len(tensors) else f"{path}: {len(tensors)} bytes of tensors, expected {end}"
