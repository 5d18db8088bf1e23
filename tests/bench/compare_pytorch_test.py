#!/usr/bin/env python3
"""bench/rivals/compare_pytorch.py with two programs that only write down when they were asked.

What is at stake is a comparison that says "three times as fast" because the rival was still importing or compiling beside
our first round: it must be ready, asked for no time, before ours starts at all.
"""
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

OURS = """#!/usr/bin/env python3
import json, os
with open(os.environ["LOG"], "a") as log:
    log.write("retort\\n")
print(json.dumps({"median_ms": 1.0, "mean_ms": 1.0}))
"""
# Stands for the interpreter that has PyTorch: it is given the worker's path, which it does not run.
RIVAL = """#!/usr/bin/env python3
import json, os, sys, time
def note(text):
    with open(os.environ["LOG"], "a") as log:
        log.write(text + "\\n")
time.sleep(0.1)  # imports
note("imported")
print(json.dumps({"torch": "none"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["seconds"] == 0:
        time.sleep(0.1)  # compiles
        note("warm")
    else:
        note("pytorch")
    print(json.dumps({"variant": "eager", "variants": {"eager": 2.0}}), flush=True)
"""


class ComparePyTorch(unittest.TestCase):
    def order(self, section):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "log")
            programs = {}
            for name, text in (("ours", OURS), ("rival", RIVAL)):
                programs[name] = os.path.join(folder, name)
                pathlib.Path(programs[name]).write_text(text)
                os.chmod(programs[name], stat.S_IRWXU)
            out = subprocess.run(
                [sys.executable, ROOT / "bench/rivals/compare_pytorch.py", "--only", section, "--rounds", "2"]
                + ["--threads", "1", "--pairs", "resnet8:resnet20", "--methods", "kd", "--seconds", "0.01"]
                + ["--binary", programs["ours"], "--python", programs["rival"]],
                env=os.environ | {"LOG": log},
                capture_output=True,
                text=True,
                timeout=100,
            )
            self.assertEqual(out.returncode, 0, out.stderr)
            self.assertIn("2.00 (2.00-2.00)", out.stdout)
            return pathlib.Path(log).read_text().split()

    def test_the_rival_is_ready_before_the_first_round(self):
        # Every row: what it does once first, then in turns, the other way round in the second round.
        row = ["warm", "retort", "pytorch", "pytorch", "retort"]
        self.assertEqual(self.order("steps"), ["imported"] + 4 * row)  # train, kd, kd from a table, eval
        self.assertEqual(self.order("data"), ["imported"] + row)


if __name__ == "__main__":
    unittest.main()
