"""The distillation losses on logits in plain PyTorch, written to be read beside the papers, not to be fast.

Every function returns {term: value} without cross-entropy and without the warm-up factor, each term with the
method's own weights, so that the loss is the sum of the terms. zt, zs: teacher and student logits, B x C; y:
labels. The teacher is a constant, the student's gradient flows through everything else.
"""

import math

import torch
import torch.nn.functional as F


def standardize(z):
    """Logit standardisation, arXiv:2403.01427: per sample, deviation with C - 1."""
    return (z - z.mean(1, keepdim=True)) / (1e-7 + z.std(1, keepdim=True))


def kl(log_p, log_q):
    """KL(p || q) per sample."""
    return (log_p.exp() * (log_p - log_q)).sum(1)


def logits_of(zt, zs, settings):
    if settings.get("standardize", False):
        return standardize(zt), standardize(zs)
    return zt, zs


def ce(zt, zs, y, settings):
    """Listed for the gradient of plain cross-entropy; a distillation method's terms leave it out."""
    return {"ce": F.cross_entropy(zs, y)}


def kd(zt, zs, y, settings):
    """arXiv:1503.02531."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    k = kl(F.log_softmax(zt / tau, 1), F.log_softmax(zs / tau, 1)).mean()
    return {"kd": settings["alpha"] * tau**2 * k}


def without(z, k):
    """Row b without its class k[b]: B x (C - 1)."""
    keep = torch.ones_like(z, dtype=torch.bool).scatter(1, k[:, None], False)
    return z[keep].reshape(z.shape[0], -1)


def binary_logs(z, k):
    """log of the probability of class k and of all the others together."""
    everything = torch.logsumexp(z, 1)
    at_k = z.gather(1, k[:, None])[:, 0]
    return at_k - everything, torch.logsumexp(without(z, k), 1) - everything


def binary_kl(zt, k, zs, j):
    """KL between (p_k, 1 - p_k) and (q_j, 1 - q_j), per sample."""
    log_p, log_not_p = binary_logs(zt, k)
    log_q, log_not_q = binary_logs(zs, j)
    return log_p.exp() * (log_p - log_q) + log_not_p.exp() * (log_not_p - log_not_q)


def dkd(zt, zs, y, settings):
    """arXiv:2203.08679."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    zt, zs = zt / tau, zs / tau
    target = binary_kl(zt, y, zs, y).mean()
    others = kl(F.log_softmax(without(zt, y), 1), F.log_softmax(without(zs, y), 1)).mean()
    return {"tckd": settings["alpha"] * tau**2 * target, "nckd": settings["beta"] * tau**2 * others}


def correlation(x, y):
    """Pearson's, between rows."""
    u = x - x.mean(1, keepdim=True)
    v = y - y.mean(1, keepdim=True)
    return (u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1) + 1e-8)


def dist(zt, zs, y, settings):
    """arXiv:2205.10536."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    p, q = F.softmax(zt / tau, 1), F.softmax(zs / tau, 1)
    inter = 1 - correlation(q, p).mean()
    intra = 1 - correlation(q.T, p.T).mean()
    return {"inter": settings["beta"] * tau**2 * inter, "intra": settings["gamma"] * tau**2 * intra}


def partitions(settings):
    """How many groups each visited stage has: S for fine-to-coarse first, 1 for coarse-to-fine first."""
    stages = settings["stages"]
    fine = [stages - i + 1 for i in range(1, stages + 1)]
    coarse = list(range(1, stages + 1))
    return {"both": fine + coarse, "fine-to-coarse": fine, "coarse-to-fine": coarse}[settings["direction"]]


def pcd_order(zt, zs, settings):
    """Logit difference ranking: descending, at a tie the lower class first."""
    if settings["ranking"] == "none":
        return torch.arange(zt.shape[1]).expand_as(zt)
    return torch.argsort((zt - zs).detach().abs(), dim=1, descending=True, stable=True)


def pcd(zt, zs, y, settings):
    """Progressive Class-level Distillation, arXiv:2505.24310."""
    zt, zs = logits_of(zt, zs, settings)
    tau, classes = settings["temperature"], zt.shape[1]
    order = pcd_order(zt, zs, settings)
    zt, zs = zt.gather(1, order) / tau, zs.gather(1, order) / tau
    loss = 0
    for groups in partitions(settings):
        size = classes // groups
        for g in range(groups):
            end = classes if g == groups - 1 else (g + 1) * size
            log_p = F.log_softmax(zt[:, g * size : end], 1)
            log_q = F.log_softmax(zs[:, g * size : end], 1)
            weight = 1
            if settings["weight"] == "cosine":  # 1 - cos(p, q), without its cancellation near p = q
                p, q = log_p.exp(), log_q.exp()
                weight = (p / p.norm(dim=1, keepdim=True) - q / q.norm(dim=1, keepdim=True)).square().sum(
                    1
                ) / 2
            loss = loss + (weight * kl(log_p, log_q)).mean()
    return {"pcd": settings["alpha"] * tau**2 * loss}


def pcd_released(zt, zs, y, settings):
    """What the released code of arXiv:2505.24310 computes: no ranking, every block is all classes."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    log_p, log_q = F.log_softmax(zt / tau, 1), F.log_softmax(zs / tau, 1)
    p = log_p.exp()
    factor = 1 - (p * log_q).sum(1) / (p.norm(dim=1) * log_q.norm(dim=1))
    loss = kl(log_p, log_q).mean() * factor.mean()
    return {"pcd-released": 2 * settings["alpha"] * settings["stages"] * tau**2 * loss}


def nkd(zt, zs, y, settings):
    """arXiv:2303.13005."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    p_y = F.softmax(zt, 1).gather(1, y[:, None])[:, 0]
    log_q_y = F.log_softmax(zs, 1).gather(1, y[:, None])[:, 0]
    p_others = F.softmax(without(zt, y) / tau, 1)
    log_q_others = F.log_softmax(without(zs, y) / tau, 1)
    target = -(p_y * log_q_y).mean()
    others = -settings["gamma"] * tau**2 * (p_others * log_q_others).sum(1).mean()
    return {"target": target, "non-target": others}


def rld(zt, zs, y, settings):
    """arXiv:2408.07703. temperature_a: the temperature of the first term."""
    zt, zs = logits_of(zt, zs, settings)
    tau, tau_a = settings["temperature"], settings["temperature_a"]
    largest = (zt == zt.amax(1, keepdim=True)).int().argmax(1)  # the first of equals
    scd = tau_a**2 * binary_kl(zt / tau_a, largest, zs / tau_a, y).mean()
    mcd = []
    for b in range(zt.shape[0]):
        below = zt[b] < zt[b, y[b]]
        if below.sum() < 2:
            mcd.append(zs[b].sum() * 0)
        else:
            log_p = F.log_softmax(zt[b][below] / tau, 0)
            log_q = F.log_softmax(zs[b][below] / tau, 0)
            mcd.append((log_p.exp() * (log_p - log_q)).sum())
    return {"scd": settings["alpha"] * scd, "mcd": settings["beta"] * tau**2 * torch.stack(mcd).mean()}


def at_most_median(x):
    """The share of the entries that are <= the median (of an even count: the mean of the middle two)."""
    ordered = x.sort().values
    n = x.numel()
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return (x <= median).double().mean().item()


def class_correlation(p, q):
    return (p.T @ p - q.T @ q).square().sum() / p.shape[1]


def batch_correlation(p, q):
    return (p @ p.T - q @ q.T).square().sum() / p.shape[0]


def mlkd(zt, zs, y, settings, strong=None):
    """Multi-level logit distillation, CVPR 2023. strong: (zt, zs) of the second view, or None.

    beta is the weight of the distillation part. With two views the third sum of the KL reads the weak view
    again, as the released code does.
    """
    beta, tau1 = settings["beta"], settings["temperature"]
    prob = F.softmax(zt, 1)  # raw logits, temperature 1
    share_samples = at_most_median(prob.amax(1))
    share_classes = at_most_median(prob.sum(0))
    temperatures = (tau1, 3.0, 5.0, 2.0, 6.0)
    raw_t, raw_s = zt, zs
    zt, zs = logits_of(zt, zs, settings)

    def k(t, s, tau):
        return tau**2 * kl(F.log_softmax(t / tau, 1), F.log_softmax(s / tau, 1)).mean()

    kd_term = share_samples * sum(k(zt, zs, tau) for tau in temperatures)
    if strong is not None:
        strong_t, strong_s = logits_of(*strong, settings)
        kd_term = kd_term + sum(k(strong_t, strong_s, tau) for tau in temperatures[:3])
        kd_term = kd_term + sum(k(zt, zs, tau) for tau in temperatures[3:])
    cc, bc = 0, 0
    for tau in temperatures:
        p, q = F.softmax(raw_t / tau, 1), F.softmax(raw_s / tau, 1)
        cc = cc + class_correlation(p, q)
        bc = bc + batch_correlation(p, q)
    return {"kd": beta * kd_term, "cc": beta * share_classes * cc, "bc": beta * share_samples * bc}


def ctkd(zt, zs, y, settings, theta=None):
    """Curriculum temperature, arXiv:2211.16231, global. The student sees the temperature as a number; the
    gradient with respect to theta (before the curriculum's factor) is read off the same value."""
    zt, zs = logits_of(zt, zs, settings)
    if theta is None:
        theta = torch.tensor(settings["theta"], dtype=zt.dtype)
    tau = 1 + 20 * torch.sigmoid(theta)
    return {
        "kd": settings["alpha"] * tau**2 * kl(F.log_softmax(zt / tau, 1), F.log_softmax(zs / tau, 1)).mean()
    }


def smoothed(zs, y, on, off):
    """-sum t log q per sample, t = on for the label, off for every other class."""
    log_q = F.log_softmax(zs, 1)
    target = torch.full_like(log_q, off).scatter(1, y[:, None], on)
    return target, -(target * log_q).sum(1)


def ls_ce(zt, zs, y, settings):
    """Label smoothing: a / (C - 1) on the other classes."""
    a, classes = settings["smoothing"], zs.shape[1]
    return {"ce": smoothed(zs, y, 1 - a, a / (classes - 1))[1].mean()}


def tfkd_reg(zt, zs, y, settings):
    """arXiv:1909.11723, the regularisation."""
    a, classes = settings["alpha"], zs.shape[1]
    virtual = torch.full_like(zs, 0.01 / (classes - 1)).scatter(1, y[:, None], 0.99)
    log_t = F.log_softmax(virtual.detach() / settings["temperature"], 1)
    term = kl(log_t, F.log_softmax(zs, 1)).mean() / classes
    terms = {"ce": (1 - a) * F.cross_entropy(zs, y)} if a < 1 else {}
    return terms | {"tfkd": a * settings["multiplier"] * term}


def first_largest(z):
    return (z == z.amax(1, keepdim=True)).int().argmax(1)


def swap(zt, zs, y, settings):
    """arXiv:1911.07471, logit adjustment."""
    zt, zs = logits_of(zt, zs, settings)
    tau, k = settings["temperature"], first_largest(zt)
    rows = torch.arange(zt.shape[0])
    edited = zt.clone()
    edited[rows, y], edited[rows, k] = zt[rows, k], zt[rows, y]
    return {"swap": settings["alpha"] * tau**2 * kl(F.log_softmax(edited / tau, 1), F.log_softmax(zs / tau, 1)).mean()}


def rc(zt, zs, y, settings):
    """RC of arXiv:2408.07703's code."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    log_q = F.log_softmax(zs / tau, 1)
    own = zs.detach().clone()
    own[torch.arange(own.shape[0]), y] += own.amax(1)
    return {
        "kd": settings["alpha"] * tau**2 * kl(F.log_softmax(zt / tau, 1), log_q).mean(),
        "self": settings["beta"] * tau**2 * kl(F.log_softmax(own / tau, 1), log_q).mean(),
    }


def revision(zt, zs, y, settings):
    """arXiv:2404.03693, label revision."""
    right = first_largest(zt) == y
    none = zs.sum() * 0
    terms = {"right-ce": none, "right-logits": none, "revised": none}
    if right.any():
        terms["right-ce"] = F.cross_entropy(zs[right], y[right])
        terms["right-logits"] = settings["alpha"] * F.mse_loss(zs[right], zt[right])
    if not right.all():
        p, label = F.softmax(zt[~right], 1), y[~right][:, None]
        b = settings["lambda"] / (p.amax(1, keepdim=True) - p.gather(1, label) + 1)
        g = b * p + (1 - b) * torch.zeros_like(p).scatter(1, label, 1)
        terms["revised"] = settings["beta"] * F.mse_loss(F.softmax(zs[~right], 1), g)
    return terms


def ttm(zt, zs, y, settings, weigh=False):
    """arXiv:2402.11148."""
    zt, zs = logits_of(zt, zs, settings)
    gamma = settings["gamma"]
    each = kl(F.log_softmax(gamma * zt, 1), F.log_softmax(zs, 1))
    if weigh:
        each = each * F.softmax(zt, 1).pow(gamma).sum(1)
    return {"ttm": settings["beta"] * each.mean()}


def wttm(zt, zs, y, settings):
    return ttm(zt, zs, y, settings, weigh=True)


def stable_descending(z):
    return torch.argsort(z.detach(), dim=1, descending=True, stable=True)


def set_kl(zt, zs):
    return kl(F.log_softmax(zt, 1), F.log_softmax(zs, 1))


def gdkd(zt, zs, y, settings):
    """arXiv:2512.04625."""
    zt, zs = logits_of(zt, zs, settings)
    tau, k = settings["temperature"], settings["k"]
    order = stable_descending(zt)
    zt, zs = zt.gather(1, order) / tau, zs.gather(1, order) / tau
    masses = [torch.stack([z[:, :k].logsumexp(1), z[:, k:].logsumexp(1)], 1) for z in (zt, zs)]
    mass = set_kl(*masses) if k < zt.shape[1] else zs.sum(1) * 0
    rest = set_kl(zt[:, k:], zs[:, k:]) if k < zt.shape[1] else zs.sum(1) * 0
    return {
        "mass": settings["w0"] * tau**2 * mass.mean(),
        "top": settings["w1"] * tau**2 * set_kl(zt[:, :k], zs[:, :k]).mean(),
        "rest": settings["w2"] * tau**2 * rest.mean(),
    }


def ldrld(zt, zs, y, settings):
    """arXiv:2507.15911; ranks count from 1."""
    zt, zs = logits_of(zt, zs, settings)
    tau = settings["temperature"]
    k = min(settings["k"], zt.shape[1])
    order = stable_descending(zs)
    zt, zs = zt.gather(1, order) / tau, zs.gather(1, order) / tau
    local = set_kl(zt[:, :k], zs[:, :k])
    for i in range(k):
        for j in range(i + 1, k):
            a = 2 * math.exp(-0.05 * (i + j + 2)) / (1.5 + j - i)
            local = local + a * set_kl(zt[:, [i, j]], zs[:, [i, j]])
    rest = set_kl(zt[:, k:], zs[:, k:]) if k < zt.shape[1] else zs.sum(1) * 0
    return {
        "local": settings["alpha"] * tau**2 * local.mean() / (k * (k - 1) / 2 + 1),
        "rest": settings["beta"] * tau**2 * rest.mean(),
    }


def similarity(classes):
    """What the cases of wkd-l take for the classes' likeness."""
    at = torch.arange(classes, dtype=torch.float64)
    return 1 - (at[:, None] - at[None, :]).abs() / 10


def wkd_l(zt, zs, y, settings):
    """arXiv:2412.08139, on logits. Sample by sample, over the classes other than the label."""
    zt, zs = logits_of(zt, zs, settings)
    tau, classes = settings["temperature"], zt.shape[1]
    everywhere = (1 - torch.exp(-settings["scale"] * (1 - similarity(classes)))).to(zt.dtype)
    costs = []
    for b in range(zt.shape[0]):
        others = [c for c in range(classes) if c != y[b]]
        d = everywhere[others][:, others].clamp(min=0) + 1e-8
        kernel = torch.exp(-d / 0.05)
        p, q = F.softmax(zt[b, others] / tau, 0), F.softmax(zs[b, others] / tau, 0)
        u = torch.full_like(q, 1 / len(others))
        for _ in range(10):
            v = p / (kernel.T @ u + 1e-8)
            u = q / (kernel @ v + 1e-8)
        costs.append((u[:, None] * kernel * v[None, :] * d).sum())
    p_y = F.softmax(zt, 1).gather(1, y[:, None])
    log_q_y = F.log_softmax(zs, 1).gather(1, y[:, None])
    return {"target": -(p_y * log_q_y).mean(), "transport": settings["alpha"] * torch.stack(costs).mean()}


def crld(zt, zs, y, settings, strong=None):
    """arXiv:2412.16493."""
    tau = settings["temperature"]
    sure_weak = (F.softmax(zt, 1).amax(1) >= settings["threshold"]).double()
    sure_strong = (F.softmax(strong[0], 1).amax(1) >= settings["strong_threshold"]).double()
    zt, zs = logits_of(zt, zs, settings)
    strong_t, strong_s = logits_of(*strong, settings)

    def k(t, s):
        return tau**2 * set_kl(t / tau, s / tau)

    return {
        "within": settings["alpha"] * (sure_weak * (k(zt, zs) + k(strong_t, strong_s))).mean(),
        "across": settings["beta"] * (sure_strong * (k(zt, strong_s) + k(strong_t, zs))).mean(),
    }


METHODS = {
    "ls-ce": ls_ce,
    "tfkd-reg": tfkd_reg,
    "swap": swap,
    "rc": rc,
    "revision": revision,
    "ttm": ttm,
    "wttm": wttm,
    "gdkd": gdkd,
    "ldrld": ldrld,
    "wkd-l": wkd_l,
    "crld": crld,
    "ce": ce,
    "kd": kd,
    "dkd": dkd,
    "dist": dist,
    "pcd": pcd,
    "pcd-released": pcd_released,
    "nkd": nkd,
    "rld": rld,
    "mlkd": mlkd,
    "ctkd": ctkd,
}
