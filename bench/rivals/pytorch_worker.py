"""PyTorch on request: nets are built and compiled once, then measured whenever a line on stdin asks for it.

Started by compare_pytorch.py, which so takes turns with PyTorch without paying for torch.compile in every
turn. A request is a JSON object on a line: {"what": "train", "kd", "pcd", "pcd-released", "eval", "loss" or
"data", "seconds": 1, "variants": ["eager", "compile"], ...}; the answer is one as well: per variant the
median step in milliseconds, and which was faster. f32, channels_last, what a training loop does with a batch
that lies in memory, as in pytorch_step.py, whose losses these are.
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

import pytorch_step
import reference_models


class Nets:
    """A student, and a teacher if one is named, each also compiled."""

    def __init__(self, options):
        def build(name):
            net = reference_models.build(name).to(memory_format=torch.channels_last)
            return {"eager": net, "compile": torch.compile(net)}

        torch.manual_seed(1)
        self.student = build(options.model)
        self.teacher = build(options.teacher) if options.teacher else None
        if self.teacher:
            self.teacher["eager"].eval().requires_grad_(False)
        self.optimizer = torch.optim.SGD(
            self.student["eager"].parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, fused=True
        )
        side, classes = reference_models.images_of(options.model)
        images = torch.randn(options.batch, 3, side, side)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(0, classes, (options.batch,))
        self.losses = {"eager": pytorch_step.LOSSES, "compile": {}}

    def loss_function(self, method, variant):
        losses = self.losses[variant]
        if method not in losses:
            losses[method] = torch.compile(pytorch_step.LOSSES[method])
        return losses[method]

    def step(self, method, variant):
        """One training step, of a method with a teacher or of "train"."""
        student = self.student[variant].train()
        self.optimizer.zero_grad(set_to_none=True)
        teacher_logits = None
        if method != "train":
            with torch.no_grad():
                teacher_logits = self.teacher[variant](self.images)["logits"]
        logits = student(self.images)["logits"]
        weight = pytorch_step.CE_WEIGHT["ce" if method == "train" else method]
        loss = weight * F.cross_entropy(logits, self.labels)
        if teacher_logits is not None:
            loss = loss + self.loss_function(method, variant)(teacher_logits, logits)
        loss.backward()
        self.optimizer.step()

    def evaluate(self, variant):
        student = self.student[variant].eval()
        with torch.inference_mode():
            student(self.images)


class Loss:
    """A method's distillation terms and their gradient, on random logits."""

    def __init__(self, method, batch, classes):
        torch.manual_seed(1)
        self.teacher = 4 * torch.randn(batch, classes)
        self.student = (4 * torch.randn(batch, classes)).requires_grad_()
        function = pytorch_step.LOSSES[method]
        self.functions = {"eager": function, "compile": torch.compile(function)}

    def step(self, variant):
        self.student.grad = None
        self.functions[variant](self.teacher, self.student).backward()


class CropFlip(torch.utils.data.Dataset):
    """What a data set with the usual transforms does with an image: pad, crop, flip, to float, normalise."""

    def __init__(self):
        self.images = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)
        self.labels = torch.randint(0, 100, (50_000,))
        self.mean = torch.tensor([0.5071, 0.4867, 0.4408])[:, None, None]
        self.deviation = torch.tensor([0.2675, 0.2565, 0.2761])[:, None, None]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        padded = F.pad(self.images[i], (4, 4, 4, 4))
        y, x = torch.randint(0, 9, (2,)).tolist()
        image = padded[:, y : y + 32, x : x + 32]
        if torch.rand(1).item() < 0.5:
            image = image.flip(2)
        return (image.float() / 255 - self.mean) / self.deviation, int(self.labels[i])


class Data:
    def __init__(self, batch, workers):
        self.loader = torch.utils.data.DataLoader(
            CropFlip(), batch_size=batch, shuffle=True, num_workers=workers, drop_last=True
        )

    def measure(self, seconds):
        """Milliseconds per batch on average, the start of the workers left out."""
        batches = iter(self.loader)
        for _ in range(5):
            next(batches)
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < seconds:
            next(batches, None)
            count += 1
        return 1e3 * (time.perf_counter() - start) / count


def measure(step, seconds):
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - before))
    return statistics.median(times)


class Worker:
    def __init__(self, options):
        self.options = options
        self.nets = Nets(options) if options.model else None
        self.others = {}  # losses and loaders, by their request
        self.warm = set()
        self.broken = set()  # variants that do not run here

    def step_of(self, request, variant):
        what = request["what"]
        if what == "eval":
            return lambda: self.nets.evaluate(variant)
        if what == "loss":
            key = (request["method"], request["batch"], request["classes"])
            if key not in self.others:
                self.others[key] = Loss(*key)
            return lambda: self.others[key].step(variant)
        return lambda: self.nets.step(what, variant)

    def answer(self, request):
        if request["what"] == "data":
            data = Data(request["batch"], request["workers"])
            return {"variant": "DataLoader", "variants": {"DataLoader": data.measure(request["seconds"])}}
        medians = {}
        for variant in request["variants"]:
            key = json.dumps({**request, "seconds": 0, "variants": variant}, sort_keys=True)
            if key in self.broken:
                continue
            step = self.step_of(request, variant)
            try:
                for _ in range(0 if key in self.warm else 3):
                    step()
            except Exception as error:  # no compiler for torch.compile, say: eager is left
                if variant == "eager":
                    raise
                self.broken.add(key)
                print(f"pytorch_worker: {variant}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            self.warm.add(key)
            medians[variant] = measure(step, request["seconds"])
        return {"variant": min(medians, key=medians.get), "variants": medians}


def main():
    parser = argparse.ArgumentParser(description="measures PyTorch as lines on stdin say")
    parser.add_argument("--model", choices=reference_models.MODELS, metavar="NAME")
    parser.add_argument("--teacher", choices=reference_models.MODELS, metavar="NAME")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("highest")
    for method in ("kd", "pcd", "pcd-released"):
        pytorch_step.check_loss(method)
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    about = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    worker = Worker(options)
    print(json.dumps(about), file=answers, flush=True)  # who started this may begin
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
