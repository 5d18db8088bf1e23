#!/usr/bin/env python3
"""Makes photos/*, small JPEGs of every kind, and photos.json: what Pillow 10 and torchvision make of them and of pictures that
a rule draws, as FNV-1a hashes of the bytes, and random crops by the formulas that photo_view.h cites, drawn here by a Philox of our
own. Needs numpy, Pillow 10 and torchvision."""
import io
import json
import math
import os

import numpy as np
import PIL
import torchvision.transforms.functional as F
from PIL import Image

assert PIL.__version__.startswith("10."), PIL.__version__
here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "photos")
os.makedirs(folder, exist_ok=True)


def fnv(array):
    h = 0xcbf29ce484222325
    for byte in np.ascontiguousarray(array).tobytes():
        h = ((h ^ byte) * 0x100000001b3) & (2**64 - 1)
    return f"{h:016x}"


# Pixels by a rule: a slope in each direction, and noise.
def ruled(height, width):
    i = np.arange(height * width * 3, dtype=np.uint64)
    noise = ((i * 2654435761) % 2**32) >> 24
    y, x = i // (3 * width), i // 3 % width
    return ((noise // 2 + y * 255 // (2 * height) + x * 37) % 256).astype(np.uint8).reshape(height, width, 3)


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 255 / width, y * 255 / height, 128 + 100 * np.sin(x / 9 + y / 13)], -1)
    picture[height // 3:height // 2, width // 4:width // 2] = [250, 20, 40]
    picture += (ruled(height, width).astype(float) - 128) / 12
    return picture.clip(0, 255).astype(np.uint8)


def save(name, data):
    assert len(data) < 10_000, (name, len(data))
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def encoded(image, kind="JPEG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


photo = Image.fromarray(smooth(110, 147))
files = {
    "colour-420.jpg": encoded(photo, quality=85, subsampling=2),
    "colour-422.jpg": encoded(photo, quality=85, subsampling=1),
    "colour-444.jpg": encoded(photo, quality=80, subsampling=0),
    "progressive-420.jpg": encoded(photo, quality=85, subsampling=2, progressive=True),
    "restarts-420.jpg": encoded(photo, quality=85, subsampling=2, restart_marker_rows=1),
    "grey.jpg": encoded(photo.convert("L"), quality=85),
    "one-pixel.jpg": encoded(Image.fromarray(smooth(1, 1)), quality=85),
}
exif = Image.Exif()
exif[0x0112] = 6
files["on-its-side.jpg"] = encoded(photo, quality=85, subsampling=2, exif=exif)
files["truncated.jpg"] = files["colour-420.jpg"][:2500]
files["png-inside.JPEG"] = encoded(photo.resize((40, 30)), "PNG")
for name, data in files.items():
    save(name, data)

decoded = []
for name in sorted(files):
    if name == "truncated.jpg":
        continue
    pixels = np.asarray(Image.open(os.path.join(folder, name)).convert("RGB"))
    decoded.append({"file": name, "height": pixels.shape[0], "width": pixels.shape[1], "hash": fnv(pixels)})

# Crops of ruled pictures, resized: rows, columns of the picture; top, left, height, width of the crop; rows, columns.
resized = []
for picture, crop, to in [
    ((375, 500), (0, 0, 375, 500), (256, 341)), ((375, 500), (13, 41, 200, 311), (224, 224)),
    ((375, 500), (0, 0, 375, 500), (224, 224)), ((375, 500), (374, 0, 1, 500), (7, 64)),
    ((500, 375), (100, 0, 300, 375), (224, 224)), ((64, 64), (3, 5, 40, 44), (64, 64)),
    ((33, 57), (0, 0, 33, 57), (33, 20)), ((33, 57), (0, 0, 33, 57), (20, 57)), ((33, 57), (1, 2, 31, 55), (90, 200)),
    ((1, 1), (0, 0, 1, 1), (224, 224)), ((3, 1000), (0, 0, 3, 1000), (8, 8)), ((1000, 3), (5, 1, 990, 1), (224, 224)),
    ((700, 40), (0, 0, 700, 40), (2, 2)), ((225, 227), (0, 0, 225, 227), (224, 224)),
]:
    image = Image.fromarray(ruled(*picture))
    out = np.asarray(F.resized_crop(image, *crop, list(to), F.InterpolationMode.BILINEAR))
    resized.append({"picture": picture, "crop": crop, "to": to, "hash": fnv(out)})

# Shorter side resized, centre cut out.
centres = []
for picture, resize, size in [((375, 500), 256, 224), ((500, 375), 256, 224), ((333, 500), 232, 224), ((56, 75), 256, 224),
                              ((64, 64), 64, 64), ((97, 131), 64, 64), ((1, 1), 32, 32), ((30, 45), 30, 30), ((1, 9), 16, 11)]:
    image = Image.fromarray(ruled(*picture))
    out = F.center_crop(F.resize(image, resize, F.InterpolationMode.BILINEAR), [size, size])
    centres.append({"picture": picture, "resize": resize, "size": size, "hash": fnv(np.asarray(out))})

# The same of a JPEG: what a network of torchvision's sees of a photo.
pipeline = []
for name in ["colour-420.jpg", "colour-444.jpg", "progressive-420.jpg", "grey.jpg"]:
    image = Image.open(os.path.join(folder, name)).convert("RGB")
    centre = F.center_crop(F.resize(image, 256, F.InterpolationMode.BILINEAR), [224, 224])
    crop = (21, 33, 57, 71)
    random = F.hflip(F.resized_crop(image, *crop, [224, 224], F.InterpolationMode.BILINEAR))
    pipeline.append({"file": name, "centre": fnv(np.asarray(centre)), "crop": crop, "random": fnv(np.asarray(random))})


# Philox 4x32-10 (Salmon et al., SC'11).
def philox(counter, key):
    k0, k1 = key & 0xffffffff, key >> 32
    c = list(counter)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xffffffff, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xffffffff]
        k0, k1 = (k0 + 0x9E3779B9) & 0xffffffff, (k1 + 0xBB67AE85) & 0xffffffff
    return c


RESIZED_CROP = 10
unit = lambda word: (word >> 8) / 2**24
below = lambda word, n: word * n >> 32


def crop_of(seed, epoch, sample, height, width, scale, ratio):
    flip = philox([10, sample, epoch, RESIZED_CROP], seed)[0] >> 31
    least, most = math.log(ratio[0]), math.log(ratio[1])
    for attempt in range(10):
        v = philox([attempt, sample, epoch, RESIZED_CROP], seed)
        area = height * width * (scale[0] + (scale[1] - scale[0]) * unit(v[0]))
        r = math.exp(least + unit(v[1]) * (most - least))
        w, h = round(math.sqrt(area * r)), round(math.sqrt(area / r))
        if 0 < w <= width and 0 < h <= height:
            return [below(v[2], height - h + 1), below(v[3], width - w + 1), h, w], flip
    h, w = height, width
    if width / height < ratio[0]:
        h = max(1, round(w / ratio[0]))
    elif width / height > ratio[1]:
        w = max(1, round(h * ratio[1]))
    return [(height - h) // 2, (width - w) // 2, h, w], flip


views = []
for seed, (height, width), scale, ratio in [
    (1, (375, 500), (.08, 1), (3 / 4, 4 / 3)), (2**40 + 7, (500, 333), (.08, 1), (3 / 4, 4 / 3)),
    (3, (1, 1), (.08, 1), (3 / 4, 4 / 3)), (4, (10, 400), (.08, 1), (3 / 4, 4 / 3)), (5, (400, 10), (.08, 1), (3 / 4, 4 / 3)),
    (6, (64, 64), (.25, .9), (.5, 2)), (7, (64, 64), (1, 1), (3 / 4, 4 / 3)),
]:
    for epoch, sample in [(1, 0), (1, 1), (2, 0), (100, 1281166), (3, 5), (3, 6)]:
        crop, flip = crop_of(seed, epoch, sample, height, width, scale, ratio)
        views.append({"seed": seed, "epoch": epoch, "sample": sample, "photo": [height, width], "scale": scale,
                      "ratio": ratio, "crop": crop, "flip": bool(flip)})

with open(os.path.join(here, "photos.json"), "w") as out:
    out.write("{\n")
    parts = {"decoded": decoded, "resized": resized, "centres": centres, "pipeline": pipeline, "views": views}
    for i, (key, rows) in enumerate(parts.items()):
        out.write(f' "{key}": [\n  ' + ",\n  ".join(json.dumps(row) for row in rows) + "\n ]" + ("," if i < 4 else "") + "\n")
    out.write("}\n")
