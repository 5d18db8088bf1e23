"""The CIFAR and ImageNet classifiers in plain PyTorch, with the parameter names that published teacher files use.

Every model returns {"logits", "pooled", "stages": [F0, F1, ...]}; initialisation is left to PyTorch (the
reference files fill weights from a formula, and a benchmark does not care).
"""

import torch
import torch.nn.functional as F
from torch import nn


def conv(inputs, outputs, kernel, stride=1, groups=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)


def pool(x):
    return x.mean((2, 3))


class BasicBlock(nn.Module):
    """shortcut_name: the attribute that holds the shortcut's convolution and norm."""

    expansion = 1

    def __init__(self, inputs, width, stride, shortcut_name):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.shortcut_name = shortcut_name
        add_shortcut(self, inputs, width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut(self, x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs, width, stride, shortcut_name):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.shortcut_name = shortcut_name
        add_shortcut(self, inputs, 4 * width, stride)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + shortcut(self, x))


class PaddedShortcut(nn.Module):
    """Option A of the ResNet paper: every stride-th pixel, zeros for the channels that are not there."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))


def add_shortcut(block, inputs, outputs, stride):
    if block.shortcut_name == "option A":
        if stride != 1 or inputs != outputs:
            setattr(block, block.shortcut_name, PaddedShortcut(inputs, outputs, stride))
        return
    if stride != 1 or inputs != outputs:
        path = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        setattr(block, block.shortcut_name, path)


def shortcut(block, x):
    path = getattr(block, block.shortcut_name, None)
    return x if path is None else path(x)


class ResNet(nn.Module):
    def __init__(self, block, counts, stem, widths, strides, names, classes=100, large_stem=False):
        """names: the attributes of the shortcut and of the classifier. large_stem: 7x7 s2, then max pool 3x3 s2."""
        super().__init__()
        shortcut_name, self.classifier_name = names
        self.conv1 = conv(3, stem, 7, 2) if large_stem else conv(3, stem, 3)
        self.bn1, self.large_stem = nn.BatchNorm2d(stem), large_stem
        inputs = stem
        for s, (count, width, stride) in enumerate(zip(counts, widths, strides), 1):
            blocks = []
            for i in range(count):
                blocks.append(block(inputs, width, stride if i == 0 else 1, shortcut_name))
                inputs = width * block.expansion
            setattr(self, f"layer{s}", nn.Sequential(*blocks))
        self.stages = len(counts)
        setattr(self, self.classifier_name, nn.Linear(inputs, classes))

    def forward(self, x):
        features = [F.relu(self.bn1(self.conv1(x)))]
        x = F.max_pool2d(features[0], 3, 2, 1) if self.large_stem else features[0]
        for s in range(1, self.stages + 1):
            x = getattr(self, f"layer{s}")(x)
            features.append(x)
        pooled = pool(features[-1])
        return {"logits": getattr(self, self.classifier_name)(pooled), "pooled": pooled, "stages": features}


def cifar_resnet(depth, stem=16, width=16):
    widths = [width, 2 * width, 4 * width]
    return ResNet(BasicBlock, [(depth - 2) // 6] * 3, stem, widths, [1, 2, 2], ("downsample", "fc"))


def option_a_resnet(depth):
    return ResNet(BasicBlock, [(depth - 2) // 6] * 3, 16, [16, 32, 64], [1, 2, 2], ("option A", "linear"))


def wide_stem_resnet(block, counts):
    return ResNet(block, counts, 64, [64, 128, 256, 512], [1, 2, 2, 2], ("shortcut", "linear"))


def imagenet_resnet(block, counts, classes):
    widths, names = [64, 128, 256, 512], ("downsample", "fc")
    return ResNet(block, counts, 64, widths, [1, 2, 2, 2], names, classes, large_stem=True)


class MobileNetV1(nn.Module):
    """The last outputs at each of four sizes are the stages behind the stem."""

    def __init__(self, classes):
        super().__init__()
        layers = [nn.Sequential(conv(3, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU())]
        inputs = 32
        strided = (2, 4, 6, 12)
        for k, outputs in enumerate([64, 128, 128, 256, 256] + 6 * [512] + 2 * [1024], 1):
            depthwise = [conv(inputs, inputs, 3, 2 if k in strided else 1, inputs), nn.BatchNorm2d(inputs)]
            pointwise = [conv(inputs, outputs, 1), nn.BatchNorm2d(outputs)]
            layers.append(nn.Sequential(*depthwise, nn.ReLU(), *pointwise, nn.ReLU()))
            inputs = outputs
        self.model, self.fc = nn.Sequential(*layers), nn.Linear(inputs, classes)

    def forward(self, x):
        features = []
        for k, layer in enumerate(self.model):
            x = layer(x)
            if k in (0, 3, 5, 11, 13):
                features.append(x)
        pooled = pool(x)
        return {"logits": self.fc(pooled), "pooled": pooled, "stages": features}


class PreActivationBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        self.convShortcut = None if inputs == outputs else conv(inputs, outputs, 1, stride)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (x if self.convShortcut is None else self.convShortcut(a))


class WideGroup(nn.Module):
    def __init__(self, count, inputs, outputs, stride):
        super().__init__()
        blocks = [
            PreActivationBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1)
            for i in range(count)
        ]
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, depth, k, classes=100):
        super().__init__()
        count = (depth - 4) // 6
        self.conv1 = conv(3, 16, 3)
        self.block1 = WideGroup(count, 16, 16 * k, 1)
        self.block2 = WideGroup(count, 16 * k, 32 * k, 2)
        self.block3 = WideGroup(count, 32 * k, 64 * k, 2)
        self.bn1, self.fc = nn.BatchNorm2d(64 * k), nn.Linear(64 * k, classes)

    def forward(self, x):
        features = [self.conv1(x)]
        for block in (self.block1, self.block2, self.block3):
            features.append(block(features[-1]))
        pooled = pool(F.relu(self.bn1(features[-1])))
        return {"logits": self.fc(pooled), "pooled": pooled, "stages": features}


class Vgg(nn.Module):
    def __init__(self, counts, classes=100):
        """counts: convolutions of each of the five blocks."""
        super().__init__()
        inputs = 3
        for k, width in enumerate((64, 128, 256, 512, 512)):
            layers = []
            for i in range(counts[k]):
                layers += [nn.ReLU()] if i else []
                layers += [conv(inputs, width, 3, bias=True), nn.BatchNorm2d(width)]
                inputs = width
            setattr(self, f"block{k}", nn.Sequential(*layers))
        self.classifier = nn.Linear(512, classes)

    def forward(self, x):
        features = []
        for k in range(5):
            x = F.relu(getattr(self, f"block{k}")(x))
            features.append(x)
            if k < 3:
                x = F.max_pool2d(x, 2)
        pooled = pool(x)
        return {"logits": self.classifier(pooled), "pooled": pooled, "stages": features}


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            conv(inputs, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            conv(hidden, hidden, 3, stride, groups=hidden),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            conv(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Half width, expansion 6, for 32x32 images."""

    def __init__(self, classes=100):
        super().__init__()
        table = (
            (1, 8, 1, 1),
            (6, 12, 2, 1),
            (6, 16, 3, 2),
            (6, 32, 4, 2),
            (6, 48, 3, 1),
            (6, 80, 3, 2),
            (6, 160, 1, 1),
        )
        self.conv1 = nn.Sequential(conv(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.ModuleList()
        inputs = 16
        for expansion, outputs, count, stride in table:
            group = []
            for i in range(count):
                group.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
            self.blocks.append(nn.Sequential(*group))
        self.conv2 = nn.Sequential(conv(inputs, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU())
        self.classifier = nn.Sequential(nn.Linear(1280, classes))

    def forward(self, x):
        x = self.conv1(x)
        features = [x]
        for i, group in enumerate(self.blocks):
            x = group(x)
            if i in (1, 2, 4, 6):
                features.append(x)
        pooled = F.avg_pool2d(self.conv2(x), 2).flatten(1)
        return {"logits": self.classifier(pooled), "pooled": pooled, "stages": features}


def shuffle(x, groups):
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleV1Block(nn.Module):
    """With stride 2 the pooled input is concatenated after the branch, which has that many channels fewer."""

    def __init__(self, inputs, outputs, stride, groups):
        super().__init__()
        self.stride, self.groups = stride, groups
        branch = outputs - inputs if stride == 2 else outputs
        mid = branch // 4
        self.first_groups = 1 if inputs == 24 else groups
        self.conv1, self.bn1 = conv(inputs, mid, 1, groups=self.first_groups), nn.BatchNorm2d(mid)
        self.conv2, self.bn2 = conv(mid, mid, 3, stride, groups=mid), nn.BatchNorm2d(mid)
        self.conv3, self.bn3 = conv(mid, branch, 1, groups=groups), nn.BatchNorm2d(branch)

    def forward(self, x):
        y = shuffle(F.relu(self.bn1(self.conv1(x))), self.first_groups)
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.stride == 2:
            return F.relu(torch.cat([y, F.avg_pool2d(x, 3, 2, 1)], 1))
        return F.relu(y + x)


class ShuffleV1(nn.Module):
    def __init__(self, classes=100):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 24, 1), nn.BatchNorm2d(24)
        inputs = 24
        for s, (outputs, count) in enumerate(((240, 4), (480, 8), (960, 4)), 1):
            blocks = []
            for i in range(count):
                blocks.append(ShuffleV1Block(inputs, outputs, 2 if i == 0 else 1, 3))
                inputs = outputs
            setattr(self, f"layer{s}", nn.Sequential(*blocks))
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x):
        features = [F.relu(self.bn1(self.conv1(x)))]
        for layer in (self.layer1, self.layer2, self.layer3):
            features.append(layer(features[-1]))
        pooled = F.avg_pool2d(features[-1], 4).flatten(1)
        return {"logits": self.linear(pooled), "pooled": pooled, "stages": features}


class ShuffleV2Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        mid = outputs // 2
        self.conv1, self.bn1 = conv(inputs, inputs, 3, 2, groups=inputs), nn.BatchNorm2d(inputs)
        self.conv2, self.bn2 = conv(inputs, mid, 1), nn.BatchNorm2d(mid)
        self.conv3, self.bn3 = conv(inputs, mid, 1), nn.BatchNorm2d(mid)
        self.conv4, self.bn4 = conv(mid, mid, 3, 2, groups=mid), nn.BatchNorm2d(mid)
        self.conv5, self.bn5 = conv(mid, mid, 1), nn.BatchNorm2d(mid)

    def forward(self, x):
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        right = F.relu(self.bn5(self.conv5(right)))
        return shuffle(torch.cat([left, right], 1), 2)


class ShuffleV2Basic(nn.Module):
    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = conv(half, half, 1), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = conv(half, half, 3, groups=half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = conv(half, half, 1), nn.BatchNorm2d(half)

    def forward(self, x):
        kept, y = x.chunk(2, 1)
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(y)))))
        y = F.relu(self.bn3(self.conv3(y)))
        return shuffle(torch.cat([kept, y], 1), 2)


class ShuffleV2(nn.Module):
    def __init__(self, classes=100):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 24, 1), nn.BatchNorm2d(24)
        inputs = 24
        for s, (outputs, count) in enumerate(((116, 3), (232, 7), (464, 3)), 1):
            blocks = [ShuffleV2Down(inputs, outputs)] + [ShuffleV2Basic(outputs) for _ in range(count)]
            setattr(self, f"layer{s}", nn.Sequential(*blocks))
            inputs = outputs
        self.conv2, self.bn2 = conv(inputs, 1024, 1), nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x):
        features = [F.relu(self.bn1(self.conv1(x)))]
        for layer in (self.layer1, self.layer2, self.layer3):
            features.append(layer(features[-1]))
        pooled = F.avg_pool2d(F.relu(self.bn2(self.conv2(features[-1]))), 4).flatten(1)
        return {"logits": self.linear(pooled), "pooled": pooled, "stages": features}


CIFAR_RESNETS = {
    f"resnet{depth}": (lambda d=depth: cifar_resnet(d)) for depth in (8, 14, 20, 32, 44, 56, 110)
}
CIFAR_RESNETS["resnet8x4"] = lambda: cifar_resnet(8, 32, 64)
CIFAR_RESNETS["resnet32x4"] = lambda: cifar_resnet(32, 32, 64)

ZOO = {
    "wrn_16_1": lambda: WideResNet(16, 1),
    "wrn_16_2": lambda: WideResNet(16, 2),
    "wrn_40_1": lambda: WideResNet(40, 1),
    "wrn_40_2": lambda: WideResNet(40, 2),
    "vgg8": lambda: Vgg([1, 1, 1, 1, 1]),
    "vgg11": lambda: Vgg([1, 1, 2, 2, 2]),
    "vgg13": lambda: Vgg([2, 2, 2, 2, 2]),
    "vgg16": lambda: Vgg([2, 2, 3, 3, 3]),
    "vgg19": lambda: Vgg([2, 2, 4, 4, 4]),
    "MobileNetV2": MobileNetV2,
    "ShuffleV1": ShuffleV1,
    "ShuffleV2": ShuffleV2,
    "ResNet18": lambda: wide_stem_resnet(BasicBlock, [2, 2, 2, 2]),
    "ResNet50": lambda: wide_stem_resnet(Bottleneck, [3, 4, 6, 3]),
}
OPTION_A = {f"resnet{depth}a": (lambda d=depth: option_a_resnet(d)) for depth in (20, 32, 44, 56, 110)}
IMAGENET = {
    "resnet18_imagenet": lambda classes=100: imagenet_resnet(BasicBlock, [2, 2, 2, 2], classes),
    "resnet34_imagenet": lambda classes=100: imagenet_resnet(BasicBlock, [3, 4, 6, 3], classes),
    "resnet50_imagenet": lambda classes=100: imagenet_resnet(Bottleneck, [3, 4, 6, 3], classes),
    "resnet101_imagenet": lambda classes=100: imagenet_resnet(Bottleneck, [3, 4, 23, 3], classes),
    "MobileNetV1": lambda classes=100: MobileNetV1(classes),
}
MODELS = CIFAR_RESNETS | ZOO | OPTION_A | IMAGENET


def images_of(name):
    """Side and classes of the images a model is made for."""
    return (224, 1000) if name in IMAGENET else (32, 100)


def build(name):
    return MODELS[name](1000) if name in IMAGENET else MODELS[name]()


def multiply_adds(model, side=32):
    """Multiply-adds of convolutions and linear layers for one image of side x side."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    model.eval()(torch.zeros(1, 3, side, side, dtype=next(model.parameters()).dtype))
    for hook in hooks:
        hook.remove()
    return total
