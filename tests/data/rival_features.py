"""The feature methods sp, pkt, nst, vid, ofd and kdsvd in plain PyTorch, to be read beside the papers.

Each takes (learned, student, teacher, settings): learned makes what the method trains, by the program's names;
student and teacher are lists of F0, F1, ..., pool. Cross-entropy is left out.
"""

import math

import torch
import torch.nn.functional as F


def pooled_to_smaller(s, t):
    side = min(s.shape[2], t.shape[2])
    return [F.adaptive_avg_pool2d(x, side) if x.shape[2] > side else x for x in (s, t)]


def stages(student, teacher):
    """Pairs from the front, without the stem and without pool."""
    return list(zip(student[1:-1], teacher[1:-1]))


def sp(learned, student, teacher, settings):
    """arXiv:1907.09682."""

    def similarity(x):
        return F.normalize(x.flatten(1) @ x.flatten(1).T, dim=1, eps=1e-12)

    s, t = student[-2], teacher[-2]
    return settings["alpha"] * (similarity(t) - similarity(s)).square().sum() / s.shape[0] ** 2


def pkt(learned, student, teacher, settings):
    """arXiv:1803.10837."""

    def neighbours(x):
        u = x / (x.norm(dim=1, keepdim=True) + 1e-7)
        k = (u @ u.T + 1) / 2
        return k / k.sum(1, keepdim=True)

    p, q = neighbours(teacher[-1]), neighbours(student[-1])
    return settings["alpha"] * (p * ((p + 1e-7) / (q + 1e-7)).log()).mean()


def nst_pair(s, t):
    s, t = pooled_to_smaller(s, t)
    s, t = (F.normalize(x.flatten(2), dim=2, eps=1e-12) for x in (s, t))

    def kernel(a, b):
        return torch.einsum("bip,bjp->bij", a, b).square().mean()

    return kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)


def nst(learned, student, teacher, settings):
    """arXiv:1707.01219."""
    return settings["alpha"] * sum(nst_pair(s, t) for s, t in stages(student, teacher))


def gaussian(mu, t, rho):
    variance = F.softplus(rho)[None, :, None, None] + 1e-5
    return ((mu - t).square() / variance + variance.log()).mean() / 2


def vid(learned, student, teacher, settings):
    """arXiv:1904.05835."""
    loss = 0
    for i, (s, t) in enumerate(stages(student, teacher), 1):
        x, t = pooled_to_smaller(s, t)
        for k in range(1, 4):
            kernel = learned(f"regressor{i}.conv{k}.weight", [t.shape[1], x.shape[1], 1, 1])
            x = F.conv2d(F.relu(x) if k > 1 else x, kernel)
        loss = loss + gaussian(x, t, learned(f"regressor{i}.rho", [t.shape[1]], 0.25, 1.0))
    return settings["alpha"] * loss


def margins(gamma, beta):
    result = []
    for g, b in zip(gamma, beta):
        s = abs(g)
        if s == 0:
            result.append(min(b, 0.0))
            continue
        below = 0.5 * math.erfc(b / s / math.sqrt(2))
        density = math.exp(-((b / s) ** 2) / 2) / math.sqrt(2 * math.pi)
        result.append(b - s * density / below if below > 0.001 else -3 * s)
    return torch.tensor(result, dtype=torch.float64)


def partial_l2(x, t, margin):
    m = margin[None, :, None, None]
    near = torch.where(t > 0, x - t, torch.where(t > m, (x - t).clamp(min=0), (x - m).clamp(min=0)))
    return near.square().sum() / x.shape[0]


def ofd(learned, student, teacher, settings, norms=None):
    """arXiv:1904.01866; maps are those before the last ReLU."""
    pairs = stages(student, teacher)
    loss = 0
    for i, (s, t) in enumerate(pairs, 1):
        kernel = learned(f"connector{i}.conv.weight", [t.shape[1], s.shape[1], 1, 1])
        x = learned.batch_norm(f"connector{i}.bn", F.conv2d(s, kernel))
        t = F.adaptive_avg_pool2d(t, x.shape[2])
        margin = margins(norms[i - 1]["gamma"], norms[i - 1]["beta"])
        loss = loss + partial_l2(x, t, margin) / 2 ** (len(pairs) - i)
    return settings["alpha"] * loss


def right_vectors(x, matrix):
    """Right singular vectors as rows, the entry of largest magnitude positive."""
    if matrix == "channels":
        rows = x.flatten(2).transpose(1, 2)  # (H W) x C
    else:
        rows = x.flatten(1, 2)  # (C H) x W
    v = torch.linalg.svd(rows, full_matrices=False)[2]
    largest = v.abs().argmax(2, keepdim=True)
    return v * v.gather(2, largest).sign()


def kdsvd(learned, student, teacher, settings):
    """arXiv:1807.06819 as mdistiller and RepDistiller have it."""
    loss, before = 0, None
    for s, t in stages(student, teacher):
        of_teacher = right_vectors(t, settings["matrix"])[:, 0].detach()
        of_student = right_vectors(s, settings["matrix"])[:, :4]
        dots = (of_student * of_teacher[:, None]).sum(2)
        best = dots.abs().argmax(1)
        rows = torch.arange(s.shape[0])
        now = of_student[rows, best] * dots[rows, best].sign().detach()[:, None], of_teacher
        if before is not None:
            kernels = [torch.exp(-((a[:, :, None] - b[:, None, :]) ** 2) / 8) for a, b in zip(now, before)]
            loss = loss + (kernels[0] - kernels[1]).square().sum() / s.shape[0]
        before = now
    return settings["alpha"] * loss


METHODS = {"sp": sp, "pkt": pkt, "nst": nst, "vid": vid, "ofd": ofd, "kdsvd": kdsvd}


def line(shape, formula, scale=1.0, phase=0.0, power=1):
    return {"shape": shape, "formula": formula, "phase": phase, "scale": scale, "power": power}


def known(shape, of_teacher):
    """The inputs of the values known beforehand: student sin(1 + n), teacher cos(0.7 n)."""
    return line(shape, "cos", 0.7) if of_teacher else line(shape, "sin", 1.0, 1.0)


def squares(shape, of_teacher):
    return line(shape, "cos" if of_teacher else "sin", 0.3 if of_teacher else 1.0, 0.0, 2)


STEM = [2, 1, 1, 1]
CHANNEL_NORMS = [{"gamma": [1.0, 0.5, 2.0, 0.1], "beta": [0.0, 0.3, -1.0, 0.5]}]

# method, rule of the inputs, student's and teacher's shapes, settings, value, sum of the absolute gradient and its first
# entry by the student's first map after the stem (of pkt: by pool); None where it is not known.
PRINTED = [
    ("sp", known, [STEM, [4, 3, 2, 2], [4, 1]], [STEM, [4, 2, 3, 3], [4, 1]], {}, 0.0624730416, 0.4483085374, 0.0132786970),
    ("pkt", known, [STEM, [4, 3]], [STEM, [4, 5]], {}, 0.0177378827, 0.1888372706, -0.0281271674),
    ("nst", known, [STEM, [2, 3, 4, 4], [2, 1]], [STEM, [2, 5, 4, 4], [2, 1]], {}, 1.3444248431, 1.0745642131, 0.0109027600),
    ("nst", known, [STEM, [2, 3, 4, 4], [2, 1]], [STEM, [2, 5, 2, 2], [2, 1]], {}, 0.6544135137, 4.9738434277, None),
    (
        "kdsvd",
        squares,
        [STEM, [2, 3, 8, 8], [2, 4, 4, 4], [2, 1]],
        [STEM, [2, 3, 8, 8], [2, 4, 4, 4], [2, 1]],
        {"matrix": "sides"},
        0.0924975505,
        6.7399745815,
        0.0061172371,
    ),
    (
        "kdsvd",
        squares,
        [STEM, [2, 3, 8, 8], [2, 4, 4, 4], [2, 5, 2, 2], [2, 1]],
        [STEM, [2, 3, 8, 8], [2, 4, 4, 4], [2, 5, 2, 2], [2, 1]],
        {"matrix": "sides"},
        0.1231361824,
        None,
        None,
    ),
]


def check_printed(make, same):
    for method, rule, student, teacher, settings, value, gradient_sum, first in PRINTED:
        s = [make(rule(shape, False)).requires_grad_() for shape in student]
        t = [make(rule(shape, True)) for shape in teacher]
        loss = METHODS[method](None, s, t, {"alpha": 1.0} | settings)
        loss.backward()
        same(loss.item(), value, (method, settings))
        gradient = s[1].grad
        if gradient_sum is not None:
            same(gradient.abs().sum().item(), gradient_sum, (method, settings, "gradient"))
        if first is not None:
            same(gradient.flatten()[0].item(), first, (method, settings, "first entry"))

    weight = [make(line([2, c, 1, 1], "cos", 0.7, k)) * 0.3 for k, c in enumerate((3, 2, 2))]
    for side, value, gradient_sum, rho_sum in (
        (4, 0.8555673894, 0.0010499878, 0.0892250354),
        (2, 0.8569396146, 0.0006610587, None),
    ):
        s, t = make(known([2, 3, 4, 4], False)).requires_grad_(), make(known([2, 2, side, side], True))
        rho = torch.full([2], 4.9932291827, dtype=torch.float64, requires_grad=True)
        x, target = pooled_to_smaller(s, t)
        for k, kernel in enumerate(weight):
            x = F.conv2d(F.relu(x) if k else x, kernel)
        loss = gaussian(x, target, rho)
        loss.backward()
        same(loss.item(), value, ("vid", side))
        same(s.grad.abs().sum().item(), gradient_sum, ("vid", side, "gradient"))
        if rho_sum is not None:
            same(rho.grad.abs().sum().item(), rho_sum, ("vid", side, "rho"))

    norm = CHANNEL_NORMS[0]
    margin = margins(norm["gamma"], norm["beta"])
    for found, expected in zip(margin.tolist(), (-0.7978845608, -0.3075128801, -2.0183208677, -0.3)):
        same(found, expected, "ofd, margin")
    for factor, value, gradient_sum, first in (
        (1, 52.6238812540, 88.0525977672, -0.1585290152),
        (2, 191.2967695570, 165.2994250596, None),
    ):
        s = (factor * make(known([2, 4, 4, 4], False))).detach().requires_grad_()
        loss = partial_l2(s, factor * make(known([2, 4, 4, 4], True)), margin)
        loss.backward()
        same(loss.item(), value, ("ofd", factor))
        same(s.grad.abs().sum().item(), gradient_sum, ("ofd", factor, "gradient"))
        if first is not None:
            same(s.grad.flatten()[0].item(), first, ("ofd", factor, "first entry"))


def plan(maps):
    """(method, name, student's shapes, teacher's shapes, settings, norms) of the cases with closed formulas."""
    for name, student, teacher in (
        ("same", ((2, 8), (3, 8), (4, 4), 6), ((2, 8), (2, 8), (5, 4), 7)),
        ("larger", ((2, 8), (3, 8), (4, 4), (3, 2), 6), ((2, 8), (2, 4), (5, 2), (4, 2), 7)),
    ):
        s, t = maps(3, *student), maps(3, *teacher)
        for method in ("sp", "pkt", "nst", "vid"):
            yield method, name, s, t, {}, None
        yield (
            "ofd",
            name,
            s,
            t,
            {},
            [
                {"gamma": [0.5 * (-1) ** c * (c % 4) for c in range(shape[1])], "beta": [0.25 * (c - 1) for c in range(shape[1])]}
                for shape in t[1:-1]
            ],
        )
    s = maps(3, (2, 8), (3, 8), (4, 4), (2, 4), 6)
    yield "kdsvd", "sides", s, maps(3, (2, 8), (2, 8), (5, 4), (3, 4), 7), {"matrix": "sides"}, None
    yield "kdsvd", "channels", s, maps(3, (2, 8), (3, 8), (4, 4), (2, 4), 7), {"matrix": "channels"}, None
