"""The shared library beside this file, by ctypes: the structures and functions of retort.h, retort_loss.h and
retort_record.h."""

import ctypes
from ctypes import POINTER, c_char, c_char_p, c_double, c_float, c_int, c_int64, c_size_t, c_uint8, c_uint32, c_uint64
from pathlib import Path


class LossInput(ctypes.Structure):
    _fields_ = [
        ("method", c_char_p),
        ("settings", POINTER(c_char_p)),
        ("setting_count", c_size_t),
        ("samples", c_size_t),
        ("classes", c_size_t),
        ("student", POINTER(c_double)),
        ("teacher", POINTER(c_double)),
        ("labels", POINTER(c_int64)),
        ("strong_student", POINTER(c_double)),
        ("strong_teacher", POINTER(c_double)),
        ("similarity", POINTER(c_double)),
        ("single_precision", c_int),
    ]


class LossTerm(ctypes.Structure):
    _fields_ = [("name", c_char * 64), ("value", c_double)]


class LossOutput(ctypes.Structure):
    _fields_ = [
        ("value", c_double),
        ("gradient", POINTER(c_double)),
        ("terms", POINTER(LossTerm)),
        ("term_capacity", c_size_t),
        ("term_count", c_size_t),
        ("message", POINTER(c_char)),
        ("message_bytes", c_size_t),
    ]


class NetOptions(ctypes.Structure):
    _fields_ = [
        ("threads", c_uint32),
        ("batch", c_uint32),
        ("message", POINTER(c_char)),
        ("message_bytes", c_size_t),
    ]


class NetInfo(ctypes.Structure):
    _fields_ = [
        ("model", c_char * 32),
        ("height", c_uint32),
        ("width", c_uint32),
        ("channels", c_uint32),
        ("classes", c_uint32),
        ("parameters", c_uint64),
        ("macs", c_uint64),
        ("mean", c_float * 3),
        ("std", c_float * 3),
        ("weight_bits", c_uint32),
    ]


def _open() -> ctypes.CDLL:
    library = ctypes.CDLL(str(Path(__file__).with_name("libretort_python.so")))
    net = ctypes.c_void_p
    signatures = {
        "retort_loss": (c_int, [POINTER(LossInput), POINTER(LossOutput)]),
        "retort_methods_json": (c_size_t, [POINTER(c_char), c_size_t]),
        "retort_check_record": (c_int, [c_char_p, POINTER(c_char), c_size_t]),
        "retort_version": (c_char_p, []),
        "retort_status_text": (c_char_p, [c_int]),
        "retort_load_file": (c_int, [c_char_p, POINTER(NetOptions), POINTER(net)]),
        "retort_free": (None, [net]),
        "retort_predict": (c_int, [net, POINTER(c_float), c_size_t, POINTER(c_float)]),
        "retort_normalise": (c_int, [net, POINTER(c_uint8), c_size_t, POINTER(c_float)]),
        "retort_get_info": (c_int, [net, POINTER(NetInfo)]),
        "retort_class_name": (c_char_p, [net, c_uint32]),
        "retort_last_error": (c_char_p, [net]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


library = _open()


def pointer(array, kind):
    """The address of a contiguous array's first element; None for None."""
    return None if array is None else array.ctypes.data_as(POINTER(kind))
