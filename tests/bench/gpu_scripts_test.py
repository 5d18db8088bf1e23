#!/usr/bin/env python3
"""bench/gpu_first_run.sh, gpu_run.sh and gpu_results.py, end to end, with programs that succeed, crash, hang, skip and do
nothing.

What is at stake is a quarter of an hour on a GPU that nobody repeats: a stage that ran nothing must not be green, and a kill
must not lose what was done. No time is asserted but that a hanging program is stopped: where a busy machine did not even
begin it in the seconds that a part had, the part is given more.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

STEP = """#!/bin/bash
case "$DUMMY_STEP" in
  crash) kill -SEGV $$ ;;
  half) echo '{"median_ms": 1'; exit 9 ;;
  silent) exit 0 ;;
  hang) sleep 1000 ;;
esac
echo "emulated device, CUDA 13.0, cooperative ${RETORT_CUDA_COOPERATIVE-1}" >&2
echo '{"median_ms": 1.25, "q1_ms": 1.2, "q3_ms": 1.5, "n": 40, "chained_ms": 1.125}'
"""
TESTS = """#!/bin/bash
[ "${RETORT_TEST_DEVICE-$DUMMY_HOST}" = pretended ] || { echo "RETORT_TEST_DEVICE is not set"; exit 8; }
case "$DUMMY_TESTS" in
  captureless) [[ "$*" != *Capture* ]] || exit 1 ;;
  waiting) [ "$RETORT_CUDA_COOPERATIVE$RETORT_CUDA_PROGRAMMATIC" = 00 ] || exit 1 ;;
  crash) kill -SEGV $$ ;;
  none) echo '[  PASSED  ] 0 tests.'; exit 0 ;;
  skip) echo '[  SKIPPED ] 1 test.'; echo '[  PASSED  ] 5 tests.'; exit 0 ;;
  hang) sleep 1000 ;;
esac
echo '[  PASSED  ] 7 tests.'
"""
RETORT = """#!/usr/bin/env python3
import json, os, pathlib, signal, sys, time
a = sys.argv
if a[1] == "import":
    sys.exit(pathlib.Path(a[a.index("--out") + 1]).write_text("weights") != 7)
if a[1] == "eval":
    sys.exit(print(json.dumps({"top1": float(os.environ.get("DUMMY_TOP1", "72.63"))})))
if "--teacher" in a and a[a.index("--teacher") + 1].endswith(".pth"):
    sys.exit("the file does not say which architecture it holds")
folder = pathlib.Path(a[a.index("--resume") + 1] if "--resume" in a else a[a.index("--out") + 1])
signals = []
signal.signal(signal.SIGTERM, lambda *_: signals.append(1))
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.toml").write_text("resumed" if "--resume" in a else "begun eager" if "--eager" in a else "begun")
if os.environ.get("DUMMY_RUN") == "hang":
    while not signals:
        time.sleep(0.05)
    time.sleep(1)  # as if it saved itself; a second signal would stop that
    (folder / "saved").write_text(f"after {len(signals)}")
    sys.exit(143)
if os.environ.get("DUMMY_RUN") == "nothing":
    sys.exit(0)
(folder / "summary.json").write_text(json.dumps({"status": "finished", "best": {"top1": 70.25}, "last": {"top1": 69.5}, "seconds": 99}))
"""
PYTORCH = """#!/bin/bash
[[ "$*" == *pytorch_step.py* ]] || exec REAL_PYTHON "$@"
[ "$DUMMY_PYTORCH" = crash ] && exit 3
[[ "$*" == *--device* ]] || exit 4
echo '{"model": "resnet20", "teacher": "resnet56", "method": "kd", "variant": "eager", "median_ms": 11.5}'
"""
SANITIZER = """#!/bin/bash
tool=$2
while [ "$1" != --print-limit ]; do shift; done
shift 2
"$@" || exit 9
case $DUMMY_SANITIZER$tool in
  blind*) ;;
  racecheck) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
  *) echo '========= ERROR SUMMARY: 0 errors' ;;
esac
"""
NCU = """#!/usr/bin/env python3
print('{"median_ms": 1, "q1_ms": 1, "q3_ms": 1, "n": 1, "chained_ms": 1, "device": "printed by the program itself"}')
print('"ID","Kernel Name","a","b","gpu__time_duration.sum","dram__bytes.sum"')
print('"","","","","us","Mbyte"')
for i in range(40):
    print(f'"{i}","{"mixed_sgd_of" if i % 10 == 9 else "apply"}","","","2.5","1.5"')
"""


class FirstRun(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        for name, text in (("build/retort", RETORT), ("build/tests/retort_tests", TESTS), ("build/bench/retort_bench_step", STEP),
                           ("bin/python3", PYTORCH), ("bin/compute-sanitizer", SANITIZER), ("bin/ncu", NCU)):
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("REAL_PYTHON", sys.executable))
            file.chmod(0o755)
        (self.path / "data").mkdir()
        (self.path / "data/train.bin").write_text("")
        (self.path / "teacher.pth").write_text("")
        self.out = self.path / "out"

    def tearDown(self):
        self.folder.cleanup()

    def start(self, part, seconds=300, **environment):
        return self.start_script("gpu_first_run.sh", part, "--out", str(self.out), "--seconds", str(seconds),
                                 "--data", str(self.path / "data"), "--teacher", str(self.path / "teacher.pth"), **environment)

    def start_script(self, script, *options, **environment):
        return subprocess.Popen(
            ["bash", str(ROOT / "bench" / script), *options, "--build", str(self.path / "build"), "--device", "pretended"],
            env={**os.environ, "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}", **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def run_part(self, part, seconds=300, **environment):
        return self.ended(self.start(part, seconds, **environment))

    def ended(self, process):
        text, _ = process.communicate(timeout=600)
        process.stdout.close()
        return process.returncode, text

    def stopped_part(self, part, begun, **environment):
        """Of a part that time stops, once what it is about has begun."""
        for seconds in (30, 60, 200):
            status, text = self.run_part(part, seconds, **environment)
            if begun():
                return status, text
            shutil.rmtree(self.out)
        self.fail(text)

    def state(self, name):
        for state in ("done", "failed"):
            if (self.out / "work" / state / name).exists():
                return state
        return "absent"

    def test_all_parts_succeed_and_leave_their_results(self):
        for part in "ABC":
            status, text = self.run_part(part)
            self.assertEqual(status, 0, text)
        for name in ("environment", "capture", "convolutions", "tests", "sanitizer-memcheck", "sanitizer-racecheck",
                     "steps-resnet56-resnet20-fp32", "steps-resnet32x4-resnet8x4-fp32", "steps-resnet56-resnet20-without",
                     "pytorch-resnet56-resnet20", "pytorch-compiled", "ncu-resnet32x4-resnet8x4", "resnet20-kd", "resnet20-pcd"):
            self.assertEqual(self.state(name), "done", name)
        left = sorted(p.name for p in self.out.iterdir() if p.is_file())
        self.assertLessEqual(len(left), 8)
        self.assertIn("summary.md", left)
        for name in left:
            self.assertRegex(name, r"^[A-Za-z0-9._-]+$")
        with tarfile.open(self.out / "runs.tar.xz") as archive:
            self.assertIn("runs/resnet20-pcd/summary.json", archive.getnames())
        summary = json.loads((self.out / "summary.json").read_text())
        self.assertEqual(summary["ncu"]["resnet56-resnet20"], {"kernels": 10, "us": 25.0, "dram_mb": 15.0})
        # The table of results, from that and nothing else; twice is once.
        target = self.path / "RESULTS.md"
        target.write_text("# R\n\nSome. No GPU was at hand.\n\n## CPU\n\ntext\n")
        for _ in range(2):
            subprocess.run([sys.executable, str(ROOT / "bench/gpu_results.py"), "section", str(self.out), "--into", str(target)], check=True)
        text = target.read_text()
        self.assertEqual(text.count("## On a GPU"), 1)
        self.assertNotIn("No GPU was at hand", text)
        self.assertIn("## CPU\n\ntext\n", text)
        for wanted in ("| resnet56-resnet20 | kd | fp32 | captured | 1.250 | 1.200-1.500 | 1.125 | 40 |",
                       "| resnet20-kd | finished | 70.25 | 69.50 | 99 | 70.66 |", "| resnet56-resnet20 | 10 | 200 | 25 | 15 |",
                       "| resnet56-resnet20 | kd | eager | 11.500 |", "No stage failed."):
            self.assertIn(wanted, text)

    def test_a_device_that_cannot_be_used_stops_everything(self):
        for dummy in ("crash", "silent", "half"):
            status, text = self.run_part("A", DUMMY_STEP=dummy)
            self.assertEqual(status, 4, text)
            self.assertEqual(self.state("environment"), "failed")
            self.assertEqual(self.state("capture"), "absent")
            self.assertTrue((self.out / "logs.tar.xz").exists())

    def test_tests_that_ran_nothing_skipped_or_crashed_are_failures(self):
        for dummy in ("none", "skip", "crash"):
            status, text = self.run_part("A", DUMMY_TESTS=dummy)
            self.assertEqual(status, 1, text)
            for name in ("capture", "tests", "sanitizer-memcheck"):
                self.assertEqual(self.state(name), "failed", (dummy, name))
        self.assertIn("capture", (self.out / "summary.md").read_text())
        status, text = self.run_part("A")  # what failed is tried again
        self.assertEqual(status, 0, text)

    def test_a_sanitizer_without_its_summary_saw_nothing(self):
        status, _ = self.run_part("A", DUMMY_SANITIZER="blind")
        self.assertEqual(status, 1)
        self.assertEqual(self.state("sanitizer-racecheck"), "failed")

    def test_a_crashing_step_is_no_half_line_and_no_success(self):
        status, _ = self.run_part("B", DUMMY_STEP="half")
        self.assertEqual(status, 1)
        self.assertEqual(self.state("steps-resnet56-resnet20-fp32"), "failed")
        self.assertEqual(json.loads((self.out / "steps.json").read_text()), [])
        self.assertEqual(self.state("pytorch-resnet56-resnet20"), "done")

    def test_pytorch_that_fails_fails(self):
        status, _ = self.run_part("B", DUMMY_PYTORCH="crash")
        self.assertEqual(status, 1)
        self.assertEqual(self.state("pytorch-compiled"), "failed")
        self.assertEqual(self.state("steps-resnet56-resnet20-fp32"), "done")

    def test_kernels_that_wait_for_each_other_are_given_up_before_capture_is(self):
        status, text = self.run_part("A", DUMMY_TESTS="waiting")
        self.assertEqual(status, 1, text)
        self.assertEqual((self.state("capture"), self.state("capture-plain")), ("failed", "done"))
        self.assertEqual(self.state("tests"), "done")
        self.run_part("B")
        self.assertIn("cooperative 0", (self.out / "work/logs/steps-resnet56-resnet20-fp32.err").read_text())
        self.assertNotIn("not captured", text)

    def test_where_nothing_can_be_captured_all_that_follows_is_eager(self):
        status, text = self.run_part("A", DUMMY_TESTS="captureless")
        self.assertEqual(status, 1, text)
        self.assertEqual((self.state("capture-plain"), self.state("convolutions"), self.state("tests")), ("failed", "done", "done"))
        self.run_part("C")
        self.assertEqual((self.out / "work/runs/resnet20-kd/config.toml").read_text(), "begun eager")

    def test_the_results_are_copied_to_where_they_are_fetched_from(self):
        fetched = self.path / "fetched"
        fetched.mkdir()
        self.run_part("A", OUT=str(fetched))
        self.assertEqual(sorted(p.name for p in fetched.iterdir()),
                         sorted(p.name for p in self.out.iterdir() if p.is_file()))

    def test_a_hanging_program_is_stopped_in_time(self):
        status, text = self.stopped_part("A", lambda: self.state("environment") == "done", DUMMY_TESTS="hang")
        self.assertIn(status, (1, 3), text)
        self.assertEqual(self.state("capture"), "failed")

    def test_a_run_saves_itself_goes_on_and_one_that_did_nothing_failed(self):
        run = self.out / "work/runs/resnet20-kd"
        status, text = self.stopped_part("C", lambda: (run / "config.toml").exists(), DUMMY_RUN="hang")
        self.assertEqual(status, 3, text)
        self.assertEqual((run / "saved").read_text(), "after 1", "signals")
        with tarfile.open(self.out / "runs.tar.xz") as archive:
            self.assertIn("runs/resnet20-kd/saved", archive.getnames())
        status, text = self.run_part("C")
        self.assertEqual(status, 0, text)
        self.assertEqual((run / "config.toml").read_text(), "resumed")

    def test_nothing_is_learned_from_a_teacher_that_knows_nothing(self):
        status, text = self.run_part("C", DUMMY_TOP1="1.00")
        self.assertEqual(status, 1, text)
        self.assertEqual((self.state("teacher"), self.state("resnet20-kd")), ("failed", "absent"))

    def test_a_run_without_an_end_is_no_success(self):
        status, _ = self.run_part("C", DUMMY_RUN="nothing")
        self.assertEqual(status, 1)
        self.assertEqual(self.state("resnet20-kd"), "failed")

    def test_a_kill_leaves_what_was_packed(self):
        process = self.start("A", DUMMY_TESTS="hang")
        while not (self.out / "summary.md").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        with tarfile.open(self.out / "logs.tar.xz") as archive:
            self.assertIn("done/environment", archive.getnames())
        json.loads((self.out / "summary.json").read_text())
        status, text = self.run_part("A")
        self.assertEqual(status, 0, text)

    def test_part_c_says_whether_a_run_fits(self):
        self.assertIn("is not known", self.run_part("C")[1])
        self.run_part("B")
        text = self.run_part("C", 270)[1]
        self.assertIn("is expected to take 230 s", text)  # 240 (782 x 1.125 ms + 80 ms)
        self.assertIn("call C again", text)

    def longer(self, **environment):
        return self.ended(self.start_script("gpu_run.sh", "--results", str(self.out), "--quick", DUMMY_HOST="pretended", **environment))

    def test_the_longer_script_marks_what_failed(self):
        status, text = self.longer(DUMMY_STEP="half")
        self.assertEqual(status, 1, text)
        self.assertTrue((self.out / "failed/environment").exists())
        shutil.rmtree(self.out)
        status, text = self.longer(DUMMY_TESTS="none", DUMMY_PYTORCH="crash")
        self.assertEqual(status, 0, text)
        failed = {p.name for p in (self.out / "failed").iterdir()}
        self.assertEqual(failed, {"capture", "tests-devices", "tests-0", "pytorch-resnet20-resnet56-kd",
                                  "pytorch-resnet20-resnet56-pcd-released"})
        done = {p.name for p in (self.out / "done").iterdir()}
        self.assertLessEqual({"environment", "steps-resnet20-resnet56", "resnet56-tf32", "resnet20-pcd", "several-seeds"}, done)
        self.assertIn("- capture: failed", (self.out / "SUMMARY.md").read_text())

    def test_wrong_usage(self):
        for arguments in (["D"], ["A", "--out"], ["A", "--out", "x", "--seconds", "soon"], ["A", "--what", "x"]):
            done = subprocess.run(["bash", str(ROOT / "bench/gpu_first_run.sh"), *arguments], capture_output=True)
            self.assertEqual(done.returncode, 2, arguments)


if __name__ == "__main__":
    unittest.main()
