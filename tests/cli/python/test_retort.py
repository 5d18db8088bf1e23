"""The Python module against the program: the same numbers, and an error for whatever is wrong.

RETORT_PROGRAM names the program; without it the one beside this Python, which a wheel installs.
"""

import copy
import ctypes
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import retort

PROGRAM = os.environ.get("RETORT_PROGRAM") or str(Path(sys.executable).with_name("retort"))
NETWORKS = Path(__file__).parents[2] / "data" / "networks"
LOGIT_METHODS = sorted(name for name, method in retort.methods().items() if not method["reads"]["features"])


def run(*arguments, cwd):
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=cwd, check=True, capture_output=True, text=True).stdout


def logits(samples=6, classes=20, dtype=np.float64):
    rng = np.random.default_rng(7)
    student = rng.normal(size=(samples, classes)).astype(dtype)
    teacher = (3 * rng.normal(size=(samples, classes))).astype(dtype)
    return student, teacher, rng.integers(0, classes, samples)


@pytest.mark.parametrize("method", LOGIT_METHODS)
def test_every_logit_method_equals_the_program(method, tmp_path):
    student, teacher, labels = logits()
    for name, array in (("zs", student), ("zt", teacher), ("y", labels)):
        np.save(tmp_path / f"{name}.npy", array)
    given, alike, second = [], None, {}
    if retort.methods()[method]["reads"]["two_views"]:
        second = {"strong_student": student[::-1] / 2, "strong_teacher": teacher[::-1] / 2}
        for name, array in second.items():
            np.save(tmp_path / f"{name}.npy", array)
            given += [f"--{name.replace('_', '-')}", f"{name}.npy"]
    if retort.methods()[method]["reads"]["class_similarity"]:
        alike = np.exp(-np.abs(np.subtract.outer(np.arange(20.0), np.arange(20.0))))
        np.save(tmp_path / "c.npy", alike)
        given += ["--similarity", "c.npy"]
    told = json.loads(
        run("loss", "--method", method, "--student", "zs.npy", "--teacher", "zt.npy", "--labels", "y.npy", "--grad", "g.npy",
            "--json", *given, cwd=tmp_path)
    )  # fmt: skip
    result = retort.loss(method, student, teacher, labels, similarity=alike, **second)
    assert result.value == pytest.approx(told["loss"], rel=1e-12)
    assert result.terms == pytest.approx(told["terms"], rel=1e-12)
    np.testing.assert_allclose(result.gradient, np.load(tmp_path / "g.npy"), rtol=1e-12, atol=1e-15)
    assert result.value == pytest.approx(sum(result.terms.values()))


def test_example_equals_the_program(tmp_path):
    example = Path(__file__).parents[3] / "cli" / "python" / "examples" / "pcd.py"
    path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
    subprocess.run([sys.executable, example], cwd=tmp_path, check=True, env={**os.environ, "PATH": path})


def test_gradient_is_the_slope():
    student, teacher, _ = logits(3, 8)
    gradient = retort.loss("kd", student, teacher).gradient
    step = 1e-6
    for i, k in ((0, 0), (1, 5), (2, 7)):
        more, less = student.copy(), student.copy()
        more[i, k] += step
        less[i, k] -= step
        slope = (retort.loss("kd", more, teacher).value - retort.loss("kd", less, teacher).value) / (2 * step)
        assert gradient[i, k] == pytest.approx(slope, abs=1e-8)


def test_types_and_layouts():
    student, teacher, labels = logits(dtype=np.float32)
    exact = retort.loss("pcd", student.astype(np.float64), teacher.astype(np.float64))
    result = retort.loss("pcd", student, teacher)
    assert result.gradient.dtype == np.float32 and result.value == exact.value
    single = retort.loss("pcd", student, teacher, precision="f32")
    assert single.value != exact.value and single.value == pytest.approx(exact.value, rel=1e-4)
    turned = retort.loss("pcd", np.asfortranarray(student), teacher[:, :])
    assert turned.value == exact.value
    assert retort.loss("pcd", student.tolist(), teacher.tolist()).gradient.dtype == np.float64
    assert retort.loss("ce", student, labels=labels.astype(np.int32)).value > 0


def test_settings():
    student, teacher, _ = logits()
    plain = retort.loss("pcd", student, teacher)
    assert retort.loss("pcd", student, teacher, temperature=2).value != plain.value
    assert retort.loss("pcd", student, teacher, standardize=True).value != plain.value
    assert retort.loss("pcd", student, teacher, ranking="difference", stages=np.int64(3)).value == plain.value


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("pdc",), {}, "did you mean 'pcd'"),
        (("pcd",), {"temprature": 2}, "did you mean 'temperature'"),
        (("pcd",), {"temperature": 0}, "temperature is '0'"),
        (("pcd",), {"precision": "f16"}, "precision"),
        (("fitnet",), {}, "features"),
        (("dkd",), {}, "reads labels"),
    ],
)
def test_wrong_settings_are_value_errors(arguments, settings, words):
    student, teacher, _ = logits()
    with pytest.raises(ValueError, match=words) as error:
        retort.loss(*arguments, student, teacher, **settings)
    assert isinstance(error.value, retort.Error) and error.value.code in (2, 3)


def test_a_similarity_is_finite():
    student, teacher, labels = logits()
    with pytest.raises(ValueError, match="the similarity"):
        retort.loss("wkd-l", student, teacher, labels, similarity=np.full((20, 20), np.nan))


def test_wrong_arrays_are_value_errors():
    student, teacher, labels = logits()
    nan = student.copy()
    nan[1, 2] = np.nan
    for wrong in (
        lambda: retort.loss("kd", student[0], teacher),
        lambda: retort.loss("kd", student, teacher[:, :-1]),
        lambda: retort.loss("kd", student),
        lambda: retort.loss("kd", nan, teacher),
        lambda: retort.loss("kd", student.astype(complex), teacher),
        lambda: retort.loss("kd", student[:0], teacher[:0]),
        lambda: retort.loss("dkd", student, teacher, labels + 100),
        lambda: retort.loss("dkd", student, teacher, labels.astype(float)),
        lambda: retort.loss("pcd", student[:, :2], teacher[:, :2], stages=5),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_threads_do_not_disturb_each_other():
    student, teacher, _ = logits(64, 50)
    expected = retort.loss("pcd", student, teacher).value
    values = []
    threads = [
        threading.Thread(target=lambda: values.extend(retort.loss("pcd", student, teacher).value for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [expected] * 20


def test_methods_say_what_they_take():
    methods = retort.methods()
    assert methods["pcd"]["paper"] == "arXiv:2505.24310"
    keys = {key["name"]: key for key in methods["pcd"]["keys"]}
    assert keys["ranking"]["type"] == "choice" and "none" in keys["ranking"]["choices"]
    assert methods["dkd"]["reads"]["labels"] and methods["fitnet"]["reads"]["features"]


@pytest.mark.parametrize("name", ["f32", "f16", "int8"])
def test_networks_predict(name):
    network = retort.load(NETWORKS / f"{name}.retort")
    assert network.mean is None  # this file does not say
    # The image and the logits that tests/examples/infer.c is held against.
    size = int(np.prod(network.shape))
    image = np.sin(0.37 * np.arange(size)).astype(np.float32).reshape(network.shape)
    prediction = network.predict(image)
    np.testing.assert_allclose(prediction.logits[0], np.loadtxt(NETWORKS / f"{name}.txt"), rtol=1e-5, atol=1e-5)
    assert prediction.labels.tolist() == [int(prediction.logits[0].argmax())]
    assert network.class_names is None and prediction.names is None  # nor this
    with pytest.raises(ValueError, match="how pixels are normalised"):
        network.predict(np.zeros(network.shape, np.uint8))


def test_pixels_are_normalised_as_the_file_says(study):
    run("export", "s/teacher", "--to", "infer", "-o", "net.retort", cwd=study.parent)
    network = retort.load(study.parent / "net.retort", threads=2)
    assert network.model == "resnet14" and network.shape == (32, 32, 3)
    pixels = np.random.default_rng(3).integers(0, 256, (5, 32, 32, 3), np.uint8)
    prediction = network.predict(pixels)
    assert prediction.logits.shape == (5, network.classes) and prediction.logits.dtype == np.float32
    np.testing.assert_array_equal(prediction.labels, prediction.logits.argmax(axis=1))
    assert network.class_names is not None and len(set(network.class_names)) == network.classes
    assert prediction.names == [network.class_names[label] for label in prediction.labels]
    np.testing.assert_allclose(prediction.probabilities().sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(network.predict(pixels[0]).logits[0], prediction.logits[0])
    floats = (pixels / np.float32(255) - np.float32(network.mean)) / np.float32(network.std)
    np.testing.assert_allclose(network.predict(floats).logits, prediction.logits, atol=1e-4)
    np.save(study.parent / "x.npy", floats.astype(np.float32))
    told = json.loads(run("predict", "--weights", "s/teacher", "x.npy", "--logits", "z.npy", "--json", cwd=study.parent))
    assert [image["top"][0]["name"] for image in told["predictions"]] == prediction.names
    np.testing.assert_allclose(prediction.logits, np.load(study.parent / "z.npy"), atol=1e-4)
    assert network.predict(pixels[:0]).labels.shape == (0,) and network.predict(pixels[:0]).names == []
    for wrong in (pixels[:, :-1], pixels.astype(np.int32), pixels[0, 0]):
        with pytest.raises(ValueError, match="expected uint8 or float"):
            network.predict(wrong)
    floats[0, 0, 0, 0] = np.nan
    with pytest.raises(retort.Error) as error:
        network.predict(floats)
    assert error.value.code == 5


def test_a_network_is_not_copied():
    network = retort.load(NETWORKS / "f32.retort")
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="load its file again"):
            copied(network)


def test_bad_network_files_are_os_errors(tmp_path):
    damaged = bytearray((NETWORKS / "f32.retort").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.retort").write_bytes(damaged)
    (tmp_path / "text.retort").write_text("no network")
    for name in ("nowhere.retort", "damaged.retort", "text.retort"):
        with pytest.raises(OSError, match=name) as error:
            retort.load(tmp_path / name)
        assert error.value.code == 3


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.toml").write_text(
        'title = "tiny"\n[settings]\nepochs = 1\nbatch = 32\ndata.spec = "synthetic:train=64,test=48"\n'
        '[teacher]\nmodel = "resnet14"\n[student]\nmodel = "resnet8"\n[[methods]]\nname = "kd"\n'
    )
    run("compare", "tiny.toml", "--out", "s", "--quiet", cwd=folder)
    return folder / "s"


def test_a_run_as_dicts(study):
    record = retort.read_run(study / "teacher")
    assert record["settings"]["model"] == "resnet14"
    assert record["summary"]["status"] == "finished"
    assert record["environment"]["data"] == "synthetic:train=64,test=48"
    assert record["metrics"]["epoch"] == [1]
    assert record["metrics"]["test_acc"][0] == pytest.approx(record["summary"]["last"]["top1"])
    json.dumps(record)  # plain values


def test_a_study_as_dicts(study):
    record = retort.read_study(study)
    assert record["title"] == "tiny" and record["report"] is None
    assert "teacher" in record["runs"] and len(record["runs"]) == 2
    run("report", "s", "--no-eval", "--quiet", cwd=study.parent)
    assert retort.read_study(study)["report"]["pairs"][0]["rows"]


def test_folders_without_records_are_os_errors(tmp_path):
    (tmp_path / "config.toml").write_text("epochs = ")
    (tmp_path / "empty").mkdir()
    for read, folder in ((retort.read_run, tmp_path), (retort.read_run, tmp_path / "empty"), (retort.read_study, tmp_path)):
        with pytest.raises(OSError):
            read(folder)


def changed(path, before, after):
    text = path.read_text()
    assert text.count(before) >= 1
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.toml", lambda file: changed(file, "batch = 32", "batch = 33")),
        ("config.toml", lambda file: changed(file, "# retort format", "# format")),
        ("summary.json", lambda file: changed(file, '"top1": ', '"top1": 1')),
        ("summary.json", lambda file: changed(file, '"xxh3"', '"xxh4"')),
        ("summary.json", lambda file: file.write_text("{}")),
        ("summary.json", lambda file: file.write_text('{"format": 2, "x": ' + "[" * 300000 + "]" * 300000 + "}")),
        ("env.json", lambda file: changed(file, '"synthetic:', '"cifar100:')),
        ("env.json", lambda file: file.write_text('{"data": "cifar100:forged"}')),
        ("metrics.csv", lambda file: changed(file, "\n1,", "\n1,7")),
        ("metrics.csv", lambda file: changed(file, "epoch,lr", "epoch,rl")),
        ("metrics.csv", lambda file: file.write_text(file.read_text().splitlines(keepends=True)[0])),
        ("env.json", lambda file: file.write_text('{"x": ' + "[" * 300000 + "]" * 300000 + ', "format": 2}')),
        ("env.json", lambda file: (file.unlink(), os.mkfifo(file))),
        ("summary.json", lambda file: (file.unlink(), os.mkfifo(file))),
    ],
)
def test_a_run_that_does_not_hold_is_refused(study, tmp_path, name, change):
    folder = tmp_path / "run"
    shutil.copytree(study / "teacher", folder)
    assert retort.read_run(folder)["summary"]["status"] == "finished"
    change(folder / name)
    with pytest.raises(retort.Error, match=name) as error:
        retort.read_run(folder)
    assert isinstance(error.value, OSError) and error.value.code == 3


def test_a_study_that_does_not_hold_is_refused(study, tmp_path):
    run("report", "s", "--no-eval", "--quiet", cwd=study.parent)
    folder = tmp_path / "study"
    shutil.copytree(study, folder)
    retort.read_study(folder)
    changed(folder / "results.json", '"title": "tiny"', '"title": "tidy"')
    with pytest.raises(OSError, match="results.json"):
        retort.read_study(folder)
    shutil.copy(study / "results.json", folder)
    changed(folder / "report.json", '"title": "tiny"', '"title": "tidy"')
    with pytest.raises(OSError, match="report.json"):
        retort.read_study(folder)
    shutil.copy(study / "report.json", folder)
    changed(folder / "teacher" / "summary.json", '"seed": ', '"seed": 1')
    with pytest.raises(OSError, match="teacher/summary.json"):
        retort.read_study(folder)


def test_folders_of_0_1_0_are_read_with_a_warning(tmp_path):
    with tarfile.open(NETWORKS.parent / "runs_0.1.0" / "finished.tar.gz") as archive:
        archive.extractall(tmp_path)
    with pytest.warns(UserWarning, match="finished: unbound: made by 0.1.0"):
        record = retort.read_run(tmp_path / "finished")
    assert record["summary"]["status"] == "finished" and record["metrics"]["epoch"]
    changed(tmp_path / "finished" / "summary.json", '"top1": ', '"top1": 1')
    with pytest.raises(OSError, match="summary.json"):  # the checkpoint says otherwise
        retort.read_run(tmp_path / "finished")


def test_the_library_shows_its_three_headers_alone():
    library = Path(retort.__file__).with_name("libretort_python.so")
    names = subprocess.run(["nm", "-D", "--defined-only", str(library)], check=True, capture_output=True, text=True).stdout
    assert all(line.split()[-1].startswith("retort_") for line in names.splitlines())
    for name in ("retort_loss", "retort_predict", "retort_class_name", "retort_check_record"):
        assert name in names
    assert ctypes.CDLL(str(library)).retort_loss(None, None) == 3
    assert ctypes.CDLL(str(library)).retort_check_record(None, None, 0) == 3


def test_as_a_loss_of_pytorch():
    torch = pytest.importorskip("torch")
    sys.path.insert(0, str(Path(__file__).parents[3] / "cli" / "python" / "examples"))
    from torch_loss import Distill

    student, teacher, _ = logits(4, 10)
    zs, zt = torch.tensor(student, requires_grad=True), torch.tensor(teacher)
    torch.autograd.gradcheck(lambda z: Distill("kd", temperature=3)(z, zt), (zs,))
    (2 * Distill("kd", temperature=3)(zs, zt)).backward()
    tau = 3
    p, q = torch.softmax(zt / tau, 1), torch.log_softmax(torch.tensor(student) / tau, 1)
    kl = (p * (p.log() - q)).sum(1).mean()
    assert Distill("kd", temperature=3)(zs, zt).item() == pytest.approx(0.9 * tau * tau * kl.item(), rel=1e-9)
    expected = 2 * 0.9 * tau * (torch.softmax(torch.tensor(student) / tau, 1) - p) / len(student)
    torch.testing.assert_close(zs.grad, expected)
    example = Path(__file__).parents[3] / "cli" / "python" / "examples" / "torch_loss.py"
    assert len(example.read_text().splitlines()) <= 60
    out = subprocess.run([sys.executable, str(example)], check=True, capture_output=True, text=True).stdout
    losses = [float(line.split()[-1]) for line in out.splitlines()]
    assert len(losses) == 5 and losses[-1] < losses[0]
