#!/usr/bin/env python3
"""Makes the JPEGs of odd_pictures_test.cpp that need an encoder, and with Pillow the pixels that they hold: CMYK with and
without Adobe's mark, YCCK, RGB without conversion, a progressive one whose scans name Huffman tables that it does not define,
and one with restart marks."""
import io
import os

import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))


def segments(data):
    """(marker, begin, end) of every segment before the first scan's data."""
    at = 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        yield data[at + 1], at, end
        at = end
    yield 0xDA, at, at + 2 + int.from_bytes(data[at + 2:at + 4], "big")


def without(data, markers):
    kept = bytearray(data[:2])
    last = 2
    for marker, begin, end in segments(data):
        if marker not in markers:
            kept += data[begin:end]
        last = end
    return bytes(kept) + data[last:]


def save(name, data):
    with open(os.path.join(here, name), "wb") as file:
        file.write(data)


def right(name, data):
    Image.open(io.BytesIO(data)).convert("RGB").save(os.path.join(here, name))


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, subsampling=0, **options)
    return out.getvalue()


y, x = np.mgrid[0:24, 0:16]
cmyk = np.stack([x * 12, y * 8, 200 - x * 5 - y * 3, (x + y) * 3], -1).clip(0, 255).astype(np.uint8)
adobe = encoded(Image.fromarray(cmyk, "CMYK"))
at = adobe.index(b"Adobe") + 11
assert adobe[at] == 0
ycck = adobe[:at] + b"\2" + adobe[at + 1:]
for name, data in [("cmyk-adobe", adobe), ("cmyk-unmarked", without(adobe, [0xEE])), ("ycck", ycck)]:
    save(f"{name}.jpg", data)
    right(f"{name}-right.png", data)

# The same components called R, G, B: libjpeg takes them for RGB, unless a JFIF mark says otherwise.
colour = encoded(Image.fromarray(cmyk[..., :3]))


def named(data, names):
    data = bytearray(data)
    for marker, begin, _ in segments(bytes(data)):
        if marker == 0xC0:
            for i in range(3):
                data[begin + 10 + 3 * i] = names[i]
        if marker == 0xDA:
            for i in range(3):
                data[begin + 5 + 2 * i] = names[i]
    return bytes(data)


for name, data in [("rgb-names", without(named(colour, b"RGB"), [0xE0])), ("rgb-names-jfif", named(colour, b"RGB"))]:
    save(f"{name}.jpg", data)
    right(f"{name}-right.png", data)

# Every scan's table numbers one higher than those defined: a decoder that does not look reads what it finds there.
progressive = bytearray(encoded(Image.fromarray(cmyk[..., :3]), progressive=True))
at = progressive.index(b"\xff\xda")
while at >= 0:
    for i in range(progressive[at + 4]):
        progressive[at + 6 + 2 * i] = 0x33
    at = progressive.find(b"\xff\xda", at + 2)
save("undefined-tables.jpg", bytes(progressive))

# A restart mark behind every block: what is lost between two of them spoils nothing else, and so is easily overlooked.
save("restarts.jpg", encoded(Image.fromarray(cmyk[..., :3]), restart_marker_blocks=1))
