"""Writes losses.json: values and gradients of the distillation losses, made by PyTorch in f64.

Run: python3 tests/data/losses.py      (PyTorch on the CPU; the version that made the file is in the file)

losses.json
  sets   {name: {B, C, teacher, student, labels[, strong_teacher, strong_student]}}; a matrix of logits is
         either a list of rows, or {"sum": [{name, scale, bits}, ...]}: the element-wise sum of closed
         formulas, see closed_formula.py (shift 0)
  cases  [{method, set, settings, terms, value, gradient[, strong_gradient, theta_gradient, rank_gap]}, ...]
         settings use the program's keys; besides them temperature_a (rld), theta (ctkd), views (mlkd and
         crld, 1 or 2); wkd-l takes 1 - |i - j| / 10 for the likeness of classes i and j. terms carry the method's own weights and sum to value. Cross-entropy is left out (method "ce" is
         its own case), the warm-up factor too. gradient is d value / d student logits (strong_gradient: of
         the second view's): {"values": [...]} row-major when small, else the summary of closed_formula.py.
         rank_gap: the smallest difference between two neighbours of PCD's ranking that are not equal; a f32
         program can only be held to a case whose gap its rounding cannot close (without standardisation the
         differences are exact in f32).

Before anything is written, the formulas are checked against values computed independently (PRINTED).
"""

import itertools
import os

import torch

import closed_formula
import reference_losses as losses

HERE = os.path.dirname(os.path.abspath(__file__))

EXAMPLE = {
    "B": 2,
    "C": 6,
    "teacher": [[2, 0.5, -1, 0, 1, -0.5], [0, 3, -2, 1, -1, 0.5]],
    "student": [[1, 1, -0.5, 0.2, 0.3, -1], [0.5, 1.5, -1, 1.2, -0.2, 0]],
    "labels": [0, 3],
    "strong_teacher": [[1.5, 0, -0.5, 0.5, 0.5, -1], [0.5, 2, -1.5, 1.5, -0.5, 0]],
    "strong_student": [[0.8, 0.6, -0.2, 0.1, 0.4, -0.7], [0.3, 1, -0.8, 0.9, 0, -0.1]],
}


def formula(name, scale, bits=closed_formula.BITS):
    return {"name": name, "scale": scale, "bits": bits}


def random_set(name, b, c, scale_t=4.0, scale_s=4.0, bits=closed_formula.BITS):
    return {
        "B": b,
        "C": c,
        "teacher": {"sum": [formula(f"{name}.teacher", scale_t, bits)]},
        "student": {"sum": [formula(f"{name}.student", scale_s, bits)]},
        "labels": [(7 * i + 3) % c for i in range(b)],
    }


def make_sets():
    sets = {
        "example": EXAMPLE,
        "example, right": EXAMPLE | {"labels": [0, 1]},  # the teacher, about both samples
        "example, wrong": EXAMPLE | {"labels": [1, 3]},
        # Without a tie between the student's two largest logits.
        "example, ranked": EXAMPLE | {"student": [[1, 0.9, *EXAMPLE["student"][0][2:]], EXAMPLE["student"][1]]},
    }
    for b, c in ((7, 10), (4, 100), (3, 23), (2, 1000)):
        sets[f"{b}x{c}"] = random_set(f"{b}x{c}", b, c)
    for view in ("teacher", "student"):
        sets["7x10"][f"strong_{view}"] = {"sum": [formula(f"7x10.strong_{view}", 4.0)]}
    # Labels that rld treats apart: the teacher's best, its worst (none below), its second worst (one below).
    order = matrix(sets["7x10"], "teacher").argsort(1)
    sets["7x10"]["labels"][:3] = [int(order[0, -1]), int(order[1, 0]), int(order[2, 1])]
    # Eight levels only: equal logits and equal differences everywhere.
    sets["ties"] = random_set("ties", 5, 12, 4.0, 4.0, bits=3)
    # A student near its teacher, where lambda and KL cancel.
    near = random_set("near", 4, 100)
    near["student"] = {"sum": near["teacher"]["sum"] + [formula("near.gap", 2.0**-6, 12)]}
    sets["near"] = near
    # Logits whose small probabilities underflow, in f32 at the latest.
    sets["wide"] = random_set("wide", 3, 10, 256.0, 256.0)
    sets["single"] = random_set("single", 1, 10)
    return sets


def matrix(of, key):
    spec = of[key]
    if isinstance(spec, list):
        return torch.tensor(spec, dtype=torch.float64)
    shape = (of["B"], of["C"])
    return sum(closed_formula.tensor(f["name"], shape, f["scale"], bits=f["bits"]) for f in spec["sum"])


def rank_gap(zt, zs, settings):
    """Smallest gap between neighbours of the ranking that are not exactly equal."""
    zt, zs = losses.logits_of(zt, zs, settings)
    gaps = (zt - zs).abs().sort(1).values.diff(dim=1)
    return gaps[gaps > 0].min().item()


def evaluate(sets, method, name, settings):
    """The case, with everything that a test compares."""
    of = sets[name]
    zt, y = matrix(of, "teacher"), torch.tensor(of["labels"])
    zs = matrix(of, "student").requires_grad_()
    case = {"method": method, "set": name, "settings": settings}
    extra, strong, theta = {}, None, None
    if settings.get("views", 1) == 2:
        strong = (matrix(of, "strong_teacher"), matrix(of, "strong_student").requires_grad_())
        extra["strong"] = strong
    if method == "ctkd":
        theta = torch.tensor(settings["theta"], dtype=torch.float64, requires_grad=True)
        extra["theta"] = theta
    terms = losses.METHODS[method](zt, zs, y, settings, **extra)
    value = sum(terms.values())
    value.backward()
    case["terms"] = {key: term.item() for key, term in terms.items()}
    case["value"] = value.item()
    gradient = zs.grad if zs.grad is not None else torch.zeros_like(zs)
    case["gradient"] = closed_formula.summary(gradient, full_below=24)
    if strong is not None:
        case["strong_gradient"] = closed_formula.summary(strong[1].grad, full_below=24)
    if theta is not None:
        case["theta_gradient"] = theta.grad.item()
    if method == "pcd" and settings["ranking"] == "difference":
        case["rank_gap"] = rank_gap(zt, zs.detach(), settings)
    for number in (case["value"], gradient.abs().sum().item()):
        assert torch.isfinite(torch.tensor(number)), case
    return case, gradient


def kd(tau=4.0, alpha=0.9, standardize=False):
    return {"temperature": tau, "alpha": alpha, "standardize": standardize}


def weighted(tau=4.0, alpha=1.0, beta=8.0, standardize=False):
    return {"temperature": tau, "alpha": alpha, "beta": beta, "standardize": standardize}


def dist(tau=4.0, beta=2.0, gamma=2.0, standardize=False):
    return {"temperature": tau, "beta": beta, "gamma": gamma, "standardize": standardize}


def nkd(tau=1.0, gamma=1.5, standardize=False):
    return {"temperature": tau, "gamma": gamma, "standardize": standardize}


def rld(tau=4.0, tau_a=1.0, alpha=1.0, beta=8.0, standardize=False):
    return weighted(tau, alpha, beta, standardize) | {"temperature_a": tau_a}


def mlkd(views=1, tau=4.0, beta=0.9, standardize=False):
    return {"temperature": tau, "beta": beta, "standardize": standardize, "views": views}


def ctkd(theta=1.0, alpha=0.9, standardize=False):
    return {"theta": theta, "alpha": alpha, "standardize": standardize}


def released(stages=3, tau=4.0, alpha=1.0, standardize=False):
    return {"temperature": tau, "alpha": alpha, "stages": stages, "standardize": standardize}


def pcd(
    tau=4.0, stages=3, ranking="difference", direction="both", weight="cosine", standardize=False, alpha=1.0
):
    return {
        "temperature": tau,
        "alpha": alpha,
        "stages": stages,
        "ranking": ranking,
        "direction": direction,
        "weight": weight,
        "standardize": standardize,
    }


# (method, settings, value, sum of the absolute gradient or None), on the example, to the ten digits known.
PRINTED = [
    ("pcd-released", released(tau=1.0), 2.1444571895, None),
    ("pcd-released", released(), 3.4995279038, None),
    ("pcd-released", released(tau=1.0, standardize=True), 0.9882133035, None),
    ("pcd-released", released(standardize=True), 1.3759512008, None),
    ("pcd", pcd(tau=1.0), 0.1138900089, None),
    ("pcd", pcd(), 0.0556365667, None),
    ("pcd", pcd(tau=1.0, stages=5), 0.1221285261, None),
    ("pcd", pcd(stages=5), 0.0568595523, None),
    ("pcd", pcd(tau=1.0, stages=1), 0.0793204839, None),
    ("pcd", pcd(stages=1), 0.0136412270, None),
    ("pcd", pcd(tau=1.0, standardize=True), 0.0771047648, None),
    ("pcd", pcd(standardize=True), 0.0123387384, None),
    ("kd", kd(alpha=1.0), 0.3052815074, 0.6989347358),
    ("kd", kd(tau=2.0, alpha=1.0, standardize=True), 0.1193553898, 0.5280218334),
    ("dkd", weighted(), 2.5856637907, 5.7671029739),
    ("dist", dist(), 5.2052517651, 22.3540604460),
    ("rld", rld(), 1.5382234443, 4.5663089409),
    ("rld", rld(tau_a=4.0), 1.5054813458, 4.4111970828),
    ("nkd", nkd(), 2.1487163803, 1.1702587652),
    ("nkd", nkd(tau=3.0, gamma=3.5), 48.9809731000, 2.7583676552),
    ("mlkd", mlkd(), 0.6933803178, 1.5821713581),
    ("mlkd", mlkd(views=2), 1.6131751795, 2.8451218142),
    ("mlkd", mlkd(views=2, tau=2.0, beta=9.0, standardize=True), 6.7196224541, 21.0958367569),
    ("ctkd", ctkd(alpha=1.0), 0.2813808391, 0.6607438749),
]


def swap(tau=4.0, standardize=False):
    return {"temperature": tau, "alpha": 1.0, "standardize": standardize}


def rc(tau=4.0, alpha=1.0, beta=0.1, standardize=False):
    return {"temperature": tau, "alpha": alpha, "beta": beta, "standardize": standardize}


def revision():
    return {"alpha": 4.0, "beta": 1.0, "lambda": 0.8}


def ttm(gamma, beta=1.0, standardize=False):
    return {"gamma": gamma, "beta": beta, "standardize": standardize}


def gdkd(k=5, weights=(1.0, 1.0, 8.0), tau=4.0, standardize=False):
    w0, w1, w2 = weights
    return {"k": k, "w0": w0, "w1": w1, "w2": w2, "temperature": tau, "standardize": standardize}


def ldrld(k=7, alpha=10.5, beta=7.0, tau=4.0, standardize=False):
    return {"k": k, "alpha": alpha, "beta": beta, "temperature": tau, "standardize": standardize}


def wkd(alpha=600.0, tau=8.0, scale=1.0, standardize=False):
    return {"alpha": alpha, "temperature": tau, "scale": scale, "standardize": standardize}


def crld(threshold=0.9, strong=0.2, standardize=False):
    return {
        "alpha": 2.0,
        "beta": 0.5,
        "threshold": threshold,
        "strong_threshold": strong,
        "temperature": 4.0,
        "standardize": standardize,
        "views": 2,
    }


def tfkd(alpha=1.0, tau=20.0, multiplier=1.0):
    return {"alpha": alpha, "temperature": tau, "multiplier": multiplier}


# (method, set, settings, value, sum of the absolute gradient, its first entry or None).
PRINTED_RIVALS = [
    # of rc only the last term
    ("rc", "example", rc(4.0, 0.0, 1.0), 0.1485249746, 0.4422241818, -0.0865807387),
    ("rc", "example", rc(2.0, 0.0, 1.0, True), 0.1453550683, 0.5491182842, None),
    ("swap", "example", swap(), 0.3775099018, 0.7620014135, -0.0862896073),
    ("swap", "example", swap(2.0, True), 0.1665380836, 0.6240674635, None),
    ("revision", "example", revision(), 2.7327344626, 5.5907187973, None),
    ("revision", "example, right", revision(), 3.3113917982, 6.3017493988, None),
    ("revision", "example, wrong", revision(), 0.0132334012, 0.0389767957, None),
    ("ttm", "example", ttm(0.1), 0.2006561346, 0.5170401215, None),
    ("wttm", "example", ttm(0.1), 0.9300891722, 2.3977759212, None),
    ("wttm", "example", ttm(0.25), 0.3700791607, 1.2185161148, None),
    ("gdkd", "example", gdkd(2), 1.3323786704, 3.9254425163, -0.1072019662),
    ("gdkd", "example", gdkd(3, (0.5, 2.0, 2.0), 1.0), 0.5127899700, 1.6069075992, None),
    ("ldrld", "example, ranked", ldrld(3, 1.0, 0.0), 0.1653369029, None, None),
    ("ldrld", "example, ranked", ldrld(3, 0.0, 1.0), 0.1600712689, None, None),
    ("ldrld", "example, ranked", ldrld(3), 2.8565363625, 7.8693673349, -0.6216400449),
    ("wkd-l", "example", wkd(), 13.3975979835, 1.7456491411, -0.1876452964),
    ("wkd-l", "example", wkd(200.0, 2.0), 7.5353065666, 9.4836790731, None),
    ("crld", "example", crld(), 0.2560035929, 0.1631776156, None),
    ("crld", "example", crld(0.7, 0.47), 0.7636316998, 0.8542057320, None),
    ("ls-ce", "example", {"smoothing": 0.1}, 1.3267251315, 1.2120677660, None),
    ("tfkd-reg", "example", tfkd(), 0.0460041397, 0.0996424176, None),
]
PRINTED_STRONG_GRADIENTS = {0.9: 0.3681154142, 0.7: 0.6729585824}  # of crld's second view, by threshold
PRINTED_TERMS = {"kd": 0.6874983659, "cc": 0.0027146430, "bc": 0.0031673089}  # of mlkd, one view
PRINTED_THETA_GRADIENT = -0.0025257118
PRINTED_PCD_GRADIENT = [  # of pcd(), both samples
    *(-0.0101255898, 0.0110874303, 0.0032283653, 0.0032749351, -0.0038598215, -0.0036053193),
    *(0.0068698436, -0.0873923177, 0.0495371350, 0.0062310035, 0.0298990062, -0.0051446706),
]


def check_printed(sets):
    def same(found, expected, what):
        assert abs(found - expected) < 1e-10, f"{what}: found {found:.12f}, expected {expected:.10f}"

    for method, settings, value, gradient_sum in PRINTED:
        case, gradient = evaluate(sets, method, "example", settings)
        same(case["value"], value, (method, settings))
        if gradient_sum is not None:
            same(gradient.abs().sum().item(), gradient_sum, (method, settings, "gradient"))
    for method, name, settings, value, gradient_sum, first in PRINTED_RIVALS:
        case, gradient = evaluate(sets, method, name, settings)
        same(case["value"], value, (method, name, settings))
        if gradient_sum is not None:
            same(gradient.abs().sum().item(), gradient_sum, (method, settings, "gradient"))
        if first is not None:
            same(gradient[0, 0].item(), first, (method, settings, "first entry"))
        if method == "crld":
            strong = sum(abs(x) for x in case["strong_gradient"]["values"])
            same(strong, PRINTED_STRONG_GRADIENTS[settings["threshold"]], (method, settings, "second view"))
    case, _ = evaluate(sets, "mlkd", "example", mlkd())
    for key, value in PRINTED_TERMS.items():
        same(case["terms"][key], value, ("mlkd", key))
    case, _ = evaluate(sets, "ctkd", "example", ctkd(alpha=1.0))
    same(case["theta_gradient"], PRINTED_THETA_GRADIENT, "ctkd, theta")
    _, gradient = evaluate(sets, "pcd", "example", pcd())
    for found, expected in zip(gradient.flatten().tolist(), PRINTED_PCD_GRADIENT):
        same(found, expected, "pcd, gradient")
    print(f"{len(PRINTED) + len(PRINTED_RIVALS)} printed values hold")


def make_cases(sets):
    every_pcd = [
        pcd(tau, stages, ranking, direction, weight, standardize)
        for tau, stages, ranking, direction, weight, standardize in itertools.product(
            (1.0, 2.0, 4.0),
            (1, 2, 3, 5),
            ("difference", "none"),
            ("both", "fine-to-coarse", "coarse-to-fine"),
            ("cosine", "none"),
            (False, True),
        )
    ]
    plan = [("pcd", "example", settings) for settings in every_pcd]
    general = ["7x10", "4x100", "3x23", "2x1000"]
    for shift, name in enumerate(general):  # 7 and 288 have no common divisor: every switch takes every value
        plan += [("pcd", name, settings) for settings in every_pcd[shift::7]]
        plan.append(("pcd", name, pcd(alpha=9.0, tau=2.0, stages=4)))
    for name in ("ties", "near", "wide", "single"):
        plan += [("pcd", name, pcd(tau, stages)) for tau in (1.0, 4.0) for stages in (1, 3, 5)]
        plan.append(("pcd", name, pcd(1.0, 3, ranking="none", weight="none")))
    plan.append(("pcd", "example", pcd(stages=6)))  # every class alone: that stage gives nothing

    for name in ["example"] + general + ["ties", "near", "wide", "single"]:
        plain = name in ("ties", "near", "wide", "single")
        for standardize in (False,) if plain else (False, True):
            plan.append(("kd", name, kd(standardize=standardize)))
            plan.append(("kd", name, kd(1.0, 0.5, standardize)))
            plan.append(("dkd", name, weighted(standardize=standardize)))
            plan.append(("dkd", name, weighted(1.0, 1.0, 2.0, standardize)))
            plan.append(("dist", name, dist(standardize=standardize)))
            plan.append(("dist", name, dist(1.0, 1.0, 2.0, standardize)))
            plan.append(("nkd", name, nkd(standardize=standardize)))
            plan.append(("nkd", name, nkd(3.0, 3.5, standardize)))
            plan.append(("rld", name, rld(standardize=standardize)))
            plan.append(("rld", name, rld(2.0, 2.0, 9.0, 72.0, standardize)))
            plan.append(("ctkd", name, ctkd(standardize=standardize)))
            plan.append(("ctkd", name, ctkd(-1.5, 1.0, standardize)))
            for stages in (1, 3, 5):
                plan.append(("pcd-released", name, released(stages, 4.0, standardize=standardize)))
            plan.append(("pcd-released", name, released(3, 1.0, standardize=standardize)))
        plan.append(("ce", name, {}))
        if name not in ("ties", "wide"):  # equal or vanishing probabilities: the masks would hang on rounding
            plan.append(("mlkd", name, mlkd()))
            if not plain:
                plan.append(("mlkd", name, mlkd(1, 2.0, 9.0, True)))
        if "strong_student" in sets[name]:
            plan.append(("mlkd", name, mlkd(2)))
            plan.append(("mlkd", name, mlkd(2, 2.0, 9.0, True)))
    for name in ["example"] + general + ["ties", "near", "wide", "single"]:
        for standardize in (False, True) if name in ["example"] + general else (False,):
            plan.append(("swap", name, swap(standardize=standardize)))
            plan.append(("rc", name, rc(standardize=standardize)))
            plan.append(("rc", name, rc(2.0, 9.0, 0.9, standardize)))
            plan.append(("ttm", name, ttm(0.1, 45.0, standardize)))
            plan.append(("wttm", name, ttm(0.2, 4.0, standardize)))
            plan.append(("gdkd", name, gdkd(standardize=standardize)))
            plan.append(("gdkd", name, gdkd(3, (0.5, 2.0, 2.0), 1.0, standardize)))
            if name != "ties" and not (name == "example" and not standardize):
                plan.append(("ldrld", name, ldrld(standardize=standardize)))
                plan.append(("ldrld", name, ldrld(3, 1.0, 2.0, 1.0, standardize)))
            plan.append(("wkd-l", name, wkd(standardize=standardize)))
            plan.append(("wkd-l", name, wkd(200.0, 6.0, 2.0, standardize)))
            if "strong_student" in sets[name]:
                plan.append(("crld", name, crld(standardize=standardize)))
                plan.append(("crld", name, crld(0.6, 0.5, standardize)))
        if name != "wide":  # gradients of saturated probabilities, 1e-15 of anything
            plan.append(("revision", name, revision()))
        plan.append(("ls-ce", name, {"smoothing": 0.1}))
        plan.append(("tfkd-reg", name, tfkd(0.95, 40.0)))
    plan += [(method, name, settings) for method, name, settings, *_ in PRINTED_RIVALS]
    plan += [("kd", "example", kd(alpha=1.0)), ("kd", "example", kd(2.0, 1.0, True))]
    plan += [("rld", "example", rld(tau_a=4.0)), ("ctkd", "example", ctkd(alpha=1.0))]
    return [evaluate(sets, *entry)[0] for entry in plan]


def main():
    sets = make_sets()
    check_printed(sets)
    cases = make_cases(sets)
    content = {
        "made_by": "tests/data/losses.py",
        "torch": torch.__version__,
        "sets": sets,
        "cases": cases,
    }
    path = os.path.join(HERE, "losses.json")
    closed_formula.write_json(path, content, "cases")
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
