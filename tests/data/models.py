"""Writes models.json (CIFAR ResNets), zoo.json (the other CIFAR models), option_a.json (CIFAR ResNets whose
shortcuts have no parameters) and imagenet.json: what each model computes from
weights and images that follow a closed formula, made by PyTorch in f64.

Run: python3 tests/data/models.py [FILE...]      (PyTorch on the CPU; the version that made the files is in them)

models.json, zoo.json, option_a.json, imagenet.json
  images   {shape [N,H,W,C], formula}; labels
  weights  the rule, in words, of fill() below: a tensor's values depend on its name and shape only
  models   [{name, classes, side, parameters, macs, eval, train, f32}, ...]
           parameters with that many classes, macs for one image of that side: 100 and 32 where they are left
           out. All else is with 100 classes and the images above.
           eval: {logits, pooled, stages}, with the running statistics of the rule
           train: {logits, pooled, stages, loss, gradients, running}: one training-mode pass from the same
           state; loss is the mean cross-entropy, gradients its gradients, running the running statistics
           after the pass.
           logits: every value, N x 100 row-major. pooled, stages (F0, F1, ..., N,H,W,C): summaries of
           closed_formula.py. gradients, running: {name: [abs_sum, probe]} in PyTorch's order (O,I,kH,kW;
           out,in). A bias that a batch norm takes out again (a convolution's, or a batch norm's with only a
           convolution between) has a gradient of zero up to rounding.
           f32: how far PyTorch's own f32 run is from these numbers: logits as max |difference| / max |value|,
           gradients as |difference|_2 / |gradient|_2 over all tensors together. 1 % there is a ReLU whose
           input lies within f32 rounding of zero: in f32 another program may meet it in another model.

Parameter counts and multiply-adds are checked against the known ones before anything is written, names, shapes
and logits of the ImageNet ResNets against torchvision's.
"""

import os
import sys

import torch
import torch.nn.functional as F

import closed_formula
import reference_models

HERE = os.path.dirname(os.path.abspath(__file__))

IMAGES = {"shape": [2, 32, 32, 3], "formula": {"name": "images", "scale": 2.0, "shift": 0.0, "bits": 22}}
# Odd sides on the way down: 70, 35, 18, 9, 5, 3.
IMAGENET_IMAGES = IMAGES | {"shape": [2, 70, 70, 3]}
LABELS = [3, 58]
RULE = (
    "value = shift + scale * uniform(name, i), i the flat index in PyTorch's order, 22 bits. Convolution and "
    "linear weights: shift 0, scale 2^-e with e the smallest integer >= 0 for which 6 * 4^e >= fan_in, "
    "fan_in = elements per output. Their biases: shift 0, scale 2^-4. Batch norm: weight shift 1, scale "
    "0.25; bias shift 0, scale 0.25; running_mean shift 0, scale 0.25; running_var shift 1.5, scale 0.5"
)

# parameters, multiply-adds in millions (one decimal)
KNOWN = {
    "resnet8": (83892, 12.5),
    "resnet14": (181108, 26.7),
    "resnet20": (278324, 40.8),
    "resnet32": (472756, 69.1),
    "resnet44": (667188, 97.4),
    "resnet56": (861620, 125.8),
    "resnet110": (1736564, 253.2),
    "resnet8x4": (1233540, 177.1),
    "resnet32x4": (7433860, 1083.0),
    "wrn_16_1": (180916, 26.7),
    "wrn_16_2": (703284, 101.1),
    "wrn_40_1": (569780, 83.3),
    "wrn_40_2": (2255156, 327.6),
    "vgg8": (3965028, 96.2),
    "vgg11": (9277284, 209.4),
    "vgg13": (9462180, 284.9),
    "vgg16": (14774436, 398.2),
    "vgg19": (20086692, 511.4),
    "MobileNetV2": (812836, 6.5),
    "ShuffleV1": (949258, 38.7),
    "ShuffleV2": (1355528, 44.5),
    "ResNet18": (11220132, 555.5),
    "ResNet50": (23705252, 1298.0),
    "resnet20a": (275572, 40.6),
    "resnet32a": (470004, 68.9),
    "resnet44a": (664436, 97.2),
    "resnet56a": (858868, 125.5),
    "resnet110a": (1733812, 252.9),
    # 1,000 classes, 224x224
    "resnet18_imagenet": (11689512, 1814.1),
    "resnet34_imagenet": (21797672, 3663.8),
    "resnet50_imagenet": (25557032, 4089.2),
    "resnet101_imagenet": (44549160, 7801.4),
    "MobileNetV1": (4231976, 568.7),
}


def weight_scale(fan_in):
    e = 0
    while 6 * 4**e < fan_in:
        e += 1
    return 2.0**-e


def fill(model):
    """Sets every tensor of the model by RULE."""
    with torch.no_grad():
        for prefix, module in model.named_modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                rules = {"weight": (0.25, 1.0), "bias": (0.25, 0.0)}
                rules |= {"running_mean": (0.25, 0.0), "running_var": (0.5, 1.5)}
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                rules = {"weight": (weight_scale(module.weight[0].numel()), 0.0), "bias": (2.0**-4, 0.0)}
            else:
                continue
            for key, (scale, shift) in rules.items():
                tensor = getattr(module, key)
                if tensor is not None:
                    tensor.copy_(closed_formula.tensor(f"{prefix}.{key}", list(tensor.shape), scale, shift))


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def outputs(out):
    return {
        "logits": [float(f"{v:.12g}") for v in out["logits"].flatten().tolist()],
        "pooled": closed_formula.summary(out["pooled"]),
        "stages": [closed_formula.summary(nhwc(f)) for f in out["stages"]],
    }


def pair(x):
    s = closed_formula.summary(x, entries=0)
    return [float(f"{s['abs_sum']:.12g}"), float(f"{s['probe']:.12g}")]


def run(name, dtype, images):
    """Eval outputs, train outputs, loss, and the model after its training pass."""
    model = reference_models.MODELS[name]().to(torch.float64)
    fill(model)
    model = model.to(dtype)
    formula = images["formula"]
    x = closed_formula.tensor(formula["name"], images["shape"], formula["scale"], formula["shift"]).to(dtype)
    x = x.permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        evaluated = model.eval()(x)
    trained = model.train()(x)
    loss = F.cross_entropy(trained["logits"], torch.tensor(LABELS))
    loss.backward()
    return evaluated, trained, loss, model


def far(found, expected):
    """max |difference| / max |value|."""
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


def check_against_torchvision(name):
    import torchvision

    ours = reference_models.MODELS[name](1000)
    theirs = getattr(torchvision.models, name.removesuffix("_imagenet"))(weights=None)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x)["logits"], theirs.eval()(x)), name


def describe(name, images):
    parameters, macs = KNOWN[name]
    imagenet = name in reference_models.IMAGENET
    fresh = reference_models.MODELS[name](1000) if imagenet else reference_models.MODELS[name]()
    if name.endswith("_imagenet"):
        check_against_torchvision(name)
    count = sum(p.numel() for p in fresh.parameters())
    assert count == parameters, f"{name}: {count} parameters, expected {parameters}"
    multiply_adds = reference_models.multiply_adds(fresh, 224 if imagenet else 32)
    assert round(multiply_adds / 1e6, 1) == macs, f"{name}: {multiply_adds} multiply-adds, expected {macs} M"

    evaluated, trained, loss, model = run(name, torch.float64, images)
    evaluated32, trained32, _, model32 = run(name, torch.float32, images)
    gradients = {n: p.grad for n, p in model.named_parameters()}
    difference = sum((p.grad.double() - gradients[n]).square().sum() for n, p in model32.named_parameters())
    length = sum(g.square().sum() for g in gradients.values())
    f32 = {
        "eval_logits": far(evaluated32["logits"], evaluated["logits"]),
        "train_logits": far(trained32["logits"].detach(), trained["logits"].detach()),
        "gradients": (difference / length).sqrt().item(),
    }
    print(name, f"loss {loss:.4f}", "f32", f32, flush=True)
    return {
        "name": name,
        **({"classes": 1000, "side": 224} if imagenet else {}),
        "parameters": count,
        "macs": multiply_adds,
        "eval": outputs(evaluated),
        "train": outputs(trained)
        | {
            "loss": loss.item(),
            "gradients": {n: pair(g) for n, g in gradients.items()},
            "running": {n: pair(b) for n, b in model.named_buffers() if "running" in n},
        },
        "f32": {key: float(f"{value:.2g}") for key, value in f32.items()},
    }


def write(file, names):
    images = IMAGENET_IMAGES if file == "imagenet.json" else IMAGES
    content = {
        "made_by": "tests/data/models.py",
        "torch": torch.__version__,
        "images": images,
        "labels": LABELS,
        "weights": RULE,
        "models": [describe(name, images) for name in names],
    }
    path = os.path.join(HERE, file)
    closed_formula.write_json(path, content, "models")
    print(f"{path}: {os.path.getsize(path)} bytes")


FILES = {
    "models.json": reference_models.CIFAR_RESNETS,
    "zoo.json": reference_models.ZOO,
    "option_a.json": reference_models.OPTION_A,
    "imagenet.json": reference_models.IMAGENET,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for file in sys.argv[1:] or FILES:
        write(file, FILES[file])
