"""What runs and studies leave in their folders, as plain dicts, once it is known to be what was written there."""

import csv
import ctypes
import json
import os
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._errors import Error, FileError
from ._library import library


def _check(path: Path) -> None:
    """Holds a run's folder, or a study's file, against its hashes, and warns where it has none."""
    message = ctypes.create_string_buffer(2000)
    code = library.retort_check_record(os.fsencode(path), message, len(message))
    told = message.value.decode(errors="replace")
    if code != 0:
        raise FileError(told, code) if code == 3 else Error(told, code)
    if told:
        warnings.warn(told, stacklevel=3)


def _read(file: Path, kind: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{file}: {error.strerror}", 3) from error
    except ValueError as error:
        raise FileError(f"{file}: is no {kind}: {error}", 3) from error


def _json(file: Path) -> Any:
    return _read(file, "JSON", json.loads)


def _toml(file: Path) -> dict[str, Any]:
    return _read(file, "TOML", tomllib.loads)


def _metrics(file: Path) -> dict[str, list[float]]:
    """Columns by name; a last line without its end, cut off by a kill, is left out."""
    text = _read(file, "text", str)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    lines = [line for line in lines if not line.startswith("#")]
    rows = list(csv.reader(lines))
    if not rows or rows[0][:1] != ["epoch"]:
        raise FileError(f"{file}: is no table of metrics, expected columns epoch, lr, ...", 3)
    columns: dict[str, list[float]] = {name: [] for name in rows[0]}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise FileError(f"{file}:{number}: {len(row)} cells, expected {len(rows[0])}", 3)
        try:
            for name, cell in zip(rows[0], row):
                columns[name].append(int(cell) if name == "epoch" else float(cell) if cell else float("nan"))
        except ValueError as error:
            raise FileError(f"{file}:{number}: {error}", 3) from error
    return columns


def read_run(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """A run's folder as {"folder", "settings", "summary", "environment", "metrics"}: config.toml, summary.json, env.json,
    and the columns of metrics.csv by name. Those that the run did not leave yet are None. FileError, an OSError of code 3,
    if the folder holds no run, a file of it cannot be read, or does not hold: its hash is another, or the run's checkpoint
    says otherwise. A folder of 0.1.0, which has no hashes, is read with a warning."""
    path = Path(folder)
    _check(path)
    run: dict[str, Any] = {"folder": str(path), "settings": _toml(path / "config.toml")}
    for key, name, read in (
        ("summary", "summary.json", _json),
        ("environment", "env.json", _json),
        ("metrics", "metrics.csv", _metrics),
    ):
        run[key] = read(path / name) if (path / name).exists() else None
    return run


def read_study(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """A study's folder: what results.json says, under "runs" each run of it that is there (see read_run) by its folder
    within the study, and under "report" what `retort report` wrote, or None. A published study, which is a report alone,
    has no "pairs" but those of the report. FileError, an OSError, if there is neither, or what is there does not hold as in
    read_run(); a file without a hash is read with a warning."""
    path = Path(folder)
    results, report = path / "results.json", path / "report.json"
    if not results.is_file() and not report.is_file():
        raise FileError(f"{path}: is no study's folder, expected one with results.json or report.json", 3)
    for file in (results, report):
        if file.exists():
            _check(file)
    study: dict[str, Any] = dict(_json(results)) if results.is_file() else {}
    study["folder"] = str(path)
    study["report"] = _json(report) if report.is_file() else None
    study["runs"] = {}
    for file in sorted(path.rglob("config.toml")):
        study["runs"][file.parent.relative_to(path).as_posix()] = read_run(file.parent)
    return study
