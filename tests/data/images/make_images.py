#!/usr/bin/env python3
"""Makes the pictures of image_file_test.cpp and, with Pillow, what resizing them has to give."""
import os

import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))


def save(array, name, **options):
    Image.fromarray(array).save(os.path.join(here, name), **options)


# 45 wide, 30 high: smooth colours, a sharp edge, fine stripes that alias without a filter.
y, x = np.mgrid[0:30, 0:45]
picture = np.stack([x * 5, y * 8, 255 - (x + y) * 3], -1)
picture[5:15, 10:30] = [250, 20, 40]
picture[18:28, 5:40] = np.where(x[18:28, 5:40, None] % 2 == 0, 255, 0)
picture = picture.clip(0, 255).astype(np.uint8)

save(picture, "picture.png")
save(picture, "picture.jpg", quality=95, subsampling=0)
save(picture, "progressive.jpg", quality=95, subsampling=0, progressive=True)
save(picture[..., 0], "grey.png")
save(np.concatenate([picture, np.full((30, 45, 1), 77, np.uint8)], -1), "alpha.png")
save((picture[..., 0].astype(np.uint16) * 257), "deep.png")

pil = Image.fromarray(picture)
for width, height in [(21, 14), (32, 32), (90, 60), (7, 50)]:
    resized = pil.resize((width, height), Image.Resampling.BILINEAR)
    resized.save(os.path.join(here, f"picture-{width}x{height}.png"))
