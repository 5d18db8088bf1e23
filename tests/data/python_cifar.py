#!/usr/bin/env python3
"""Makes python_cifar/: CIFAR-10 and CIFAR-100 as Python's archives have them, with a few images whose pixels follow a rule:
pickles as Python 2's cPickle wrote the official ones (protocol 2, text for bytes), and as Python 3 writes them with protocols 2 to 5.
Needs numpy."""
import os
import pickle
import struct

import numpy as np

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_cifar")


def pixels(first, rows):
    i = np.arange(rows * 3072, dtype=np.int64) + first * 3072
    return ((i * 31 + i // 1024 * 7) % 256).astype(np.uint8).reshape(rows, 3072)


# What Python 2 called str is written as such, text as well as bytes.
class Python2(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)

    def save_old_str(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[bytes] = save_old_str
    dispatch[str] = save_old_str


def write(path, value, protocol):
    os.makedirs(os.path.dirname(os.path.join(here, path)), exist_ok=True)
    with open(os.path.join(here, path), "wb") as file:
        if protocol == "python 2":
            Python2(file, 2).dump(value)
        else:
            pickle.dump(value, file, protocol)


protocols = ["python 2", 2, 3, 4, 5]
for n, protocol in enumerate(protocols, 1):
    key = (lambda s: s) if protocol == "python 2" or n % 2 else (lambda s: s.encode())
    write(f"cifar-10-batches-py/data_batch_{n}",
          {key("batch_label"): f"training batch {n} of 5", key("labels"): [n, 9 - n], key("data"): pixels(2 * n - 2, 2),
           key("filenames"): ["a_s_000001.png", "b_s_000002.png"]}, protocol)
write("cifar-10-batches-py/test_batch", {"labels": [0], "data": pixels(100, 1)}, "python 2")
names = "airplane automobile bird cat deer dog frog horse ship truck".split()
write("cifar-10-batches-py/batches.meta", {"num_cases_per_batch": 10000, "label_names": names, "num_vis": 3072}, "python 2")
write("cifar-100-python/train", {"fine_labels": [7, 99, 0], "coarse_labels": [1, 2, 3], "data": pixels(0, 3)}, "python 2")
write("cifar-100-python/test", {b"fine_labels": [42], b"coarse_labels": [0], b"data": pixels(100, 1)}, 4)
write("cifar-100-python/meta", {"fine_label_names": [f"fine{i}" for i in range(100)], "coarse_label_names": []}, "python 2")
