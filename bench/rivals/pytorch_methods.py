"""Every method's training step as one would write it in PyTorch, measured on request.

Started by compare_methods.py. A line on stdin is a JSON object, {"method": "sp", "seconds": 5, "variants": ["eager", "compile"]};
a line on stdout answers it: per variant the median step and the process' time for a step, in milliseconds, and which was faster.
`--check` only holds the losses against their references.

Losses of logits are those of method_losses.py; methods of features are those of tests/data, which our own are tested against. f32,
channels_last, SGD in its fused form; a teacher in evaluation mode, without gradients. Networks are CIFAR's resnets. "kd+dot" is kd
with the optimiser of arXiv:2307.08436.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data"))
import features
import method_losses
import reference_models
import rival_features
from method_losses import ALONE, CE_WEIGHT, CLASSES, LOGITS, set_kl

IMAGES = 50_000

class Learned:
    """What a method trains, made when it is first asked for."""

    def __init__(self):
        self.tensors, self.modules = {}, {}

    def __call__(self, name, shape, scale=None, shift=0.0):
        if name not in self.tensors:
            if scale is None or len(shape) == 4:
                scale = torch.tensor(shape[1:]).prod().item() ** -0.5 if len(shape) > 1 else 0.1
            value = shift + scale * torch.randn(shape)
            if len(shape) == 4:
                value = value.contiguous(memory_format=torch.channels_last)
            self.tensors[name] = value.requires_grad_()
        return self.tensors[name]

    def module(self, name, make):
        if name not in self.modules:
            self.modules[name] = make().to(memory_format=torch.channels_last)
        return self.modules[name]

    def batch_norm(self, name, x):
        return self.module(name, lambda: nn.BatchNorm2d(x.shape[1]))(x)

    def parameters(self):
        return [*self.tensors.values(), *(p for m in self.modules.values() for p in m.parameters())]


def maps(outputs):
    return [*outputs["stages"], outputs["pooled"]]


def before(outputs):
    return [outputs["stages"][0], *outputs["before"], outputs["pooled"]]


class Method:
    """The distillation terms of one method, and what it learns and remembers."""

    def __init__(self, nets):
        self.nets, self.learned = nets, Learned()

    def start(self, own, taught):
        """Once, before the first step."""


class At(Method):
    def loss(self, own, taught, y, numbers):
        return sum(features.at(s, t) for s, t in zip(own["stages"][1:], taught["stages"][1:]))


class Rkd(Method):
    def loss(self, own, taught, y, numbers):
        return features.rkd(own["pooled"], taught["pooled"])


class FitNet(Method):
    def loss(self, own, taught, y, numbers):
        return features.fitnet(self.learned, maps(own), maps(taught))


class ReviewKd(Method):
    def loss(self, own, taught, y, numbers):
        return features.reviewkd(self.learned, maps(own), before(taught))


class Rival(Method):
    """Of rival_features.py."""

    def __init__(self, nets, name, weight):
        super().__init__(nets)
        self.name, self.settings = name, {"alpha": weight, "matrix": "sides"}

    def loss(self, own, taught, y, numbers):
        return rival_features.METHODS[self.name](self.learned, maps(own), maps(taught), self.settings)


class Ofd(Method):
    def start(self, own, taught):
        norms = [getattr(self.nets.teacher, f"layer{s}")[-1].bn2 for s in range(1, self.nets.teacher.stages + 1)]
        self.margins = [rival_features.margins(n.weight.tolist(), n.bias.tolist()).float() for n in norms]

    def loss(self, own, taught, y, numbers):
        pairs, total = list(zip(own["before"], taught["before"])), 0.0
        for i, (s, t) in enumerate(pairs):
            kernel = self.learned(f"connector{i}", [t.shape[1], s.shape[1], 1, 1])
            x = self.learned.batch_norm(f"bn{i}", F.conv2d(s, kernel))
            t = F.adaptive_avg_pool2d(t, x.shape[2])
            total = total + rival_features.partial_l2(x, t, self.margins[i]) / 2 ** (len(pairs) - 1 - i)
        return 0.001 * total


class SimKd(Method):
    def start(self, own, taught):
        inputs, outputs = own["stages"][-1].shape[1], taught["stages"][-1].shape[1]
        layers = []
        for i, o, kernel in ((inputs, outputs // 2, 1), (outputs // 2, outputs // 2, 3), (outputs // 2, outputs, 1)):
            layers += [reference_models.conv(i, o, kernel), nn.BatchNorm2d(o), nn.ReLU()]
        self.projector = self.learned.module("projector", lambda: nn.Sequential(*layers))

    def loss(self, own, taught, y, numbers):
        return F.mse_loss(self.projector(own["stages"][-1]), taught["stages"][-1])


class Crd(Method):
    """16,384 negatives a sample, drawn of all images but those of its class; memories of 50,000 x 128."""

    negatives, width, tau, keep = 16384, 128, 0.07, 0.5

    def start(self, own, taught):
        self.layers = []
        for name, outputs in (("student", own), ("teacher", taught)):
            inputs = outputs["pooled"].shape[1]
            self.layers.append(self.learned.module(name, lambda i=inputs: nn.Linear(i, self.width)))
        bound = (3 / self.width) ** 0.5
        self.memories = [torch.empty(IMAGES, self.width).uniform_(-bound, bound) for _ in range(2)]
        self.z = [None, None]
        labels = torch.arange(IMAGES) * 7 % CLASSES
        self.others = [(labels != c).nonzero()[:, 0] for c in range(CLASSES)]

    def loss(self, own, taught, y, numbers):
        with torch.no_grad():  # as the loader of the original does it, image by image
            drawn = [self.others[c][torch.randperm(len(self.others[c]))[: self.negatives]] for c in y.tolist()]
            index = torch.cat([numbers[:, None], torch.stack(drawn)], 1)
        v = [F.normalize(layer(o["pooled"]), dim=1) for layer, o in zip(self.layers, (own, taught))]
        total = 0.0
        for side in range(2):
            rows = self.memories[1 - side].index_select(0, index.view(-1)).view(len(y), -1, self.width)
            e = (torch.bmm(rows, v[side][:, :, None])[:, :, 0] / self.tau).exp()
            if self.z[side] is None:
                self.z[side] = IMAGES * e.mean().item()
            p, c = e / self.z[side], self.negatives / IMAGES
            positive = (p[:, 0] / (p[:, 0] + c + 1e-7)).log()
            negative = (c / (p[:, 1:] + c + 1e-7)).log().sum(1)
            total = total - (positive + negative).mean()
        with torch.no_grad():
            for memory, vectors in zip(self.memories, v):
                memory[numbers] = F.normalize(self.keep * memory[numbers] + (1 - self.keep) * vectors, dim=1)
        return 0.8 * total


class Sdd(Method):
    def __init__(self, nets, rows, weight):
        super().__init__(nets)
        self.rows, self.weight = rows, weight

    def loss(self, own, taught, y, numbers):
        ends = [outputs["stages"][-1] for outputs in (own, taught)]
        zt, zs, labels, weights = method_losses.sdd_rows(*ends, self.nets.student.fc, self.nets.teacher.fc, y)
        return self.weight * (weights * self.rows(zt, zs, labels)).mean()


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


class Ctkd(Method):
    def loss(self, own, taught, y, numbers):
        theta = self.learned("theta", [1], 0.0, 1.0)
        tau = 1 + 20 * torch.sigmoid(Reversed.apply(theta))
        return 0.9 * (tau**2 * set_kl(taught["logits"] / tau, own["logits"] / tau)).mean()


class OfLogits(Method):
    def __init__(self, nets, name):
        super().__init__(nets)
        self.of_logits = LOGITS[name]

    def loss(self, own, taught, y, numbers):
        return self.of_logits(taught["logits"], own["logits"], y)


FEATURES = {
    "at": At,
    "rkd": Rkd,
    "fitnet": FitNet,
    "reviewkd": ReviewKd,
    "ofd": Ofd,
    "simkd": SimKd,
    "crd": Crd,
    "sdd-kd": lambda nets: Sdd(nets, method_losses.sdd_kd_rows, 0.9),
    "sdd-dkd": lambda nets: Sdd(nets, method_losses.dkd_rows, 1.0),
    "sdd-nkd": lambda nets: Sdd(nets, functools.partial(method_losses.nkd_rows, tau=4.0, gamma=8.0), 1.0),
}
FEATURES |= {
    name: functools.partial(Rival, name=name, weight=weight)
    for name, weight in (("sp", 3000.0), ("pkt", 30000.0), ("nst", 50.0), ("vid", 1.0), ("kdsvd", 1.0))
}
METHODS = ("ce", *LOGITS, "ctkd", "crld", *FEATURES, "kd+dot")


# --- a step -------------------------------------------------------------------------------------------------------------------


class WithMaps(nn.Module):
    """A CIFAR resnet's logits, or with features also its maps, those of the last blocks before their last ReLU too."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, features):
        net = self.net
        x = F.relu(net.bn1(net.conv1(x)))
        stages, before_relu = [x], []
        for s in range(1, net.stages + 1):
            for block in getattr(net, f"layer{s}"):
                y = F.relu(block.bn1(block.conv1(x)))
                inner = block.bn2(block.conv2(y)) + reference_models.shortcut(block, x)
                x = F.relu(inner)
            stages.append(x)
            before_relu.append(inner)
        pooled = reference_models.pool(x)
        logits = net.fc(pooled)
        return {"logits": logits, "pooled": pooled, "stages": stages, "before": before_relu} if features else {"logits": logits}


class Nets:
    def __init__(self, options):
        torch.manual_seed(1)
        self.student, self.teacher = (
            reference_models.build(name).to(memory_format=torch.channels_last) for name in (options.student, options.teacher)
        )
        self.teacher.eval().requires_grad_(False)
        self.student.train()
        shape = (options.batch, 3, 32, 32)
        self.images, self.strong = (torch.randn(shape).contiguous(memory_format=torch.channels_last) for _ in range(2))
        self.numbers = torch.arange(options.batch)
        self.labels = self.numbers * 7 % CLASSES
        self.calls = {"eager": [WithMaps(n) for n in (self.student, self.teacher)]}
        self.calls["compile"] = [torch.compile(m) for m in self.calls["eager"]]


class Step:
    """One method with its optimiser, on networks that all methods share."""

    def __init__(self, nets, name):
        self.nets, self.name, self.dot = nets, name, name == "kd+dot"
        method = "kd" if self.dot else name
        self.ce_weight = CE_WEIGHT.get(method, 1.0)
        self.features, self.views = method in FEATURES, 2 if method == "crld" else 1
        self.method = None
        if method in FEATURES:
            self.method = FEATURES[method](nets)
        elif method == "ctkd":
            self.method = Ctkd(nets)
        elif method in LOGITS:
            self.method = OfLogits(nets, method)
        self.losses = {"eager": self.loss, "compile": torch.compile(self.loss)}
        own, taught, _ = self.outputs("eager")
        if self.method:
            self.method.start(own, taught)
        self.loss(own, taught, self.nets.labels, None)  # what is learned is made
        learned = [p for p in nets.student.parameters()] + (self.method.learned.parameters() if self.method else [])
        self.optimizer = torch.optim.SGD(learned, lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
        self.momenta = None

    def outputs(self, variant):
        """Of the student, of the teacher, and both of the second view."""
        student, teacher = self.nets.calls[variant]
        taught, strong = None, None
        with torch.no_grad():
            if self.name not in ALONE:
                taught = teacher(self.nets.images, self.features)
            if self.views == 2:
                strong_t = teacher(self.nets.strong, False)
        own = student(self.nets.images, self.features)
        if self.views == 2:
            strong = strong_t["logits"], student(self.nets.strong, False)["logits"]
        return own, taught, strong

    def loss(self, own, taught, y, strong):
        """Of the labels, and of the teacher."""
        of_labels = self.ce_weight * F.cross_entropy(own["logits"], y) if self.ce_weight else 0.0
        if self.views == 2 and strong is not None:
            of_labels = of_labels + F.cross_entropy(strong[1], y)
            return of_labels, method_losses.crld(taught["logits"], own["logits"], *strong)
        if self.method is None:
            return of_labels, 0.0
        if taught is None:
            return of_labels, self.method.of_logits(own["logits"], own["logits"], y)
        return of_labels, self.method.loss(own, taught, y, self.nets.numbers)

    def run(self, variant):
        own, taught, strong = self.outputs(variant)
        of_labels, of_teacher = self.losses[variant](own, taught, self.nets.labels, strong)
        self.optimizer.zero_grad(set_to_none=True)
        if self.dot:
            self.two_gradients(of_labels, of_teacher)
            return
        (of_labels + of_teacher).backward()
        self.optimizer.step()

    @torch.no_grad()
    def two_gradients(self, of_labels, of_teacher, lr=1e-4, delta=0.075):
        parameters = self.optimizer.param_groups[0]["params"]
        with torch.enable_grad():
            of_teacher_too = list(torch.autograd.grad(of_teacher, parameters, retain_graph=True))
            own = list(torch.autograd.grad(of_labels, parameters))
        torch._foreach_add_(own, parameters, alpha=5e-4)
        if self.momenta is None:
            self.momenta = own, of_teacher_too
        else:
            for momentum, gradient, keep in zip(self.momenta, (own, of_teacher_too), (0.9 - delta, 0.9 + delta)):
                torch._foreach_mul_(momentum, keep)
                torch._foreach_add_(momentum, gradient)
        for momentum in self.momenta:
            torch._foreach_add_(parameters, momentum, alpha=-lr)


def measure(step, variant, seconds):
    """The median and the process' time for a step, in milliseconds."""
    times, start, used = [], time.perf_counter(), time.process_time()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        step.run(variant)
        times.append(1e3 * (time.perf_counter() - began))
    return {"median_ms": statistics.median(times), "cpu_ms": 1e3 * (time.process_time() - used) / len(times)}


class Worker:
    def __init__(self, options):
        self.nets, self.step, self.warm = Nets(options), None, set()

    def answer(self, request):
        if self.step is None or self.step.name != request["method"]:
            self.step, self.warm = Step(self.nets, request["method"]), set()
        found = {}
        for variant in request["variants"]:
            try:
                for _ in range(0 if variant in self.warm else 3):
                    self.step.run(variant)
            except Exception as error:  # no compiler for torch.compile, say: eager is left
                if variant == "eager":
                    raise
                print(f"pytorch_methods: {request['method']}, {variant}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            self.warm.add(variant)
            found[variant] = measure(self.step, variant, request["seconds"])
        return {"variant": min(found, key=lambda v: found[v]["median_ms"]), "variants": found}


def main():
    parser = argparse.ArgumentParser(description="PyTorch's steps of all methods, as lines on stdin ask for them")
    parser.add_argument("--student", default="resnet8x4")
    parser.add_argument("--teacher", default="resnet32x4")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="only the losses' values")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("highest")
    method_losses.check()
    if options.check:
        return
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    worker = Worker(options)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "methods": METHODS}
    print(json.dumps(about), file=answers, flush=True)  # who started this may begin
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
