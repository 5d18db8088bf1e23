#!/usr/bin/env python3
"""bench/rivals/compare_methods.py with two programs that only write down when they were asked, and the headers that it writes.

What is at stake: both programs are ready before the first round, what a method adds is what its step has beyond the other one's,
and a header that was written twice states its cost once.
"""
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/rivals"))
import compare_methods

NOTE = """#!/usr/bin/env python3
import json, os, sys
def note(text):
    with open(os.environ["LOG"], "a") as log:
        log.write(text + "\\n")
"""
OURS = NOTE + """
method = sys.argv[sys.argv.index("--method") + 1]
taught = "--teacher" in sys.argv
note("warm " + method)
print(json.dumps({"device": "none"}), flush=True)
for line in sys.stdin:
    if line == "kernels\\n":
        kernels = {"conv 1": [3, 2.5], "conv 2": [1, 0.25]}
        if method == "sp":
            kernels |= {"conv 1": [3, 9.0], "conv 2": [2, 0.75], "gram": [1, 1.0]}
        note("kernels of " + method)
        print(json.dumps(kernels), flush=True)
        continue
    note(method)
    ms = {"ce": 1.0, "kd": 3.0}.get(method, 5.0)
    print(json.dumps({"median_ms": ms, "cpu_ms": 2 * ms, "n": 3}), flush=True)
"""
# Stands for the interpreter that has PyTorch: it is given the worker's path, which it does not run.
RIVAL = NOTE + """
print(json.dumps({"torch": "none", "methods": ["ce", "kd", "sp"]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    note("ready" if request["seconds"] == 0 else "pytorch " + ",".join(request["variants"]))
    found = {v: {"median_ms": 1.0 if request["method"] == "ce" else 10.0 if v == "eager" else 20.0, "cpu_ms": 20.0} for v in request["variants"]}
    print(json.dumps({"variant": "eager", "variants": found}), flush=True)
"""


class CompareMethods(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        for name, text in (("ours", OURS), ("rival", RIVAL)):
            (self.path / name).write_text(text)
            os.chmod(self.path / name, stat.S_IRWXU)

    def tearDown(self):
        self.folder.cleanup()

    def run_script(self, *arguments, code=0):
        out = subprocess.run(
            [sys.executable, ROOT / "bench/rivals/compare_methods.py", "--rounds", "2", "--seconds", "0.01", *arguments]
            + ["--binary", self.path / "ours", "--python", self.path / "rival"],
            env=os.environ | {"LOG": str(self.path / "log")},
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(out.returncode, code, out.stderr)
        return out

    def test_programs_are_ready_and_take_turns_the_other_way_round_in_the_next_round(self):
        out = self.run_script("--methods", "sp,ce").stdout
        log = (self.path / "log").read_text().splitlines()
        first, then = "pytorch eager,compile", "pytorch eager"
        sp = ["warm kd", "kernels of kd", "warm sp", "ready", "sp", first, then, "sp", "kernels of sp"]
        self.assertEqual(log, sp + ["warm ce", "ready", "ce", first, then, "ce", "kernels of ce"])
        # The first convolution is called as often as in kd's step: that it took longer is no cost of the method.
        self.assertIn("| sp | 5.00 (5.00-5.00) | 10.0 (10.0-10.0) | eager | 2.00 (2.00-2.00) | 2.00 (2.00-2.00) | 1.50 to kd |", out)
        self.assertIn("| ce | 1.00 (1.00-1.00) | 1.00 (1.00-1.00) | eager | 1.00 (1.00-1.00) | 10.00 (10.00-10.00) | - |", out)
        self.assertIn("\n- ce: conv 2.75\n", out)
        self.assertNotIn("- sp: ", out)

    def test_goes_on_where_it_was_stopped(self):
        results = self.path / "results.json"
        self.run_script("--methods", "ce", "--results", results)
        (self.path / "log").unlink()
        out = self.run_script("--methods", "ce,kd", "--results", results).stdout
        self.assertNotIn("ready\nce", (self.path / "log").read_text())
        self.assertIn("| kd | 3.00 (3.00-3.00) |", out)
        self.assertIn("0.00 to ce", out)
        self.assertEqual(len(json.loads(results.read_text())["rows"]), 2)

    def test_a_method_without_pytorch_code_is_named(self):
        self.assertIn("no code for at", self.run_script("--methods", "sp,at", code=1).stderr)

    def test_a_header_states_its_cost_once(self):
        source = self.path / "sp.cpp"
        source.write_text("// SP: a paper.\n// Two lines.\n#include <a.h>\n// Cost of something else\n")
        compare_methods.write_header(str(self.path), "sp", [("sp", "kd", 1.25)])
        compare_methods.write_header(str(self.path), "sp", [("sp", "kd", -0.31)])
        self.assertEqual(
            source.read_text(),
            "// SP: a paper.\n// Two lines.\n// Cost: -0.31 ms on kd (README.md).\n#include <a.h>\n// Cost of something else\n",
        )
        (self.path / "at.cpp").write_text("#include \"at.h\"\n")
        (self.path / "at.h").write_text("// AT: a paper.\n#pragma once\n")
        compare_methods.write_header(str(self.path), "at", [("at", "kd", 2.0), ("at2", "kd", 3.0)])
        self.assertEqual(
            (self.path / "at.h").read_text(), "// AT: a paper.\n// Cost: at +2.00 ms on kd, at2 +3.00 ms on kd (README.md).\n#pragma once\n"
        )


if __name__ == "__main__":
    unittest.main()
