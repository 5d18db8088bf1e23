"""Detectors' weights as other programs write them, and what PyTorch computes of them, for tests of their import.

Run: python3 tests/data/detector_files.py has-torchvision     fails without torchvision
     python3 tests/data/detector_files.py CASE DIR            writes DIR/CASE.pth or .pkl, random weights, and DIR/CASE.json
CASE, all of detectors for three classes where nothing else is said:
  torchvision_r18   torchvision's FasterRCNN over resnet_fpn_backbone("resnet18"), 91 rows of classes
  torchvision_r50   the same over resnet50, with the older names of torchvision 0.12
  detectron2_r50    a pickle of numpy arrays with detectron2's names, of a network that takes BGR in 0..255
  released_mv2      {"model": student and teacher.*}: tonylins' MobileNetV2, the teacher detectron2_r50
  msra_r50          a pickle of numpy arrays: the ImageNet network alone, with a scale and a shift for each norm
  resnet18, resnet50, mobilenet_v2    torchvision's classifiers
The JSON holds summaries (closed_formula.py), channels last, of C2..C5; of detectors also of p2..p6, of proposals' logits and
deltas on every level, and of the scores and deltas of three boxes, for the image of image().
"""

import json
import os
import pickle
import re
import sys

import numpy as np
import torch
import torchvision
from torchvision.models import mobilenet_v2, resnet
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

import closed_formula

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
BOXES = [[3.0, 5.0, 60.5, 40.25], [10.0, 0.0, 96.0, 63.0], [70.0, 20.0, 80.0, 64.0]]  # all look at p2


def image():
    """64 x 96 RGB bytes."""
    y, x, c = np.meshgrid(np.arange(64), np.arange(96), np.arange(3), indexing="ij")
    return ((y * 7 + x * 3 + c * 50 + (x * y) % 31) % 256).astype(np.uint8)


def usual(pixels):
    return torch.tensor((pixels / 255 - MEAN) / DEVIATION, dtype=torch.float32).permute(2, 0, 1)[None]


def bgr(pixels):
    return torch.tensor((pixels - 255 * MEAN)[:, :, ::-1].copy(), dtype=torch.float32).permute(2, 0, 1)[None]


def as_if_trained(model):
    for module in model.modules():
        if isinstance(module, (torch.nn.BatchNorm2d, FrozenBatchNorm2d)):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.2)
            module.bias.data.uniform_(-0.2, 0.2)
    return model.eval()


class Net(torch.nn.Module):
    """A detector of torchvision's parts, named as torchvision's detectors are."""

    def __init__(self, body, channels, rows, width=256, hidden=1024, above=LastLevelMaxPool()):
        super().__init__()
        self.backbone = torch.nn.ModuleDict({"body": body, "fpn": FeaturePyramidNetwork(channels, width, above)})
        self.rpn = torch.nn.ModuleDict({"head": RPNHead(width, 3)})
        heads = {"box_head": TwoMLPHead(width * 49, hidden), "box_predictor": FastRCNNPredictor(hidden, rows)}
        self.roi_heads = torch.nn.ModuleDict(heads)


def stages(body, x):
    """C2 to C5."""
    if hasattr(body, "features"):
        found = []
        for i, layer in enumerate(body.features[:18]):
            x = layer(x)
            if i in (3, 6, 13, 17):
                found.append(x)
        return found
    x = body.maxpool(body.relu(body.bn1(body.conv1(x))))
    found = []
    for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
        x = stage(x)
        found.append(x)
    return found


def channels_last(x):
    return closed_formula.summary(x.permute(0, 2, 3, 1) if x.dim() == 4 else x, full_below=0)


@torch.no_grad()
def expected(net, x):
    """rows: of the predictor, as ours are: classes, then background."""
    scales = stages(net.backbone["body"], x)
    pyramid = list(net.backbone["fpn"](dict(enumerate(scales))).values())
    logits, deltas = net.rpn["head"](pyramid)
    boxes = torch.tensor(BOXES)
    seen = roi_align(pyramid[0], torch.cat([torch.zeros(3, 1), boxes], 1), 7, 0.25, 0, True)
    scores, regressions = net.roi_heads["box_predictor"](net.roi_heads["box_head"](seen))
    rows = scores.shape[1]
    unused = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83) if rows == 91 else ()
    own = [i for i in range(1, rows) if i not in unused]
    return {"scales": [channels_last(s) for s in scales], "pyramid": [channels_last(p) for p in pyramid],
            "logits": [channels_last(z) for z in logits], "deltas": [channels_last(d) for d in deltas],
            "boxes": BOXES, "scores": closed_formula.summary(scores[:, [*own, 0]]),
            "regressions": closed_formula.summary(regressions.view(3, rows, 4)[:, own])}


def frozen(channels):
    return FrozenBatchNorm2d(channels, eps=1e-5)


def detectron2_resnet50():
    """Bottlenecks with their stride in the first convolution."""
    body = resnet.resnet50(weights=None, norm_layer=frozen)
    for stage in (body.layer2, body.layer3, body.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    del body.fc
    return body


def detectron2_name(name):
    """Of a Net's tensor over a ResNet."""
    for ours, theirs in ((r"^backbone\.body\.conv1\.", "backbone.bottom_up.stem.conv1."),
                         (r"^backbone\.body\.bn1\.", "backbone.bottom_up.stem.conv1.norm."),
                         (r"downsample\.0\.", "shortcut."), (r"downsample\.1\.", "shortcut.norm."), (r"\.bn(\d)\.", r".conv\1.norm."),
                         (r"^rpn\.head\.conv\.0\.0\.", "proposal_generator.rpn_head.conv."),
                         (r"^rpn\.head\.cls_logits\.", "proposal_generator.rpn_head.objectness_logits."),
                         (r"^rpn\.head\.bbox_pred\.", "proposal_generator.rpn_head.anchor_deltas."), (r"\.fc6\.", ".fc1."), (r"\.fc7\.", ".fc2.")):
        name = re.sub(ours, theirs, name)
    name = re.sub(r"^backbone\.body\.layer(\d)", lambda m: f"backbone.bottom_up.res{int(m[1]) + 1}", name)
    name = re.sub(r"^backbone\.fpn\.inner_blocks\.(\d)\.0\.", lambda m: f"backbone.fpn_lateral{int(m[1]) + 2}.", name)
    return re.sub(r"^backbone\.fpn\.layer_blocks\.(\d)\.0\.", lambda m: f"backbone.fpn_output{int(m[1]) + 2}.", name)


def detectron2_state(net):
    """Background last, no box of background."""
    state = {}
    for name, value in net.state_dict().items():
        if "box_predictor.cls_score" in name:
            value = torch.cat([value[1:], value[:1]])
        if "box_predictor.bbox_pred" in name:
            value = value[4:]
        if "num_batches_tracked" not in name:
            state[detectron2_name(name)] = value
    state["pixel_mean"] = torch.tensor([103.53, 116.28, 123.675]).view(3, 1, 1)
    state["pixel_std"] = torch.ones(3, 1, 1)
    state["proposal_generator.anchor_generator.cell_anchors.0"] = torch.ones(3, 4)
    return state


def arrays(state):
    return {name: value.numpy() for name, value in state.items()}


def tonylins_name(name):
    """torchvision nests a block's convolution, norm and ReLU6; he numbers all layers."""
    m = re.match(r"features\.(\d+)\.conv\.(\d)\.(.*)", name)
    if not m:
        return name
    block, place, rest = int(m[1]), int(m[2]), m[3]
    nested = re.match(r"([01])\.(.*)", rest)
    if nested:
        return f"features.{block}.conv.{3 * place + int(nested[1])}.{nested[2]}"
    first = 1 if block == 1 else 2
    return f"features.{block}.conv.{3 * first + place - first}.{rest}"


def released_state():
    body = as_if_trained(mobilenet_v2(weights=None))
    net = Net(body, [24, 32, 96, 320], 4)
    teacher = as_if_trained(Net(detectron2_resnet50(), [256, 512, 1024, 2048], 4))
    state = {f"teacher.{name}": value for name, value in detectron2_state(teacher).items() if "pixel" not in name}
    for name, value in detectron2_state(net).items():
        body_name = re.match(r"backbone\.body\.(.*)", name)
        if body_name and (not body_name[1].startswith("features.") or body_name[1].startswith("features.18.")):
            continue
        state["backbone.bottom_up." + tonylins_name(body_name[1]) if body_name else name] = value
    return net, teacher, state


def msra_name(name):
    name = re.sub(r"^conv1\.weight$", "conv1_w", name)
    name = re.sub(r"^bn1\.(\w+)$", lambda m: "res_conv1_bn_" + m[1][0].replace("w", "s"), name)
    branch = {"conv1": "2a", "conv2": "2b", "conv3": "2c", "downsample": "1", "bn1": "2a", "bn2": "2b", "bn3": "2c"}

    def block(m):
        stage, number, layer, rest = int(m[1]) + 1, m[2], m[3], m[4]
        norm = layer.startswith("bn") or rest.startswith("1.")
        what = ("bn_s" if rest.endswith("weight") else "bn_b") if norm else "w"
        return f"res{stage}_{number}_branch{branch[layer]}_{what}"

    return re.sub(r"^layer(\d)\.(\d+)\.(\w+)\.(.*)$", block, name)


def main(case, folder):
    torch.manual_seed(20)
    place = os.path.join(folder, case)
    pixels = image()
    if case in ("torchvision_r18", "torchvision_r50"):
        r18 = case.endswith("18")
        body = resnet.resnet18(weights=None, norm_layer=frozen) if r18 else resnet.resnet50(weights=None, norm_layer=frozen)
        del body.fc
        net = as_if_trained(Net(body, [64, 128, 256, 512] if r18 else [256, 512, 1024, 2048], 91 if r18 else 4))
        state = net.state_dict()
        if not r18:
            older = lambda n: re.sub(r"(_blocks\.\d)\.0\.", r"\1.", n).replace("rpn.head.conv.0.0.", "rpn.head.conv.")
            state = {older(name): value for name, value in state.items()}
        torch.save(state, place + ".pth")
        result = expected(net, usual(pixels))
    elif case == "detectron2_r50":
        net = as_if_trained(Net(detectron2_resnet50(), [256, 512, 1024, 2048], 4))
        with open(place + ".pkl", "wb") as out:
            pickle.dump({"model": arrays(detectron2_state(net)), "__author__": "a test"}, out, protocol=2)
        result = expected(net, bgr(pixels))
    elif case == "released_mv2":
        net, teacher, state = released_state()
        torch.save({"model": state, "iteration": 7}, place + ".pth")
        result = expected(net, bgr(pixels)) | {"teacher": expected(teacher, bgr(pixels))}
    elif case == "msra_r50":
        body = as_if_trained(detectron2_resnet50())
        for module in body.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.running_mean.zero_()
                module.running_var.fill_(1 - 1e-5)
        state = {msra_name(name): value for name, value in body.state_dict().items() if "running" not in name}
        state |= {"fc1000_w": torch.ones(1000, 2048), "fc1000_b": torch.ones(1000)}
        with open(place + ".pkl", "wb") as out:
            pickle.dump(arrays(state), out, protocol=4)
        with torch.no_grad():
            result = {"scales": [channels_last(s) for s in stages(body, bgr(pixels))]}
    else:
        body = as_if_trained(getattr(torchvision.models, case)(weights=None))
        torch.save(body.state_dict(), place + ".pth")
        with torch.no_grad():
            result = {"scales": [channels_last(s) for s in stages(body, usual(pixels))]}
    with open(place + ".json", "w") as out:
        json.dump(result, out)


if __name__ == "__main__":
    torch.set_num_threads(2)
    if sys.argv[1] != "has-torchvision":
        main(sys.argv[1], sys.argv[2])
