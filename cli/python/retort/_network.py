"""Networks of `retort export --to infer`, run by the embeddable library."""

import ctypes
import os
from ctypes import c_float, c_uint8
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._errors import Error, FileError, SettingsError
from ._library import NetInfo, NetOptions, library, pointer

# retort_status: where a file is to blame, and where the machine gives no memory or no thread.
_FILE_STATUS = (2, 3, 4)
_MACHINE_STATUS = (5, 6)


class Prediction(NamedTuple):
    """What a network says of some images."""

    logits: npt.NDArray[np.float32]
    """[samples, classes]"""
    labels: npt.NDArray[np.int64]
    """The likeliest class of each image, [samples]; the lower one at a tie."""
    names: list[str] | None
    """The names of these classes, one an image; None where the file has no names."""

    def probabilities(self) -> npt.NDArray[np.float32]:
        """The softmax of the logits, [samples, classes]."""
        e = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


class Network:
    """A network that is loaded; see load(). For one thread at a time. `class_names`, one a class, and `mean` and `std` of
    pixels in [0, 1] are None where the file does not have them."""

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        self._net = ctypes.c_void_p()
        if not 1 <= threads <= 64:
            raise SettingsError(f"load: threads is {threads}, expected 1 to 64", 2)
        message = ctypes.create_string_buffer(1000)
        options = NetOptions(threads, 0, message, len(message))
        name = os.fsencode(path)
        status = library.retort_load_file(name, ctypes.byref(options), ctypes.byref(self._net))
        if status != 0:
            reason = message.value.decode(errors="replace") or library.retort_status_text(status).decode()
            if status in _FILE_STATUS:
                raise FileError(f"{os.fsdecode(name)}: {reason}", 3)
            raise Error(f"{os.fsdecode(name)}: {reason}", 6 if status in _MACHINE_STATUS else 1)
        info = NetInfo()
        library.retort_get_info(self._net, ctypes.byref(info))
        self.model: str = info.model.decode(errors="replace")
        self.classes: int = info.classes
        self.shape: tuple[int, int, int] = (info.height, info.width, info.channels)
        self.parameters: int = info.parameters
        self.macs: int = info.macs
        self.mean: tuple[float, ...] | None = tuple(info.mean) if info.std[0] > 0 else None
        self.std: tuple[float, ...] | None = tuple(info.std) if info.std[0] > 0 else None
        self.class_names: list[str] | None = self._class_names()

    def predict(self, images: npt.ArrayLike) -> Prediction:
        """Logits [samples, classes], the likeliest class of each image, and its name where the file has names.

        images: [samples, height, width, channels], or one without the first extent; uint8 pixels, which are normalised
        as the file says, or floats that are normalised already: (pixel / 255 - mean) / std. SettingsError, a ValueError,
        for others; Error (code 5) for a logit that is not finite."""
        array = np.asarray(images)
        if array.ndim == 3:
            array = array[np.newaxis]
        if array.shape[1:] != self.shape or not (array.dtype.kind == "f" or array.dtype == np.uint8):
            raise SettingsError(
                f"predict: the images are {array.dtype} {list(array.shape)}, expected uint8 or float [n, "
                f"{', '.join(str(n) for n in self.shape)}]",
                3,
            )
        if array.dtype == np.uint8 and self.mean is None:
            raise SettingsError("predict: the file does not say how pixels are normalised; give normalised floats", 3)
        count = array.shape[0]
        logits = np.zeros((count, self.classes), np.float32)
        if count == 0:
            return self._prediction(logits)
        if array.dtype == np.uint8:
            pixels = np.ascontiguousarray(array)
            values = np.zeros(array.shape, np.float32)
            self._check(library.retort_normalise(self._net, pointer(pixels, c_uint8), count, pointer(values, c_float)))
        else:
            values = np.ascontiguousarray(array, np.float32)
        self._check(library.retort_predict(self._net, pointer(values, c_float), count, pointer(logits, c_float)))
        return self._prediction(logits)

    def _prediction(self, logits: npt.NDArray[np.float32]) -> Prediction:
        labels = logits.argmax(axis=1).astype(np.int64)
        names = None if self.class_names is None else [self.class_names[label] for label in labels]
        return Prediction(logits, labels, names)

    def _class_names(self) -> list[str] | None:
        if library.retort_class_name(self._net, 0) is None:
            return None
        names = [library.retort_class_name(self._net, index) for index in range(self.classes)]
        return None if None in names else [name.decode(errors="replace") for name in names]

    def _check(self, status: int) -> None:
        if status == 0:
            return
        reason = library.retort_last_error(self._net).decode(errors="replace")
        raise Error(f"predict: {reason or library.retort_status_text(status).decode()}", 5 if status == 7 else 1)

    def __del__(self) -> None:
        if getattr(self, "_net", None):
            library.retort_free(self._net)
            self._net = ctypes.c_void_p()

    def __reduce__(self) -> Any:
        # Also of copy.copy() and copy.deepcopy(): two objects would free one network.
        raise TypeError("a network is not copied or pickled; load its file again")

    def __repr__(self) -> str:
        return f"<retort.Network {self.model}, {self.classes} classes, {self.parameters} parameters>"


def load(path: str | os.PathLike[str], threads: int = 1) -> Network:
    """A network of `retort export --to infer`. threads: that predict together. FileError, an OSError, for a file that is
    missing, damaged or something else."""
    return Network(path, threads)
