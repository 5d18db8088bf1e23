"""Writes detection.json: boxes, and what boxes see of images, made by torchvision.

Run: python3 tests/data/detection.py      (PyTorch and torchvision on the CPU; their versions are in the file)

Boxes are f32 and written so that reading gives the same bits. `inputs` of roi_align are filled by the closed formula of
closed_formula.py, in the engine's layout (N,H,W,C); values and gradients are f64.
"""

import json
import math
import os

import numpy
import torch
import torchvision
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou, nms, roi_align

import closed_formula

HERE = os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(20)


def random_boxes(count, picture=100.0, least=1.0, most=60.0):
    sides = rng.uniform(least, most, (count, 2))
    corner = rng.uniform(-10, picture - 20, (count, 2))
    return torch.tensor(numpy.concatenate([corner, corner + sides], 1), dtype=torch.float32)


def numbers(tensor):
    return [float(x) for x in tensor.detach().double().flatten()]


def overlaps():
    a, b = random_boxes(12), random_boxes(9)
    b[0] = a[0]
    b[1, 2] = b[1, 0]  # no area
    return {"a": numbers(a), "b": numbers(b), "iou": numbers(box_iou(a, b))}


def coding():
    cases = []
    for weights in ((1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)):
        coder = BoxCoder(weights)
        boxes, anchors = random_boxes(10), random_boxes(10)
        deltas = torch.tensor(rng.normal(0, 2, (10, 4)), dtype=torch.float32)
        deltas[0, 2] = 60.0  # beyond the clamp
        cases.append({
            "weights": list(weights), "boxes": numbers(boxes), "anchors": numbers(anchors),
            "encoded": numbers(coder.encode_single(boxes, anchors)), "deltas": numbers(deltas),
            "decoded": numbers(coder.decode_single(deltas, anchors)),
        })
    return cases


def suppression():
    boxes = random_boxes(300)
    scores = torch.tensor(rng.uniform(0, 1, 300), dtype=torch.float32)
    return {"boxes": numbers(boxes), "scores": numbers(scores),
            "kept": {str(t): nms(boxes, scores, t).tolist() for t in (0.3, 0.5, 0.7)}}


def matching():
    anchors, truth = random_boxes(400), random_boxes(6)
    anchors[37] = anchors[36]  # a tie for the best
    found = Matcher(0.7, 0.3, allow_low_quality_matches=True)(box_iou(truth, anchors))
    return {"anchors": numbers(anchors), "truth": numbers(truth), "match": found.tolist()}


def alignment():
    """Boxes inside a bin, over the border, wide, of no height, outside the picture."""
    boxes = random_boxes(20, 96.0, 2.0, 70.0).double()
    boxes[0] = torch.tensor([5.5, 5.25, 6.125, 6.5])
    boxes[1] = torch.tensor([-30.0, -20.0, 130.0, 120.0])
    boxes[2] = torch.tensor([0.0, 10.5, 90.0, 10.5])
    boxes[3] = torch.tensor([130.0, 140.0, 150.0, 190.0])
    boxes[4] = torch.tensor([0.0, 0.0, 96.0, 96.0])
    image = torch.tensor(rng.integers(0, 2, 20))
    level = torch.tensor(rng.integers(0, 2, 20))
    size = 7
    names = ("fine", "coarse")
    shapes = ((2, 24, 20, 3), (2, 12, 10, 3))
    scales = (0.25, 0.125)
    inputs = [closed_formula.tensor("detection.roi_align." + n, s).requires_grad_() for n, s in zip(names, shapes)]
    values = torch.zeros(20, size, size, 3, dtype=torch.float64)
    for l in (0, 1):
        own = (level == l).nonzero().flatten()
        rois = torch.cat([image[own].double()[:, None], boxes[own]], 1)
        seen = roi_align(inputs[l].permute(0, 3, 1, 2), rois, size, scales[l], 0, True)
        values = values.index_put((own,), seen.permute(0, 2, 3, 1))
    dy = closed_formula.tensor("detection.roi_align.dy", tuple(values.shape))
    (values * dy).sum().backward()
    return {"boxes": numbers(boxes), "image": image.tolist(), "level": level.tolist(), "scales": list(scales),
            "size": size, "names": list(names), "shapes": [list(s) for s in shapes], "dy": "detection.roi_align.dy",
            "value": closed_formula.summary(values, full_below=64),
            "gradients": [closed_formula.summary(x.grad, full_below=64) for x in inputs]}


def losses():
    """The four losses as detectron2 defines them: two images of 40 anchors, 8 drawn of each; 10 boxes of 3 classes."""
    import torch.nn.functional as F

    images, anchors, samples, boxes, classes = 2, 40, 8, 10, 3
    make = lambda name, shape: closed_formula.tensor("detection.losses." + name, shape, 2.0).requires_grad_()
    logits, deltas = make("rpn_logits", (images, anchors)), make("rpn_deltas", (images, anchors, 4))
    scores, regressions = make("logits", (boxes, classes + 1)), make("deltas", (boxes, 4 * classes))
    drawn, total_cls, total_box = [], 0.0, 0.0
    for n in range(images):
        own = sorted(rng.permutation(anchors)[:samples].tolist())
        objects = [1.0] * 3 + [0.0] * 5
        weights = [1.0] * 7 + [0.0]
        wanted = rng.uniform(-1, 1, (samples, 4)).astype(numpy.float32)
        wanted[3:] = 0
        drawn.append({"anchors": own, "objects": objects, "weights": weights, "deltas": numbers(torch.tensor(wanted))})
        z, t = logits[n, own[:7]], torch.tensor(objects[:7], dtype=torch.float64)
        total_cls = total_cls + F.binary_cross_entropy_with_logits(z, t, reduction="sum")
        total_box = total_box + F.l1_loss(deltas[n, own[:3]], torch.tensor(wanted[:3]).double(), reduction="sum")
    labels = [2, 0, 1, 3, 3, 3, 3, 3, 3, 3]
    wanted = rng.uniform(-1, 1, (boxes, 4)).astype(numpy.float32)
    wanted[3:] = 0
    own = torch.stack([regressions.view(boxes, classes, 4)[i, labels[i]] for i in range(3)])
    terms = {
        "rpn_cls": total_cls / (samples * images),
        "rpn_box": total_box / (samples * images),
        "cls": F.cross_entropy(scores, torch.tensor(labels)),
        "box": F.l1_loss(own, torch.tensor(wanted[:3]).double(), reduction="sum") / boxes,
    }
    sum(terms.values()).backward()
    inputs = {"rpn_logits": logits, "rpn_deltas": deltas, "logits": scores, "deltas": regressions}
    return {"anchors": drawn, "labels": labels, "box_deltas": numbers(torch.tensor(wanted)), "samples": samples,
            "inputs": {k: list(v.shape) for k, v in inputs.items()}, "terms": {k: v.item() for k, v in terms.items()},
            "gradients": {k: closed_formula.summary(v.grad, full_below=400) for k, v in inputs.items()}}


def main():
    file = {"torch": torch.__version__, "torchvision": torchvision.__version__, "iou": overlaps(), "coder": coding(),
            "nms": suppression(), "matcher": matching(), "roi_align": alignment(), "losses": losses()}
    with open(os.path.join(HERE, "detection.json"), "w") as out:
        json.dump(file, out, separators=(",", ":"))
        out.write("\n")


main()
