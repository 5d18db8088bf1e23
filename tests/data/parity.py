"""Writes parity.json: what two epochs of training give with each method, made by PyTorch in f64.

Run: python3 tests/data/parity.py      (PyTorch on the CPU; the version that made the file is in the file)

parity.json
  batch, epochs, images, strong   images: formulas of [N,H,W,C] values as they enter the networks; strong: second views
  cases  [{method, dot, lr, losses, conv1, fc, rounding}, ...]
         A resnet8 learns from a resnet14, both of 100 classes and filled by the rule of models.py; what a method learns is
         filled by the same rule under its names, prefixed "learned."; batches in order, no augmentation, label of image n
         (7 n) mod 100. SGD at lr, momentum 0.9, weight decay 5e-4; the method's settings are the program's defaults. dot: with the
         optimiser of arXiv:2307.08436 at delta 0.075.
         losses: the mean training loss of each epoch. conv1, fc: [abs_sum, probe] of those weights at the end.
         rounding: how far PyTorch's own f32 run is, or the farthest of those that start from weights moved by 1e-6 of
         themselves, relative to the loss or to the sum of the absolute weights.

The methods' losses are those of reference_losses.py and rival_features.py; this file is the loop around them.
"""

import os

import torch
import torch.nn.functional as F
from torch import nn

import closed_formula
import models
import reference_losses as losses
import reference_models
import rival_features

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, EPOCHS, COUNT, CLASSES = 8, 2, 24, 100
IMAGES = {"name": "parity.images", "scale": 2.0}
STRONG = {"name": "parity.strong", "scale": 2.0}
MOMENTUM, DECAY, DELTA = 0.9, 5e-4, 0.075
LR, LR_OF = 0.01, {"sp": 0.001}  # sp's first steps are so long at 0.01 that the last bit decides about ReLUs
MOVED = 4  # runs


def block_forward(self, x):
    """BasicBlock.forward, keeping the value before the last ReLU."""
    y = F.relu(self.bn1(self.conv1(x)))
    self.before_relu = self.bn2(self.conv2(y)) + reference_models.shortcut(self, x)
    return F.relu(self.before_relu)


reference_models.BasicBlock.forward = block_forward


def last_blocks(net):
    return [getattr(net, f"layer{s}")[-1] for s in range(1, net.stages + 1)]


class Projected(nn.Module):
    """A body that ends in the teacher's classifier, as SimKD has it."""

    def __init__(self, body, width):
        super().__init__()
        self.body = body
        self.projector = nn.Module()
        for i, (inputs, outputs, kernel) in enumerate(((64, width // 2, 1), (width // 2, width // 2, 3), (width // 2, width, 1)), 1):
            setattr(self.projector, f"conv{i}", reference_models.conv(inputs, outputs, kernel))
            setattr(self.projector, f"bn{i}", nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.body(x)
        x = out["stages"][-1]
        for i in range(1, 4):
            x = F.relu(getattr(self.projector, f"bn{i}")(getattr(self.projector, f"conv{i}")(x)))
        return out | {"map": x}


class Learned(nn.Module):
    """What a method learns, made when it is first asked for; by the rule of models.py, norms as 1 and 0 moved by it."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype, self.made, self.norms = dtype, {}, {}

    def __call__(self, name, shape, scale=None, shift=0.0):
        if name not in self.made:
            if scale is None:
                scale = models.weight_scale(int(torch.tensor(shape[1:]).prod())) if len(shape) > 1 else 0.0625
            value = closed_formula.tensor("learned." + name, shape, scale, shift).to(self.dtype)
            self.made[name] = value.requires_grad_()
        return self.made[name]

    def batch_norm(self, name, x):
        channels = x.shape[1]
        weight, bias = self(f"{name}.weight", [channels], 0.25, 1.0), self(f"{name}.bias", [channels], 0.25)
        return F.batch_norm(x, None, None, weight, bias, training=True)


def sdd(base, student, teacher, s_map, t_map, y, weights):
    """arXiv:2403.13512 over grids 1, 2 and 4; the other classes of nkd without the labelled one."""

    def rows(x):
        cells = F.adaptive_avg_pool2d(x, 4)
        grids = [cells, F.adaptive_avg_pool2d(cells, 2), F.adaptive_avg_pool2d(cells, 1)]
        return torch.cat([g.flatten(2).transpose(1, 2) for g in grids], 1)  # B, 21, C

    zs, zt = student.fc(rows(s_map)), teacher.fc(rows(t_map)).detach()
    right = losses.first_largest(zt.flatten(0, 1)).reshape(zt.shape[:2]) == y[:, None]
    v = torch.where(right == right[:, -1:], 1.0, 2.0).to(zs.dtype).flatten()
    zs, zt, y = zs.flatten(0, 1), zt.flatten(0, 1), y.repeat_interleave(21)
    tau = 4.0
    if base == "kd":
        return 0.9 * tau**2 * (v * losses.set_kl(zt / tau, zs / tau)).mean()
    if base == "dkd":
        target = losses.binary_kl(zt / tau, y, zs / tau, y)
        others = losses.set_kl(losses.without(zt, y) / tau, losses.without(zs, y) / tau)
        return tau**2 * (v * (target + 8.0 * others)).mean()
    p_y, log_q_y = (f(z, 1).gather(1, y[:, None])[:, 0] for f, z in ((F.softmax, zt), (F.log_softmax, zs)))
    p, log_q = F.softmax(losses.without(zt, y) / tau, 1), F.log_softmax(losses.without(zs, y) / tau, 1)
    return (v * (-p_y * log_q_y - 8.0 * tau**2 * (p * log_q).sum(1))).mean()


# method: the settings of its reference, weight of the cross-entropy, epochs of warm-up
LOGITS = {
    "kd": ({"alpha": 0.9, "temperature": 4.0}, 0.1, 0),
    "ls-ce": ({"smoothing": 0.1}, 0, 0),
    "tfkd-reg": ({"alpha": 0.1, "temperature": 20.0, "multiplier": 100.0}, 0, 0),
    "swap": ({"alpha": 1.0, "temperature": 4.0}, 0, 0),
    "rc": ({"alpha": 1.0, "beta": 0.1, "temperature": 4.0}, 1, 0),
    "revision": ({"alpha": 4.0, "beta": 1.0, "lambda": 0.8}, 0, 0),
    "ttm": ({"gamma": 0.1, "beta": 45.0}, 1, 0),
    "wttm": ({"gamma": 0.2, "beta": 4.0}, 1, 0),
    "gdkd": ({"k": 5, "w0": 1.0, "w1": 1.0, "w2": 8.0, "temperature": 4.0}, 1, 20),
    "ldrld": ({"k": 7, "alpha": 10.5, "beta": 7.0, "temperature": 4.0}, 1, 0),
    "wkd-l": ({"alpha": 600.0, "temperature": 8.0, "scale": 1.0}, 1, 0),
    "crld": (
        {"alpha": 2.0, "beta": 0.5, "threshold": 0.9, "strong_threshold": 0.2, "temperature": 4.0},
        1,
        0,
    ),
}
FEATURES = {"sp": 3000.0, "pkt": 30000.0, "nst": 50.0, "vid": 1.0, "ofd": 0.001, "kdsvd": 1.0}
REGIONS = {"sdd-kd": (0.1, 0), "sdd-dkd": (1, 20), "sdd-nkd": (1, 20)}


class Run:
    def __init__(self, method, dtype, dot):
        self.method, self.dtype, self.dot, self.lr = method, dtype, dot, LR_OF.get(method, LR)
        self.teacher = reference_models.cifar_resnet(14).to(dtype)
        models.fill(self.teacher)
        self.teacher.eval().requires_grad_(False)
        self.student = reference_models.cifar_resnet(8).to(dtype)
        models.fill(self.student)
        self.net = self.student
        if method == "simkd":
            self.net = Projected(self.student, 64).to(dtype)
            models.fill(self.net.projector_names())
        self.learned = Learned(dtype)
        self.state = {}  # of the optimiser: name -> momenta
        for module in self.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1

    def losses(self, images, strong, y, epoch):
        """Of the labels and of the teacher."""
        method = self.method
        with torch.no_grad():
            taught = self.teacher(images)
            before = [b.before_relu for b in last_blocks(self.teacher)]
        out = self.net(images)
        zt, zs = taught["logits"], out["logits"]
        labels = F.cross_entropy(zs, y)
        if method in LOGITS:
            settings, ce_weight, warmup = LOGITS[method]
            more = {}
            if method == "crld":
                with torch.no_grad():
                    strong_t = self.teacher(strong)["logits"]
                strong_s = self.net(strong)["logits"]
                labels = labels + F.cross_entropy(strong_s, y)
                more["strong"] = (strong_t, strong_s)
            terms = losses.METHODS[method](zt, zs, y, settings, **more)
            if method in ("ls-ce", "tfkd-reg"):
                return sum(terms.values()), 0.0
            term = sum(terms.values())
        elif method in FEATURES:
            ce_weight, warmup = 1, 0
            own_before = [b.before_relu for b in last_blocks(self.student)]
            maps = [[f, *g, None] for f, g in ((out["stages"][0], own_before), (taught["stages"][0], before))]
            if method != "ofd":
                maps = [[*o["stages"], o["pooled"]] for o in (out, taught)]
            settings = {"alpha": FEATURES[method], "matrix": "sides"}
            more = {}
            if method == "ofd":
                more["norms"] = [
                    {"gamma": b.bn2.weight.tolist(), "beta": b.bn2.bias.tolist()} for b in last_blocks(self.teacher)
                ]
            term = rival_features.METHODS[method](self.learned, *maps, settings, **more)
        elif method in REGIONS:
            ce_weight, warmup = REGIONS[method]
            term = sdd(method[4:], self.student, self.teacher, out["stages"][-1], taught["stages"][-1], y, None)
        else:
            ce_weight, warmup = 0, 0
            term = F.mse_loss(out["map"], taught["stages"][-1])
        # Without a weight there is no such loss, and the optimiser sees one gradient.
        return ce_weight * labels if ce_weight else 0.0, term * (min(epoch / warmup, 1.0) if warmup else 1.0)

    def parameters(self):
        yield from self.net.named_parameters()
        yield from (("learned." + n, p) for n, p in self.learned.made.items())

    def step(self, of_labels, of_teacher):
        """SGD; with dot a momentum each for the two gradients."""

        def gradients(loss):
            names, parameters = zip(*self.parameters())
            if not torch.is_tensor(loss) or not loss.requires_grad:
                return dict.fromkeys(names)
            return dict(zip(names, torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)))

        whole = of_labels + of_teacher
        with torch.no_grad():
            if not self.dot:
                both = gradients_of(whole, gradients)
                for name, p in self.parameters():
                    g = (both[name] if both[name] is not None else 0) + DECAY * p
                    v = self.state[name] = MOMENTUM * self.state[name] + g if name in self.state else g
                    p -= self.lr * v
                return
            first, second = gradients_of(of_labels, gradients), gradients_of(of_teacher, gradients)
            for name, p in self.parameters():
                c, k = first[name], second[name]
                if c is not None and k is not None:
                    updates = [("c", c + DECAY * p, MOMENTUM - DELTA), ("k", k, MOMENTUM + DELTA)]
                elif k is None:
                    updates = [("c", (c if c is not None else 0) + DECAY * p, MOMENTUM)]
                else:
                    updates = [("k", k + (DECAY * p if (name, "k") in self.state else 0), MOMENTUM)]
                for which, g, momentum in updates:
                    key = (name, which)
                    v = self.state[key] = momentum * self.state[key] + g if key in self.state else g
                    p -= self.lr * v

    def train(self):
        shape = [COUNT, 32, 32, 3]
        images, strong = (
            closed_formula.tensor(f["name"], shape, f["scale"]).permute(0, 3, 1, 2).to(self.dtype)
            for f in (IMAGES, STRONG)
        )
        labels = torch.tensor([7 * n % CLASSES for n in range(COUNT)])
        self.net.train()
        means = []
        for epoch in range(1, EPOCHS + 1):
            total = 0.0
            for first in range(0, COUNT, BATCH):
                part = slice(first, first + BATCH)
                of_labels, of_teacher = self.losses(images[part], strong[part], labels[part], epoch)
                total += float(torch.as_tensor(of_labels + of_teacher).detach())
                self.step(of_labels, of_teacher)
            means.append(total * BATCH / COUNT)
        return {
            "losses": means,
            "conv1": models.pair(self.student.conv1.weight),
            "fc": models.pair(self.student.fc.weight),
        }


def gradients_of(loss, gradients):
    with torch.enable_grad():
        return gradients(loss)


def difference(exact, rounded):
    """The largest one, relative to the loss, or to the sum of the absolute weights."""
    losses = [abs(a - b) / abs(a) for a, b in zip(exact["losses"], rounded["losses"])]
    weights = [abs(a - b) / exact[key][0] for key in ("conv1", "fc") for a, b in zip(exact[key], rounded[key])]
    return max(losses + weights)


def projector_fill(self):
    """A module whose names are those of the program."""
    holder = nn.Module()
    holder.projector = self.projector
    return holder


Projected.projector_names = projector_fill


def moved(run, seed):
    """The run from other last digits."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in run.net.parameters():
            p.mul_(1 + 1e-6 * torch.randn(p.shape, generator=random, dtype=p.dtype))
    return run


def case(method, dot=False):
    exact = Run(method, torch.float64, dot).train()
    others = [Run(method, torch.float32, dot)] + [moved(Run(method, torch.float64, dot), i) for i in range(MOVED)]
    errors = [difference(exact, run.train()) for run in others]
    print(f"{method}{', dot' if dot else ''}: {exact['losses']}, f32 {errors[0]:.1e}, moved {max(errors[1:]):.1e}", flush=True)
    lr = LR_OF.get(method, LR)
    return {"method": method, "dot": dot, "lr": lr, **exact, "rounding": float(f"{max(errors):.2g}")}


def main():
    cases = [case(method) for method in (*LOGITS, *FEATURES, *REGIONS, "simkd")]
    cases += [case(method, dot=True) for method in ("kd", "vid", "swap")]
    content = {
        "made_by": "tests/data/parity.py",
        "torch": torch.__version__,
        "batch": BATCH,
        "epochs": EPOCHS,
        "count": COUNT,
        "images": IMAGES,
        "strong": STRONG,
        "cases": cases,
    }
    closed_formula.write_json(os.path.join(HERE, "parity.json"), content, "cases")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
