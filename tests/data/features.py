"""Writes features.json: values and gradients of the feature-based losses, made by PyTorch in f64.

Run: python3 tests/data/features.py      (PyTorch on the CPU; the version that made the file is in the file)

features.json
  cases  [{method, inputs, settings, value, gradients}, ...]
         inputs: {name: {shape, formula, scale, phase} or {shape, name}}. The shape is PyTorch's (N,C,H,W for
         maps); element n, row-major in that shape, is sin(phase + scale n) or cos(phase + scale n), or the
         closed formula of closed_formula.py with scale 1. With "unit", rows are then divided by their length.
         gradients: with respect to the student's inputs, in the same order, summary of closed_formula.py.
         value leaves cross-entropy out and has the method's own weights.
         Of fitnet and reviewkd inputs are {student: [specs of F0, F1, ..., pool], teacher: [...]}, teacher maps of
         reviewkd those before the last ReLU, with "pyramid" the levels of feature pyramids and nothing else;
         parameters: {our name: {shape, name, scale, shift}} of what is learned; gradients also of those. Batch norms in training mode. So are the cases of rival_features.py, ofd with
         norms: [{gamma, beta}, ...], the teacher's batch norms before its last ReLUs, one for each stage.
"""

import os

import torch
import torch.nn.functional as F

import closed_formula
import rival_features

HERE = os.path.dirname(os.path.abspath(__file__))


def make(spec):
    shape = spec["shape"]
    if "name" in spec:
        x = closed_formula.tensor(spec["name"], shape)
    else:
        n = torch.arange(int(torch.tensor(shape).prod()), dtype=torch.float64)
        n = n ** spec.get("power", 1)
        x = getattr(torch, spec["formula"])(spec["phase"] + spec["scale"] * n).reshape(shape)
    return x / x.norm(dim=1, keepdim=True) if spec.get("unit") else x


def attention(x):
    return F.normalize(x.square().mean(1).flatten(1), dim=1, eps=1e-12)


def at(student, teacher, weight=1000.0):
    """arXiv:1612.03928, one pair of maps; the larger map is average-pooled to the smaller side first."""
    side = min(student.shape[2], teacher.shape[2])
    if student.shape[2] > side:
        student = F.adaptive_avg_pool2d(student, side)
    if teacher.shape[2] > side:
        teacher = F.adaptive_avg_pool2d(teacher, side)
    return weight * (attention(student) - attention(teacher)).square().mean()


def distances(x):
    square = x.square().sum(1)
    d = (square[:, None] + square[None, :] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
    d = d * (1 - torch.eye(x.shape[0], dtype=x.dtype))
    return d / d[d > 0].mean()


def angles(x):
    u = F.normalize(x[None, :, :] - x[:, None, :], dim=2, eps=1e-12)
    return u @ u.transpose(1, 2)


def rkd(student, teacher, distance=25.0, angle=50.0):
    """arXiv:1904.05068."""
    loss = distance * F.smooth_l1_loss(distances(student), distances(teacher))
    if angle:
        loss = loss + angle * F.smooth_l1_loss(angles(student), angles(teacher))
    return loss


def hcl(student, teacher):
    """The hierarchical context loss of arXiv:2104.09044."""
    side = student.shape[2]
    loss, total, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for k in (4, 2, 1):
        if k >= side:
            continue
        weight /= 2
        loss = loss + weight * F.mse_loss(
            F.adaptive_avg_pool2d(student, k), F.adaptive_avg_pool2d(teacher, k)
        )
        total += weight
    return loss / total


def crd_side(anchor, memory, indices, samples):
    """One of the two terms of arXiv:1910.10699 on the first batch, which also sets Z. Returns (loss, Z)."""
    e = ((memory[indices] * anchor[:, None, :]).sum(2) / 0.07).exp()
    z = samples * e.mean().item()
    p, c = e / z, (indices.shape[1] - 1) / samples
    positive = (p[:, 0] / (p[:, 0] + c + 1e-7)).log()
    negative = (c / (p[:, 1:] + c + 1e-7)).log().sum(1)
    return -(positive + negative).mean(), z


def sine(shape, phase=1.0, scale=1.0, **more):
    return {"shape": shape, "formula": "sin", "phase": phase, "scale": scale, **more}


def cosine(shape, phase=0.0, scale=0.7, **more):
    return {"shape": shape, "formula": "cos", "phase": phase, "scale": scale, **more}


def pair(student, teacher):
    """The inputs of the values known beforehand: student sin(1 + n), teacher cos(0.7 n)."""
    return {"student": sine(student), "teacher": cosine(teacher)}


def named(case, student, teacher):
    return {
        "student": {"shape": student, "name": f"{case}.student"},
        "teacher": {"shape": teacher, "name": f"{case}.teacher"},
    }


# method, inputs, settings, value and sum of the absolute gradient to ten digits where known
PLAN = [
    ("at", pair([2, 3, 4, 4], [2, 5, 4, 4]), {"weight": 1.0}, 0.0188906074, 0.0877947318),
    ("at", pair([2, 3, 4, 4], [2, 5, 2, 2]), {"weight": 1.0}, 0.0984972973, 1.5683707771),
    ("at", named("at", [3, 4, 4, 4], [3, 6, 8, 8]), {"weight": 1000.0}, None, None),
    ("rkd", pair([4, 3], [4, 5]), {"distance": 25.0, "angle": 50.0}, 0.5538864124, 15.0924799627),
    ("rkd", pair([4, 3], [4, 5]), {"distance": 25.0, "angle": 0.0}, 0.3134308340, 3.9712858481),
    ("rkd", named("rkd", [6, 8], [6, 16]), {"distance": 25.0, "angle": 50.0}, None, None),
    ("hcl", pair([2, 3, 8, 8], [2, 3, 8, 8]), {}, 0.6892797131, 1.1728753278),
    ("hcl", pair([2, 2, 4, 4], [2, 2, 4, 4]), {}, 0.5852380411, 0.9523618718),
    ("hcl", pair([2, 4, 1, 1], [2, 4, 1, 1]), {}, 0.3128791461, 0.8019060502),
    ("hcl", named("hcl", [2, 3, 7, 7], [2, 3, 7, 7]), {}, None, None),
]
CRD = {
    "memory1": sine([5, 3], unit=True),
    "memory2": cosine([5, 3], unit=True),
    "v1": sine([2, 3], phase=2.0, unit=True),
    "v2": cosine([2, 3], scale=0.3, unit=True),
}


def same(found, expected, what):
    assert abs(found - expected) < 1e-10 * max(1.0, abs(expected)), (
        f"{what}: {found:.12f}, expected {expected:.10f}"
    )


def crd_case():
    settings = {"samples": 5, "negatives": 2, "temperature": 0.07, "indices": [[1, 0, 4], [3, 2, 0]]}
    x = {name: make(spec) for name, spec in CRD.items()}
    indices = torch.tensor(settings["indices"])
    v1, v2 = x["v1"].requires_grad_(), x["v2"].requires_grad_()
    loss1, z1 = crd_side(v1, x["memory2"], indices, 5)
    loss2, z2 = crd_side(v2, x["memory1"], indices, 5)
    (loss1 + loss2).backward()
    same(loss1.item(), 16.0649712243, "crd L_1")
    same(loss2.item(), 27.1524824387, "crd L_2")
    same(v1.grad.abs().sum().item(), 28.0852974017, "crd v1")
    same(v2.grad.abs().sum().item(), 41.6431397105, "crd v2")
    same(z1, 118988.2256505840, "crd Z1")
    same(z2, 1877439.8031805223, "crd Z2")
    return {
        "method": "crd",
        "inputs": CRD,
        "settings": settings,
        "terms": {"L_1": loss1.item(), "L_2": loss2.item()},
        "Z": [z1, z2],
        "value": (loss1 + loss2).item(),
        "gradients": {name: closed_formula.summary(x[name].grad, full_below=24) for name in ("v1", "v2")},
    }


class Learned:
    """What a method learns, by the closed formula under the program's names."""

    def __init__(self, prefix):
        self.prefix, self.specs, self.values = prefix, {}, {}

    def __call__(self, name, shape, scale=0.25, shift=0.0):
        formula = f"{self.prefix}.{name}"
        self.specs[name] = {"shape": shape, "name": formula, "scale": scale, "shift": shift}
        self.values[name] = closed_formula.tensor(formula, shape, scale, shift).requires_grad_()
        return self.values[name]

    def batch_norm(self, name, x):
        channels = x.shape[1]
        weight, bias = self(f"{name}.weight", [channels], 0.25, 1.0), self(f"{name}.bias", [channels])
        return F.batch_norm(x, None, None, weight, bias, training=True)


def fitnet(learned, student, teacher, weight=100.0):
    """arXiv:1412.6550 on maps 2 of both."""
    s, t = student[2], teacher[2]
    x, y, inputs, outputs = s.shape[2], t.shape[2], s.shape[1], t.shape[1]
    bias = learned("regressor.conv.bias", [outputs])
    if x == 2 * y:
        out = F.conv2d(s, learned("regressor.conv.weight", [outputs, inputs, 3, 3]), bias, stride=2, padding=1)
    elif 2 * x == y:
        kernel = learned("regressor.conv.weight", [inputs, outputs, 4, 4])
        out = F.conv_transpose2d(s, kernel, bias, stride=2, padding=1)
    else:
        out = F.conv2d(s, learned("regressor.conv.weight", [outputs, inputs, 1 + x - y, 1 + x - y]), bias)
    return weight * F.mse_loss(F.relu(learned.batch_norm("regressor.bn", out)), t)


def reviewkd(learned, student, teacher, weight=5.0):
    """arXiv:2104.09044."""
    return review(learned, student[1:], teacher[1:], weight)


def review(learned, student, teacher, weight=5.0):
    """The same of any levels: those of two feature pyramids, say."""
    middle = min(512, student[-1].shape[1])
    residual, loss = None, 0.0
    for level in reversed(range(len(student))):
        x, target, name = student[level], teacher[level], f"level{level + 1}"
        if x.dim() == 2:
            x, target = x[:, :, None, None], target[:, :, None, None]
        kernel = learned(f"{name}.reduce.conv.weight", [middle, x.shape[1], 1, 1])
        x = learned.batch_norm(f"{name}.reduce.bn", F.conv2d(x, kernel))
        if residual is not None:
            residual = F.interpolate(residual, x.shape[2:], mode="nearest")
            gates = F.conv2d(
                torch.cat([x, residual], 1),
                learned(f"{name}.gate.weight", [2, 2 * middle, 1, 1]),
                learned(f"{name}.gate.bias", [2]),
            ).sigmoid()
            x = x * gates[:, :1] + residual * gates[:, 1:]
        if x.shape[2:] != target.shape[2:]:
            x = F.interpolate(x, target.shape[2:], mode="nearest")
        residual = x
        kernel = learned(f"{name}.expand.conv.weight", [target.shape[1], middle, 3, 3])
        out = learned.batch_norm(f"{name}.expand.bn", F.conv2d(x, kernel, padding=1))
        loss = loss + hcl(out, target)
    return weight * loss


def learned_case(method, prefix, student, teacher, call=None):
    """student, teacher: shapes of F0, F1, ..., pool."""
    inputs = {
        net: [{"shape": shape, "name": f"{prefix}.{net}{i}"} for i, shape in enumerate(shapes)]
        for net, shapes in (("student", student), ("teacher", teacher))
    }
    tensors = {net: [make(spec).requires_grad_() for spec in specs] for net, specs in inputs.items()}
    learned = Learned(prefix)
    loss = (call or globals()[method])(learned, tensors["student"], [t.detach() for t in tensors["teacher"]])
    loss.backward()
    gradients = {
        f"student{i}": closed_formula.summary(x.grad, full_below=24)
        for i, x in enumerate(tensors["student"])
        if x.grad is not None
    }
    # A bias before a batch norm does nothing: its gradient is 0 up to rounding.
    gradients |= {
        name: closed_formula.summary(x.grad, full_below=24)
        for name, x in learned.values.items()
        if not name.endswith("conv.bias")
    }
    return {
        "method": method,
        "inputs": inputs,
        "settings": {},
        "parameters": learned.specs,
        "value": loss.item(),
        "gradients": gradients,
    }


def rival_case(method, prefix, student, teacher, settings, norms):
    """Of rival_features.py, with the method's own weight."""
    weights = {"sp": 3000.0, "pkt": 30000.0, "nst": 50.0, "vid": 1.0, "ofd": 0.001, "kdsvd": 1.0}
    more = {"norms": norms} if norms else {}

    def call(learned, s, t):
        return rival_features.METHODS[method](learned, s, t, {"alpha": weights[method]} | settings, **more)

    return learned_case(method, prefix, student, teacher, call) | {"settings": settings} | more


def maps(samples, *places):
    """(channels, side) of each map, channels alone for pool."""
    return [[samples, p[0], p[1], p[1]] if isinstance(p, tuple) else [samples, p] for p in places]


def learned_cases():
    for name, student, teacher in (
        ("halved", (3, 4), (5, 2)),
        ("doubled", (3, 2), (5, 4)),
        ("same", (3, 3), (5, 3)),
        ("cut", (2, 5), (4, 3)),
    ):
        stem = (2, 4)
        yield learned_case(
            "fitnet", f"fitnet.{name}", maps(3, stem, stem, student, 4), maps(3, stem, stem, teacher, 4)
        )
    yield learned_case(
        "reviewkd",
        "reviewkd.same",
        maps(4, (2, 8), (3, 8), (4, 4), 6),
        maps(4, (2, 8), (2, 8), (5, 4), 7),
    )
    yield learned_case(
        "reviewkd",
        "reviewkd.larger",
        maps(5, (2, 8), (3, 4), (4, 2), (6, 1), 5),
        maps(5, (2, 8), (2, 8), (3, 4), (4, 2), 3),
    )
    # As detectors have them: not square, and odd sides are not halved evenly.
    sides = ([9, 6], [5, 3], [3, 2])
    student, teacher = ([[3, channels, *side] for side in sides] for channels in (4, 5))
    yield learned_case("reviewkd", "reviewkd.pyramid", student, teacher, review) | {"pyramid": True}
    for method, name, student, teacher, settings, norms in rival_features.plan(maps):
        yield rival_case(method, f"{method}.{name}", student, teacher, settings, norms)


def main():
    rival_features.check_printed(make, same)
    cases = []
    for method, inputs, settings, value, gradient_sum in PLAN:
        student, teacher = make(inputs["student"]).requires_grad_(), make(inputs["teacher"])
        loss = globals()[method](student, teacher, **settings)
        loss.backward()
        if value is not None:
            same(loss.item(), value, (method, inputs))
            same(student.grad.abs().sum().item(), gradient_sum, (method, inputs, "gradient"))
        gradients = {"student": closed_formula.summary(student.grad, full_below=24)}
        cases.append(
            {
                "method": method,
                "inputs": inputs,
                "settings": settings,
                "value": loss.item(),
                "gradients": gradients,
            }
        )
    cases.append(crd_case())
    cases.extend(learned_cases())
    content = {"made_by": "tests/data/features.py", "torch": torch.__version__, "cases": cases}
    path = os.path.join(HERE, "features.json")
    closed_formula.write_json(path, content, "cases")
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
