"""Writes strong_view.json: what the Python Imaging Library makes of pictures with each operation of the strong view.

Run: python3 tests/data/strong_view.py      (with Pillow and numpy; the version that made the file is in the file)

strong_view.json
  pictures  {name: {height, width, low, high}}: byte i (row-major, H,W,3) is low + floor((high - low + 1) u),
            u = (uniform("picture." + name, i) + 1) / 2 of closed_formula.py; to the bytes of row y
            y mod 7 is added, so that smoothing and histograms see something
  cases     [{picture, op, magnitude, hash, entries}, ...]; op "cutout": side, x, y in place of magnitude.
            hash: fnv1a64 of the resulting bytes as 16 hexadecimal digits; entries: [index, byte] of some.
"""

import os

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

import closed_formula

HERE = os.path.dirname(os.path.abspath(__file__))

PICTURES = {
    "square": {"height": 32, "width": 32, "low": 30, "high": 200},
    "wide": {"height": 9, "width": 14, "low": 0, "high": 248},
    "dark": {"height": 32, "width": 32, "low": 3, "high": 5},
    "flat": {"height": 5, "width": 6, "low": 70, "high": 70},
}


def picture(name):
    spec = PICTURES[name]
    h, w = spec["height"], spec["width"]
    u = (closed_formula.uniform("picture." + name, h * w * 3) + 1) / 2
    values = spec["low"] + np.floor((spec["high"] - spec["low"] + 1) * u)
    values = values.reshape(h, w, 3) + (np.arange(h) % 7)[:, None, None] * (spec["low"] != spec["high"])
    return Image.fromarray(values.astype(np.uint8), "RGB")


def affine(image, *matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


OPERATIONS = {
    "auto_contrast": lambda image, v: ImageOps.autocontrast(image),
    "equalize": lambda image, v: ImageOps.equalize(image),
    "identity": lambda image, v: image,
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "color": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    "posterize": lambda image, v: ImageOps.posterize(image, int(v)),
    "solarize": lambda image, v: ImageOps.solarize(image, v),
    "rotate": lambda image, v: image.rotate(v),
    "shear_x": lambda image, v: affine(image, 1, v, 0, 0, 1, 0),
    "shear_y": lambda image, v: affine(image, 1, 0, 0, v, 1, 0),
    "translate_x": lambda image, v: affine(image, 1, 0, v * image.size[0], 0, 1, 0),
    "translate_y": lambda image, v: affine(image, 1, 0, 0, 0, 1, v * image.size[1]),
}
MAGNITUDES = {
    "brightness": [0.05, 0.5, 0.7312, 0.95],
    "posterize": [4.0, 5.9, 7.999],
    "solarize": [0.0, 100.0, 128.5, 255.9],
    "rotate": [-30.0, -7.31, 0.0, 1.5, 22.5, 29.9],
    "shear_x": [-0.3, -0.111, 0.0, 0.05, 0.2999],
}
for same in ("color", "contrast", "sharpness"):
    MAGNITUDES[same] = MAGNITUDES["brightness"]
for same in ("shear_y", "translate_x", "translate_y"):
    MAGNITUDES[same] = MAGNITUDES["shear_x"]
CUTOUTS = [(8.0, 16.0, 16.0), (15.99, 2.0, 31.5), (0.4, 0.0, 31.9), (11.5, 30.2, 5.7)]


def cutout(image, side, x, y):
    w, h = image.size
    left, top = int(max(0, x - side / 2.0)), int(max(0, y - side / 2.0))
    corners = (left, top, min(w, left + side), min(h, top + side))
    image = image.copy()
    ImageDraw.Draw(image).rectangle(corners, (125, 123, 114))
    return image


def stored(result):
    data = result.tobytes()
    hashed = 0xCBF29CE484222325
    for byte in data:
        hashed = ((hashed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    step = len(data) // 7
    return {"hash": f"{hashed:016x}", "entries": [[i, data[i]] for i in range(0, len(data), step)]}


def main():
    cases = []
    for name in PICTURES:
        for op, apply in OPERATIONS.items():
            for v in MAGNITUDES.get(op, [0.0]):
                cases.append({"picture": name, "op": op, "magnitude": v} | stored(apply(picture(name), v)))
    for side, x, y in CUTOUTS:
        result = cutout(picture("square"), side, x, y)
        cases.append({"picture": "square", "op": "cutout", "side": side, "x": x, "y": y} | stored(result))
    content = {"made_by": "tests/data/strong_view.py", "pillow": PIL.__version__, "pictures": PICTURES, "cases": cases}
    path = os.path.join(HERE, "strong_view.json")
    closed_formula.write_json(path, content, "cases")
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
