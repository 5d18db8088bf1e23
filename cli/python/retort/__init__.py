"""Knowledge distillation of image classifiers, from Python.

    >>> import numpy, retort
    >>> result = retort.loss("pcd", student, teacher, temperature=4)     # arrays [samples, classes]
    >>> result.value, result.terms, result.gradient
    >>> retort.methods()["dkd"]["keys"]
    >>> network = retort.load("net.retort")                              # of `retort export --to infer`
    >>> network.predict(images).names                                    # or .labels, their numbers
    >>> retort.read_run("runs/pcd")["summary"]["best"]

The arithmetic is that of the program `retort`, which is installed beside the module. Errors: what is wrong with settings or
arrays is a SettingsError (a ValueError), with files a FileError (an OSError), all else an Error; each has the program's exit
code as `.code`.
"""

from ._errors import Error, FileError, SettingsError
from ._loss import Loss, loss, methods
from ._network import Network, Prediction, load
from ._records import read_run, read_study

__all__ = [
    "Error",
    "FileError",
    "Loss",
    "Network",
    "Prediction",
    "SettingsError",
    "load",
    "loss",
    "methods",
    "read_run",
    "read_study",
]
__version__ = "0.1.0"
