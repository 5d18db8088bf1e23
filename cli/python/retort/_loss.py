"""Every method that compares logits, of one view or two, as a function of numpy arrays."""

import ctypes
import json
from ctypes import c_char_p, c_double, c_int64
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._errors import Error, SettingsError
from ._library import LossInput, LossOutput, LossTerm, library, pointer


class Loss(NamedTuple):
    """What a method says of some logits."""

    value: float
    """The sum of the terms, a mean over the samples; cross-entropy and warm-up of a training are left out."""
    terms: dict[str, float]
    """Each term by its name, weighted."""
    gradient: npt.NDArray[Any]
    """d value / d student, of the student's shape and type; of a second view there is none."""


def methods() -> dict[str, dict[str, Any]]:
    """The methods by name: title, paper, what each reads ({"teacher": True, "labels": False, "features": False,
    "two_views": False, "class_similarity": False}), and its keys, a list of {name, type, default, expected, help, choices}. Those that read features have no `loss`."""
    size = library.retort_methods_json(None, 0)
    text = ctypes.create_string_buffer(size)
    library.retort_methods_json(text, size)
    return {method["name"]: method for method in json.loads(text.value)}


def _matrix(what: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise SettingsError(f"loss: {what} {array.dtype} {list(array.shape)}, expected a matrix of numbers", 3)
    return np.ascontiguousarray(array, np.float64)


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def loss(
    method: str,
    student: npt.ArrayLike,
    teacher: npt.ArrayLike | None = None,
    labels: npt.ArrayLike | None = None,
    *,
    strong_student: npt.ArrayLike | None = None,
    strong_teacher: npt.ArrayLike | None = None,
    similarity: npt.ArrayLike | None = None,
    precision: str = "f64",
    **settings: Any,
) -> Loss:
    """The distillation loss of `method` ("kd", "dkd", "pcd", ...), as `retort loss` computes it.

    student, teacher: logits [samples, classes]; teacher may be left out for a method that reads none. labels: integers
    [samples], for methods that read them. strong_student, strong_teacher: the same of a second view, both or none, for methods
    that read two. similarity: [classes, classes], how alike a teacher sees the classes, for methods
    that read it. precision: "f64", or "f32" as training computes. settings: the method's keys, as in `temperature=2, standardize=True`; see methods().

    SettingsError, a ValueError, for what is not known or does not fit; Error for a loss that is not finite.
    """
    zs = _matrix("the student's logits are", student)
    zt = None if teacher is None else _matrix("the teacher's logits are", teacher)
    if zt is not None and zt.shape != zs.shape:
        raise SettingsError(f"loss: the teacher's logits are {list(zt.shape)}, the student's {list(zs.shape)}", 3)
    second = [
        None if given is None else _matrix(f"the second view's {whose} logits are", given)
        for whose, given in (("student", strong_student), ("teacher", strong_teacher))
    ]
    for array in second:
        if array is not None and array.shape != zs.shape:
            raise SettingsError(f"loss: a second view's logits are {list(array.shape)}, the student's {list(zs.shape)}", 3)
    y = None
    if labels is not None:
        given = np.asarray(labels)
        if given.shape != zs.shape[:1] or given.dtype.kind not in "iu":
            raise SettingsError(
                f"loss: the labels are {given.dtype} {list(given.shape)}, expected integers [{zs.shape[0]}]", 3
            )
        y = np.ascontiguousarray(given, np.int64)
    alike = None if similarity is None else _matrix("the similarity is", similarity)
    if alike is not None and alike.shape != (zs.shape[1], zs.shape[1]):
        raise SettingsError(f"loss: the similarity is {list(alike.shape)}, expected [{zs.shape[1]}, {zs.shape[1]}]", 3)
    if precision not in ("f32", "f64"):
        raise SettingsError(f"loss: precision is {precision!r}, expected 'f32' or 'f64'", 2)

    words = [word.encode() for key, value in settings.items() for word in (key, _text(value))]
    texts = (c_char_p * max(len(words), 1))(*words)
    request = LossInput(
        method.encode(), texts, len(settings), *zs.shape, pointer(zs, c_double), pointer(zt, c_double),
        pointer(y, c_int64), *(pointer(array, c_double) for array in second), pointer(alike, c_double), int(precision == "f32"),
    )
    gradient = np.zeros_like(zs)
    terms = (LossTerm * 16)()
    message = ctypes.create_string_buffer(1000)
    answer = LossOutput(
        gradient=pointer(gradient, c_double), terms=terms, term_capacity=16, message=message, message_bytes=len(message)
    )
    code = library.retort_loss(ctypes.byref(request), ctypes.byref(answer))
    if code != 0:
        kind = SettingsError if code in (2, 3) else Error
        raise kind(message.value.decode(errors="replace"), code)
    named = {term.name.decode(): term.value for term in terms[: answer.term_count]}
    dtype = np.asarray(student).dtype
    return Loss(answer.value, named, gradient.astype(dtype if dtype.kind == "f" else np.float64))
