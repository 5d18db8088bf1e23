"""Writes training_options.json: what PyTorch computes for the options of training that are off by default, in f64.

Run: python3 tests/data/training_options.py      (PyTorch on the CPU; the version is in the file)

training_options.json
  optimizer  [{momentum, weight_decay, nesterov, average_decay, rates, count, values, averages}, ...]
             torch.optim.SGD from w and gradients that follow the closed formula (names "w", "g0", "g1", ...); values:
             w after every step; averages: of torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn, after
             every step, where average_decay is not 0
  schedules  [{kind, base, milestones, factor, warmup_steps, steps_per_epoch, epochs, rates}, ...]
             rates of every step: MultiStepLR (milestones in epochs) or CosineAnnealingLR (over the steps behind the
             warm-up, to 0), and before it LinearLR from a thousandth over warmup_steps
  smoothing  [{smoothing, classes, labels, loss, gradient}, ...] torch.nn.CrossEntropyLoss of logits that follow the
             closed formula (name "logits", scale 4); gradient by the logits
"""

import os

import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import closed_formula

HERE = os.path.dirname(os.path.abspath(__file__))


class Weights(torch.nn.Module):
    def __init__(self, count):
        super().__init__()
        self.w = torch.nn.Parameter(closed_formula.tensor("w", [count]))


def optimizer(count, rates, momentum, weight_decay, nesterov, average_decay):
    model = Weights(count)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(average_decay)) if average_decay else None
    sgd = torch.optim.SGD(model.parameters(), 0.0, momentum, weight_decay=weight_decay, nesterov=nesterov)
    values, averages = [], []
    for step, rate in enumerate(rates):
        sgd.param_groups[0]["lr"] = rate
        model.w.grad = closed_formula.tensor(f"g{step}", [count])
        sgd.step()
        values.append(model.w.tolist())
        if averaged:
            averaged.update_parameters(model)
            averages.append(averaged.module.w.tolist())
    options = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    options |= {"average_decay": average_decay, "rates": rates, "count": count}
    return options | {"values": values, "averages": averages}


def schedule(kind, base, milestones, factor, warmup_steps, steps_per_epoch, epochs):
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], base)
    steps = steps_per_epoch * epochs
    if kind == "multistep":
        main = lr_scheduler.MultiStepLR(sgd, [m * steps_per_epoch for m in milestones], factor)
        parts = [main]
        if warmup_steps:  # chained: both factors
            parts.append(lr_scheduler.LinearLR(sgd, 1e-3, total_iters=warmup_steps))
    elif warmup_steps:
        linear = lr_scheduler.LinearLR(sgd, 1e-3, total_iters=warmup_steps)
        cosine = lr_scheduler.CosineAnnealingLR(sgd, steps - warmup_steps)
        parts = [lr_scheduler.SequentialLR(sgd, [linear, cosine], [warmup_steps])]
    else:
        parts = [lr_scheduler.CosineAnnealingLR(sgd, steps)]
    rates = []
    for _ in range(steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        for part in parts:
            part.step()
    options = {"kind": kind, "base": base, "milestones": milestones, "factor": factor}
    options |= {"warmup_steps": warmup_steps, "steps_per_epoch": steps_per_epoch, "epochs": epochs}
    return options | {"rates": rates}


def smoothing(amount, classes, labels):
    logits = closed_formula.tensor("logits", [len(labels), classes], 4.0).requires_grad_()
    loss = torch.nn.CrossEntropyLoss(label_smoothing=amount)(logits, torch.tensor(labels))
    loss.backward()
    options = {"smoothing": amount, "classes": classes, "labels": labels}
    return options | {"loss": loss.item(), "gradient": logits.grad.flatten().tolist()}


def main():
    rates = [0.5, 0.25, 0.25, 0.0625]
    content = {
        "made_by": "tests/data/training_options.py",
        "torch": torch.__version__,
        "optimizer": [
            optimizer(21, rates, 0.9, 0.0, True, 0.0),
            optimizer(21, rates, 0.875, 5e-4, True, 0.75),
            optimizer(21, rates, 0.9, 5e-4, False, 0.99),
        ],
        "schedules": [
            schedule("multistep", 0.1, [2, 4], 0.1, 0, 3, 5),
            schedule("multistep", 0.02, [1, 3], 0.5, 5, 4, 4),
            schedule("cosine", 0.1, [], 0.1, 0, 3, 4),
            schedule("cosine", 0.2, [], 0.1, 4, 5, 3),
        ],
        "smoothing": [smoothing(0.1, 7, [0, 6, 3]), smoothing(0.5, 19, [18, 2])],
    }
    path = os.path.join(HERE, "training_options.json")
    closed_formula.write_json(path, content, "optimizer")
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    main()
