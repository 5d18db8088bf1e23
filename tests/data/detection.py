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
from detector_files import Net, detectron2_name, stages

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


class Tiny(torchvision.models.resnet.ResNet):
    """rcnn_tiny's backbone."""

    def __init__(self):
        block = torchvision.models.resnet.BasicBlock
        super().__init__(block, [2, 2, 2, 2])
        self.inplanes = 16
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 16, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(16)
        self.layer1, self.layer2 = self._make_layer(block, 16, 2), self._make_layer(block, 32, 2, 2)
        self.layer3, self.layer4 = self._make_layer(block, 64, 2, 2), self._make_layer(block, 128, 2, 2)
        del self.fc


def fill_by_rule(name, tensor):
    """tests/support/fill_by_rule.h; norms' names hold "norm"."""
    scale, shift = 0.25, 0.0
    if name.endswith(".weight"):
        reach = 6
        if "norm" in name:
            shift = 1.0
        else:
            scale = 1.0
            while reach < tensor.numel() // tensor.shape[0]:
                scale, reach = scale / 2, reach * 4
    elif name.endswith(".bias") and "norm" not in name:
        scale = 0.0625
    tensor.data = closed_formula.tensor(name, tuple(tensor.shape), scale, shift)


def step():
    """A whole training step of rcnn_tiny with three classes: two pictures of 64 x 96, given anchors and boxes."""
    import torch.nn.functional as F

    images, height, width, classes = 2, 64, 96, 3
    net = Net(Tiny(), [16, 32, 64, 128], classes + 1, 32, 128, None)
    net.roi_heads["box_predictor"] = torch.nn.ModuleDict(
        {"cls_score": torch.nn.Linear(128, classes + 1), "bbox_pred": torch.nn.Linear(128, 4 * classes)})
    net = net.double().train()
    parameters = {detectron2_name(name): p for name, p in net.named_parameters()}
    for name, parameter in parameters.items():
        fill_by_rule(name, parameter)
    x = closed_formula.tensor("detection.step.images", (images, height, width, 3)).permute(0, 3, 1, 2)
    pyramid = list(net.backbone["fpn"](dict(enumerate(stages(net.backbone["body"], x)))).values())
    logits, deltas = net.rpn["head"](pyramid)
    rows = lambda maps, n: torch.cat([m.permute(0, 2, 3, 1).reshape(images, -1, n) for m in maps], 1)
    logits, deltas = rows(logits, 1)[..., 0], rows(deltas, 4)
    anchors, samples = logits.shape[1], 64
    drawn, rpn_cls, rpn_box = [], 0.0, 0.0
    for n in range(images):
        own = sorted(rng.permutation(anchors)[:samples].tolist())
        objects = [float(i % 4 == 0) for i in range(samples)]
        wanted = rng.uniform(-1, 1, (samples, 4)).astype(numpy.float32) * numpy.array(objects, numpy.float32)[:, None]
        drawn.append({"anchors": own, "objects": objects, "deltas": numbers(torch.tensor(wanted))})
        target = torch.tensor(objects, dtype=torch.float64)
        rpn_cls = rpn_cls + F.binary_cross_entropy_with_logits(logits[n, own], target, reduction="sum")
        rpn_box = rpn_box + ((deltas[n, own] - torch.tensor(wanted).double()).abs() * target[:, None]).sum()
    boxes, of_image, labels, level = [], [], [], []
    for r in range(24):
        side = (20, 30, 60, 90)[r % 4]
        boxes.append([3.0 + r, 2.0 + r / 2, min(96.0, 3.0 + r + side), min(64.0, 2.0 + r / 2 + 0.75 * side)])
        of_image.append(r % images)
        labels.append(r % (classes + 1))
        area = (boxes[-1][2] - boxes[-1][0]) * (boxes[-1][3] - boxes[-1][1])
        level.append(min(3, max(0, math.floor(2 + math.log2(math.sqrt(area) / 56 + 1e-8)))))
    seen = torch.zeros(len(boxes), 32, 7, 7, dtype=torch.float64)
    for l in range(4):
        own = [r for r in range(len(boxes)) if level[r] == l]
        if own:
            rois = torch.tensor([[of_image[r], *boxes[r]] for r in own], dtype=torch.float64)
            seen = seen.index_put((torch.tensor(own),), roi_align(pyramid[l], rois, 7, 0.25 / 2**l, 0, True))
    inner = net.roi_heads["box_head"](seen)
    scores = net.roi_heads["box_predictor"]["cls_score"](inner)
    regressions = net.roi_heads["box_predictor"]["bbox_pred"](inner).view(len(boxes), classes, 4)
    objects = [r for r in range(len(boxes)) if labels[r] < classes]
    wanted = rng.uniform(-1, 1, (len(boxes), 4)).astype(numpy.float32)
    wanted[[r for r in range(len(boxes)) if r not in objects]] = 0
    found = torch.stack([regressions[r, labels[r]] for r in objects])
    terms = {"rpn_cls": rpn_cls / (samples * images), "rpn_box": rpn_box / (samples * images),
             "cls": F.cross_entropy(scores, torch.tensor(labels)),
             "box": (found - torch.tensor(wanted[objects]).double()).abs().sum() / len(boxes)}
    sum(terms.values()).backward()
    return {"shape": [images, height, width, 3], "anchors": drawn, "boxes": boxes, "image": of_image, "labels": labels,
            "levels": level, "deltas": numbers(torch.tensor(wanted)), "terms": {k: v.item() for k, v in terms.items()},
            "gradients": {name: closed_formula.summary(p.grad, 1) for name, p in parameters.items()}}


LEVEL_STEPS = 40  # units in the last place to either side of a border


def levels():
    """FPN levels of boxes whose sides lie some units in the last place from those of a border between two levels.

    A row per border, shape, corner and height; a digit per width. See LevelsOfBoxes in boxes_test.cpp.
    """
    stepped = lambda side, steps: (numpy.array([side], numpy.float32).view(numpy.int32) + steps).view(numpy.float32)
    widths = numpy.arange(-LEVEL_STEPS, LEVEL_STEPS + 1, dtype=numpy.int32)
    rows = []
    for canonical in (224, 56):
        for factor in (0.5, 1.0, 2.0):
            for slender in (1.0, 2.0):
                for corner in ((0.0, 0.0), (37.7, 11.3)):
                    for steps in range(-2, 3):
                        x1, y1 = (torch.tensor(c, dtype=torch.float32) for c in corner)
                        x2 = x1 + torch.tensor(stepped(canonical * factor * slender, widths))
                        y2 = y1 + torch.tensor(stepped(canonical * factor / slender, numpy.int32(steps)))
                        sizes = torch.sqrt((x2 - x1) * (y2 - y1))
                        found = torch.floor(4 + torch.log2(sizes / canonical + 1e-8)).clamp(2, 5)
                        rows.append("".join(str(int(level)) for level in found))
    return {"steps": LEVEL_STEPS, "rows": rows}


def main():
    file = {"torch": torch.__version__, "torchvision": torchvision.__version__, "iou": overlaps(), "coder": coding(),
            "nms": suppression(), "matcher": matching(), "roi_align": alignment(), "losses": losses(), "step": step(),
            "levels": levels()}
    with open(os.path.join(HERE, "detection.json"), "w") as out:
        json.dump(file, out, separators=(",", ":"))
        out.write("\n")


main()
