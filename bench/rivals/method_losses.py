"""The losses of every method on logits as one would write them in PyTorch: batched and plain, what the papers' code does, without
its slips. check() holds them against tests/data/reference_losses.py and the originals' values, in f64.
"""

import functools
import os
import sys

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data"))
import pytorch_step
import reference_losses

CLASSES = 100
FAR = -1e4  # a masked logit: its probability is 0



def one_hot(z, y):
    return F.one_hot(y, z.shape[1]).bool()


def set_kl(zt, zs):
    """Per sample."""
    log_p, log_q = F.log_softmax(zt, 1), F.log_softmax(zs, 1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def binary_kl(zt, k, zs, j):
    p, q = (F.softmax(z, 1).gather(1, c[:, None])[:, 0] for z, c in ((zt, k), (zs, j)))
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()


def dkd_rows(zt, zs, y, tau=4.0, alpha=1.0, beta=8.0):
    zt, zs, own = zt / tau, zs / tau, one_hot(zs, y)
    others = set_kl(zt.masked_fill(own, FAR), zs.masked_fill(own, FAR))
    return tau**2 * (alpha * binary_kl(zt, y, zs, y) + beta * others)


def nkd_rows(zt, zs, y, tau=1.0, gamma=1.5):
    own, at = one_hot(zs, y), y[:, None]
    p_y, log_q_y = F.softmax(zt, 1).gather(1, at)[:, 0], F.log_softmax(zs, 1).gather(1, at)[:, 0]
    p = F.softmax((zt / tau).masked_fill(own, FAR), 1)
    log_q = F.log_softmax((zs / tau).masked_fill(own, FAR), 1)
    return -p_y * log_q_y - gamma * tau**2 * (p * log_q).sum(1)


def dkd(zt, zs, y):
    return dkd_rows(zt, zs, y).mean()


def nkd(zt, zs, y):
    return nkd_rows(zt, zs, y).mean()


def rld(zt, zs, y, tau=4.0, beta=8.0):
    confidence = binary_kl(zt, zt.argmax(1), zs, y)
    rest = zt >= zt.gather(1, y[:, None])
    masked = set_kl((zt / tau).masked_fill(rest, FAR), (zs / tau).masked_fill(rest, FAR))
    return (confidence + beta * tau**2 * masked).mean()


def mlkd(zt, zs, y, beta=0.9):
    def share(x):
        ordered = x.sort().values
        n = x.numel()
        return (x <= (ordered[(n - 1) // 2] + ordered[n // 2]) / 2).to(x.dtype).mean()

    sure = F.softmax(zt, 1)
    of_samples, of_classes = share(sure.amax(1)), share(sure.sum(0))
    loss = 0
    for tau in (4.0, 3.0, 5.0, 2.0, 6.0):
        log_p, log_q = F.log_softmax(zt / tau, 1), F.log_softmax(zs / tau, 1)
        p, q = log_p.exp(), log_q.exp()
        kl = tau**2 * (p * (log_p - log_q)).sum(1).mean()
        classes = (p.T @ p - q.T @ q).square().sum() / p.shape[1]
        samples = (p @ p.T - q @ q.T).square().sum() / p.shape[0]
        loss = loss + of_samples * (kl + samples) + of_classes * classes
    return beta * loss


COSTS = {t: ((1 - torch.exp(reference_losses.similarity(CLASSES) - 1)).clamp(min=0) + 1e-8).to(t) for t in (torch.float32, torch.float64)}


def wkd(zt, zs, y, tau=8.0, weight=600.0):
    own = one_hot(zs, y)
    cost = COSTS[zs.dtype]
    kernel = torch.exp(-cost / 0.05)
    p, q = (F.softmax((z / tau).masked_fill(own, FAR), 1) for z in (zt, zs))
    u = (~own).to(zs.dtype) / (CLASSES - 1)
    for _ in range(10):
        v = p / (u @ kernel + 1e-8)
        u = q / (v @ kernel.T + 1e-8)
    transport = (u * (v @ (kernel * cost).T)).sum(1).mean()
    target = -(F.softmax(zt, 1) * F.log_softmax(zs, 1)).gather(1, y[:, None]).mean()
    return target + weight * transport


def progressive(zt, zs, y, stages=3, tau=4.0):
    """The partition of epoch 150 of 240: all classes in one group."""
    order = torch.argsort((zt - zs).detach().abs(), dim=1, descending=True, stable=True)
    zt, zs = zt.gather(1, order) / tau, zs.gather(1, order) / tau
    return 2 * stages * tau**2 * pytorch_step.weighted_kl(zt[:, None], zs[:, None])


def reference(name, settings):
    def loss(zt, zs, y):
        return sum(reference_losses.METHODS[name](zt, zs, y, settings).values())

    return loss


def logits_only(loss):
    return lambda zt, zs, y: loss(zt, zs)


# settings of what is taken from reference_losses.py, and of what the others are held against
SETTINGS = {
    "dkd": {"alpha": 1.0, "beta": 8.0, "temperature": 4.0},
    "nkd": {"gamma": 1.5, "temperature": 1.0},
    "rld": {"alpha": 1.0, "beta": 8.0, "temperature": 4.0, "temperature_a": 1.0},
    "mlkd": {"beta": 0.9, "temperature": 4.0},
    "wkd-l": {"alpha": 600.0, "temperature": 8.0, "scale": 1.0},
    "dist": {"beta": 2.0, "gamma": 2.0, "temperature": 4.0},
    "swap": {"alpha": 1.0, "temperature": 4.0},
    "rc": {"alpha": 1.0, "beta": 0.1, "temperature": 4.0},
    "revision": {"alpha": 4.0, "beta": 1.0, "lambda": 0.8},
    "ttm": {"gamma": 0.1, "beta": 45.0},
    "wttm": {"gamma": 0.2, "beta": 4.0},
    "gdkd": {"k": 5, "w0": 1.0, "w1": 1.0, "w2": 8.0, "temperature": 4.0},
    "ldrld": {"k": 7, "alpha": 10.5, "beta": 7.0, "temperature": 4.0},
    "ls-ce": {"smoothing": 0.1},
    "tfkd-reg": {"alpha": 0.1, "temperature": 20.0, "multiplier": 100.0},
}
LOGITS = {
    "kd": logits_only(pytorch_step.kd_loss),
    "pcd": logits_only(pytorch_step.pcd_loss),
    "pcd-released": logits_only(pytorch_step.pcd_released_loss),
    "pcd-progressive": progressive,
    "dkd": dkd,
    "nkd": nkd,
    "rld": rld,
    "mlkd": mlkd,
    "wkd-l": wkd,
}
LOGITS |= {name: reference(name, settings) for name, settings in SETTINGS.items() if name not in LOGITS}
ALONE = ("ce", "ls-ce", "tfkd-reg")  # without a teacher
CE_WEIGHT = {name: 0.1 for name in ("kd", "mlkd", "ctkd", "sdd-kd")}
CE_WEIGHT |= {name: 0.0 for name in ("swap", "revision", "simkd", "ls-ce", "tfkd-reg")}


def sdd_rows(own_map, taught_map, own_classifier, taught_classifier, y):
    """Logits of 21 regions of each sample, their labels, and the weight of each."""

    def rows(x):
        cells = F.adaptive_avg_pool2d(x, 4)
        grids = [cells, F.adaptive_avg_pool2d(cells, 2), F.adaptive_avg_pool2d(cells, 1)]
        return torch.cat([g.flatten(2).transpose(1, 2) for g in grids], 1)

    zs, zt = own_classifier(rows(own_map)), taught_classifier(rows(taught_map)).detach()
    right = zt.argmax(2) == y[:, None]
    weights = torch.where(right == right[:, -1:], 1.0, 2.0).to(zs.dtype).flatten()
    return zt.flatten(0, 1), zs.flatten(0, 1), y.repeat_interleave(21), weights


def sdd_kd_rows(zt, zs, y):
    return 16 * set_kl(zt / 4, zs / 4)


def crld(zt, zs, strong_t, strong_s, tau=4.0):
    sure = (F.softmax(zt, 1).amax(1) >= 0.9).to(zs.dtype)
    sure_strong = (F.softmax(strong_t, 1).amax(1) >= 0.2).to(zs.dtype)
    k = lambda t, s: tau**2 * set_kl(t / tau, s / tau)  # noqa: E731
    within = sure * (k(zt, zs) + k(strong_t, strong_s))
    return (2 * within + 0.5 * sure_strong * (k(zt, strong_s) + k(strong_t, zs))).mean()


def check():
    """The losses that are timed are those that are meant."""

    def same(name, found, expected):
        if not abs(found - expected) <= 1e-9 * abs(expected):
            sys.exit(f"method_losses: the {name} loss is {found}, expected {expected}")

    for method in ("kd", "pcd", "pcd-released"):
        pytorch_step.check_loss(method)
    torch.manual_seed(0)
    zt, zs, strong_t, strong_s = (3 * torch.randn(7, CLASSES).double() for _ in range(4))
    y = torch.arange(7) * 5
    zt[torch.arange(5), y[:5]] += 8  # a teacher is mostly right
    for method, settings in SETTINGS.items():
        expected = sum(reference_losses.METHODS[method](zt, zs, y, settings).values())
        same(method, LOGITS[method](zt, zs, y).item(), expected.item())
    settings = {"alpha": 2.0, "beta": 0.5, "threshold": 0.9, "strong_threshold": 0.2, "temperature": 4.0}
    expected = sum(reference_losses.crld(zt, zs, y, settings, strong=(strong_t, strong_s)).values())
    same("crld", crld(zt, zs, strong_t, strong_s).item(), expected.item())

    # Values of the original's code: maps 3 sin(1 + n) and 3 cos(0.7 n), classifiers sin(0.3 n) and cos(0.3 n).
    n, k = torch.arange(96).double(), torch.arange(18).double()
    own, taught = (3 * torch.sin(1 + n)).reshape(2, 3, 4, 4), (3 * torch.cos(0.7 * n)).reshape(2, 3, 4, 4)
    classifiers = [functools.partial(F.linear, weight=w.reshape(6, 3)) for w in (torch.sin(0.3 * k), torch.cos(0.3 * k))]
    zt, zs, labels, weights = sdd_rows(own, taught, *classifiers, torch.tensor([0, 4]))
    for name, rows, expected in (("sdd-kd", sdd_kd_rows, 2.9692282351), ("sdd-dkd", dkd_rows, 22.3604650353)):
        found = (weights * rows(zt, zs, labels)).mean().item()
        if abs(found - expected) > 1e-9:
            sys.exit(f"method_losses: the {name} loss is {found}, expected {expected}")
