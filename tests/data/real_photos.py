#!/usr/bin/env python3
"""Writes real_photos.json: of ImageNet's sample photos, which are not ours to pass on, what Pillow 10 and torchvision make of them:
their size, and the centre crop of 224 pixels of a shorter side of 256 as an FNV-1a hash of its bytes. And the order in which
torchvision's ImageFolder numbers classes and files, of the same folders and of names made up to be sorted wrongly.

Run: python3 tests/data/real_photos.py DIR        DIR: the photos, a folder a class. Needs numpy, Pillow 10, torchvision."""
import json
import os
import sys
import tempfile

import numpy as np
import PIL
from PIL import Image
from torchvision import datasets, transforms

assert PIL.__version__.startswith("10."), PIL.__version__
HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["b", "B", "a", "a-b", "a b", "a.b", "ab", "10", "2", "02", "Zebra", "zebra", "é", "e", "ö", "中", "_x", "😀", "\uff21"]
FILES = ["1.jpg", "10.jpg", "2.JPG", "b.png", "B.png", "sub/3.jpg", "sub-2/0.jpg", "é.jpeg", "😀.png", "\uff21.png"]


def fnv(array):
    h = 0xcbf29ce484222325
    for byte in np.ascontiguousarray(array).tobytes():
        h = ((h ^ byte) * 0x100000001b3) & (2**64 - 1)
    return f"{h:016x}"


def order_of(folder):
    listed = datasets.ImageFolder(folder)
    return listed.classes, [[label, os.path.relpath(path, folder)] for path, label in listed.samples]


def made_up():
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            for file in FILES if name in ("a", "é") else FILES[:1]:
                path = os.path.join(folder, name, file)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                open(path, "w").close()
        return order_of(folder)


def main(folder):
    centre = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    classes, files = order_of(folder)
    photos = []
    for label, path in files:
        picture = Image.open(os.path.join(folder, path))
        photos.append({"file": path, "label": label, "size": picture.size, "centre": fnv(centre(picture.convert("RGB")))})
    names, samples = made_up()
    content = {"classes": classes, "photos": photos, "made_up": {"classes": names, "files": samples}}
    with open(os.path.join(HERE, "real_photos.json"), "w") as out:
        out.write(json.dumps(content, ensure_ascii=False) + "\n")


main(sys.argv[1])
