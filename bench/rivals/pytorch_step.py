"""PyTorch's time for one training or distillation step: what the engine is measured against.

Run: python3 bench/rivals/pytorch_step.py --model resnet20 --batch 64 --threads 2
     python3 bench/rivals/pytorch_step.py --model resnet8x4 --teacher resnet32x4 --method pcd --threads 2 --best
Written for PyTorch 2.15; the version that ran is in the output.

A step is what a training loop does with a batch that lies in memory: forward, loss, backward, SGD (momentum
0.9, weight decay 5e-4). With --teacher also the teacher's forward pass in evaluation mode, without
gradients, and the distillation loss beside cross-entropy; that teacher keeps its batch norms, as PyTorch
training loops do. f32, channels_last, optimizer in its fused form. --compile compiles the student's part
and the teacher with torch.compile; --best measures eager and compiled in turns and reports the faster.
--bf16 runs both networks under autocast in bf16. --as-mdistiller times what that toolkit does: eager, NCHW, f32 with
tf32 in convolutions only (PyTorch's defaults), SGD in its default form, the losses written term by term.
Prints one JSON object: median, quartiles, minimum in milliseconds, number of steps, versions.
"""

import argparse
import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "data"))
import reference_losses
import reference_models

METHODS = ("ce", "kd", "pcd", "pcd-released")
TEMPERATURE, STAGES = 4.0, 3


def kl(log_p, log_q):
    """Sum over classes, mean over samples."""
    return F.kl_div(log_q, log_p, reduction="sum", log_target=True) / log_p.shape[0]


def kd_loss(zt, zs):
    return 0.9 * TEMPERATURE**2 * kl(F.log_softmax(zt / TEMPERATURE, 1), F.log_softmax(zs / TEMPERATURE, 1))


def weighted_kl(zt, zs):
    """Sum over groups, mean over samples of (1 - cos(p, q)) KL(p || q); zt, zs: B x groups x size."""
    log_p, log_q = F.log_softmax(zt, 2), F.log_softmax(zs, 2)
    p, q = log_p.exp(), log_q.exp()
    weight = (F.normalize(p, dim=2) - F.normalize(q, dim=2)).square().sum(2) / 2
    return (weight * (p * (log_p - log_q)).sum(2)).sum() / zt.shape[0]


def pcd_loss(zt, zs):
    """All groups of one size in one call; both directions visit the same partitions, so one counts twice."""
    with torch.no_grad():
        order = torch.argsort((zt - zs).abs(), dim=1, descending=True, stable=True)
    zt, zs = zt.gather(1, order) / TEMPERATURE, zs.gather(1, order) / TEMPERATURE
    batch, classes = zt.shape
    loss = 0
    for groups in range(1, STAGES + 1):
        size = classes // groups
        alike = groups if classes % groups == 0 else groups - 1  # the last group takes the rest
        if alike:
            split = alike * size
            loss = loss + weighted_kl(
                zt[:, :split].reshape(batch, alike, size), zs[:, :split].reshape(batch, alike, size)
            )
        if alike < groups:
            loss = loss + weighted_kl(zt[:, None, alike * size :], zs[:, None, alike * size :])
    return 2 * TEMPERATURE**2 * loss


def pcd_released_loss(zt, zs):
    log_p, log_q = F.log_softmax(zt / TEMPERATURE, 1), F.log_softmax(zs / TEMPERATURE, 1)
    factor = 1 - F.cosine_similarity(log_p.exp(), log_q, dim=1)
    return 2 * STAGES * TEMPERATURE**2 * kl(log_p, log_q) * factor.mean()


def plainly(method):
    """The loss as tests/data/reference_losses.py writes it: one op after the other, group by group."""

    def loss(zt, zs):
        labels = torch.zeros(len(zt), dtype=torch.long, device=zt.device)  # these methods do not read them
        return sum(reference_losses.METHODS[method](zt, zs, labels, settings_of(method)).values())

    return loss


def settings_of(method):
    settings = {"temperature": TEMPERATURE, "alpha": 0.9 if method == "kd" else 1.0, "stages": STAGES}
    return settings | {"ranking": "difference", "direction": "both", "weight": "cosine"}


LOSSES = {"kd": kd_loss, "pcd": pcd_loss, "pcd-released": pcd_released_loss}
CE_WEIGHT = {"ce": 1.0, "kd": 0.1, "pcd": 1.0, "pcd-released": 1.0}


def check_loss(method):
    """The loss that is timed is the loss that is meant."""
    torch.manual_seed(0)
    zt, zs, y = 4 * torch.randn(5, 100).double(), 4 * torch.randn(5, 100).double(), torch.zeros(5).long()
    expected = sum(reference_losses.METHODS[method](zt, zs, y, settings_of(method)).values()).item()
    found = LOSSES[method](zt, zs).item()
    if abs(found - expected) > 1e-9 * abs(expected):
        sys.exit(f"pytorch_step: the {method} loss is {found}, expected {expected}")


class Step:
    """One variant (eager or compiled) with its own student, teacher and optimizer."""

    def __init__(self, options, compiled):
        self.compiled = compiled
        device = options.device
        memory = torch.contiguous_format if options.as_mdistiller else torch.channels_last
        self.autocast = torch.autocast(device, dtype=torch.bfloat16, enabled=options.bf16)
        self.student = reference_models.build(options.model).to(device, memory_format=memory).train()
        self.teacher = None
        if options.teacher:
            self.teacher = reference_models.build(options.teacher)
            self.teacher = self.teacher.to(device, memory_format=memory).eval().requires_grad_(False)
        self.optimizer = torch.optim.SGD(
            self.student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, fused=None if options.as_mdistiller else True
        )
        side, classes = reference_models.images_of(options.model)
        images = torch.randn(options.batch, 3, side, side, device=device)
        self.images = images.contiguous(memory_format=memory)
        self.labels = torch.randint(0, classes, (options.batch,), device=device)
        self.method = options.method
        self.distil = plainly(self.method) if options.as_mdistiller else LOSSES.get(self.method)
        mode = "reduce-overhead" if device == "cuda" else "default"
        self.loss = torch.compile(self.loss_of, mode=mode) if compiled else self.loss_of
        self.teach = self.logits_of_teacher
        if compiled and self.teacher is not None:
            self.teach = torch.compile(self.logits_of_teacher, mode=mode)

    def logits_of_teacher(self, images):
        with self.autocast:
            return self.teacher(images)["logits"].float()

    def loss_of(self, images, labels, teacher_logits):
        with self.autocast:
            logits = self.student(images)["logits"].float()
        loss = CE_WEIGHT[self.method] * F.cross_entropy(logits, labels)
        return loss if teacher_logits is None else loss + self.distil(teacher_logits, logits)

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        teacher_logits = None
        if self.teacher is not None:
            with torch.no_grad():
                teacher_logits = self.teach(self.images)
            if self.compiled and self.images.is_cuda:
                teacher_logits = teacher_logits.clone()  # a graph's output is overwritten by the next replay
        loss = self.loss(self.images, self.labels, teacher_logits)
        loss.backward()
        self.optimizer.step()
        return loss


def measure(steps, seconds, device):
    """Milliseconds per step, the variants taken in turns, for `seconds` each."""
    times = [[] for _ in steps]
    end = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < end:
        for step, of in zip(steps, times):
            start = time.perf_counter()
            step.run()
            if device == "cuda":
                torch.cuda.synchronize()
            of.append(1e3 * (time.perf_counter() - start))
    return times


def describe(times):
    q1, median, q3 = (
        statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3
    )
    return {"median_ms": median, "q1_ms": q1, "q3_ms": q3, "min_ms": min(times), "n": len(times)}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description="PyTorch's time for one training or distillation step")
    parser.add_argument("--model", default="resnet20", choices=reference_models.MODELS, metavar="NAME")
    parser.add_argument("--teacher", choices=reference_models.MODELS, metavar="NAME", help="distil from it")
    parser.add_argument("--method", choices=METHODS, help="ce without a teacher, pcd with one")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--tf32", action="store_true", help="on CUDA: TensorFloat-32 in convolutions and products"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="for each variant")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--best", action="store_true", help="eager and compiled in turns, the faster is reported"
    )
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    parser.add_argument("--as-mdistiller", action="store_true", help="eager, NCHW, PyTorch's default precisions")
    options = parser.parse_args(arguments)
    options.method = options.method or ("pcd" if options.teacher else "ce")
    if (options.method == "ce") != (options.teacher is None):
        parser.error("--method kd, pcd or pcd-released goes with --teacher, ce without")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this PyTorch finds no CUDA device")
    if options.as_mdistiller and (options.compile or options.best or options.bf16 or options.tf32):
        parser.error("--as-mdistiller decides on precision and compilation itself")
    return options


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = options.tf32 or options.as_mdistiller
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    if options.teacher:
        check_loss(options.method)
    torch.manual_seed(1)
    variants = [False, True] if options.best else [options.compile]
    steps = [Step(options, compiled) for compiled in variants]
    for step in steps:
        for _ in range(5):
            loss = step.run()
        if not torch.isfinite(loss):
            sys.exit("pytorch_step: the loss is not finite")
    results = {}
    for step, times in zip(steps, measure(steps, options.seconds, options.device)):
        results["compile" if step.compiled else "eager"] = describe(times)
    best = min(results, key=lambda name: results[name]["median_ms"])
    content = results[best] | {
        "variant": "as mdistiller" if options.as_mdistiller else best + (" bf16" if options.bf16 else ""),
        "variants": results,
        "model": options.model,
        "teacher": options.teacher,
        "method": options.method,
        "batch": options.batch,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "torch": torch.__version__,
    }
    print(json.dumps(content))


if __name__ == "__main__":
    main()
