"""Writes ops.json: forward and gradient values of single operations, made by PyTorch in f64.

Run: python3 tests/data/ops.py      (PyTorch on the CPU; the version that made the file is in the file)

ops.json
  closed_formula  {name, values}: the first numbers of a formula of scale 1, to check it in another language
  cases  [{op, name, settings, inputs, outputs, gradients}, ...]
         inputs: {name: {shape, formula{name, scale, shift, bits}}}, filled row-major in the shape written
         there by the closed formula of closed_formula.py. Layouts are the engine's: activations N,H,W,C,
         convolution weights K,R,S,C (C per group), linear weights out,in. "dy" is the gradient that arrives
         from above.
         outputs and gradients: {name: {shape, and values or the summary of closed_formula.py}}, same layouts;
         gradients are those of sum(y * dy), or of the loss itself where the op is one, with respect to the
         input named.

Meaning of the settings: conv2d and pools as in PyTorch (pad on both sides). max_pool sends a gradient to
the first of equal maxima, rows before columns. avg_pool counts the padding. batch_norm: running_mean and
running_var are updated with momentum, the variance in them is the unbiased one. sgd: g += weight_decay * w;
buf = momentum * buf + g, in the first step buf = g; w -= lr * buf.
"""

import os

import torch
import torch.nn.functional as F

import closed_formula

HERE = os.path.dirname(os.path.abspath(__file__))
FULL_BELOW = 64


class Case:
    """Collects what one case writes. Names in `gradients_of` become leaves."""

    def __init__(self, op, name, **settings):
        self.data = {
            "op": op,
            "name": name,
            "settings": settings,
            "inputs": {},
            "outputs": {},
            "gradients": {},
        }
        self.leaves = {}

    def input(self, name, shape, scale=1.0, shift=0.0, bits=closed_formula.BITS, leaf=True):
        formula = {"name": f"{self.data['name']}.{name}", "scale": scale, "shift": shift, "bits": bits}
        self.data["inputs"][name] = {"shape": shape, "formula": formula}
        x = closed_formula.tensor(formula["name"], shape, scale, shift, bits)
        if leaf and name != "dy":
            self.leaves[name] = x.requires_grad_()
        return x

    @staticmethod
    def summary(x):
        return {"shape": list(x.shape), **closed_formula.summary(x, full_below=FULL_BELOW)}

    def output(self, name, x):
        self.data["outputs"][name] = self.summary(x)

    def backward(self, y, dy=None):
        y.backward(dy)
        for name, leaf in self.leaves.items():
            self.data["gradients"][name] = self.summary(leaf.grad)
        return self.data

    def finish(self, y):
        """y in the engine's layout: reads dy, writes y and every gradient."""
        self.output("y", y)
        return self.backward(y, self.input("dy", list(y.shape)))


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def conv2d(name, x, k, kernel, stride=1, pad=0, groups=1, bias=False):
    case = Case("conv2d", name, stride=stride, pad=pad, groups=groups, bias=bias)
    w_shape = [k, kernel, kernel, x[3] // groups]
    image, weight = case.input("x", x), case.input("w", w_shape, scale=0.5)
    b = case.input("b", [k]) if bias else None
    # A weight K,R,S,C becomes PyTorch's K,C,R,S by the permutation that takes an image N,H,W,C to N,C,H,W.
    y = F.conv2d(nchw(image), nchw(weight), b, stride=stride, padding=pad, groups=groups)
    return case.finish(nhwc(y))


def linear(name, n, features, outputs, bias=True):
    case = Case("linear", name, bias=bias)
    x, w = case.input("x", [n, features]), case.input("w", [outputs, features], scale=0.5)
    return case.finish(F.linear(x, w, case.input("b", [outputs]) if bias else None))


def batch_norm(name, shape, training, op="batch_norm"):
    case = Case(op, name, training=training, eps=1e-5, momentum=0.1)
    c = [shape[3]]
    x = case.input("x", shape, scale=2.0, shift=0.5)
    gamma, beta = case.input("gamma", c, scale=0.5, shift=1.0), case.input("beta", c, scale=0.25)
    mean = case.input("running_mean", c, scale=0.5, leaf=False)
    var = case.input("running_var", c, scale=0.5, shift=1.5, leaf=False)
    y = nhwc(F.batch_norm(nchw(x), mean, var, gamma, beta, training, momentum=0.1, eps=1e-5))
    if training:
        case.output("running_mean", mean)
        case.output("running_var", var)
    if op == "batch_norm_relu":
        y = F.relu(y)
    if op == "batch_norm_add_relu":
        y = F.relu(y + case.input("residual", shape))
    return case.finish(y)


def max_pool(name, x, kernel, stride, pad=0, bits=closed_formula.BITS):
    case = Case("max_pool", name, kernel=kernel, stride=stride, pad=pad)
    return case.finish(nhwc(F.max_pool2d(nchw(case.input("x", x, bits=bits)), kernel, stride, pad)))


def avg_pool(name, x, kernel, stride, pad=0):
    case = Case("avg_pool", name, kernel=kernel, stride=stride, pad=pad)
    return case.finish(nhwc(F.avg_pool2d(nchw(case.input("x", x)), kernel, stride, pad)))


def global_avg_pool(name, x):
    case = Case("global_avg_pool", name)
    return case.finish(case.input("x", x).mean((1, 2)))


def adaptive_avg_pool(name, x, height, width):
    case = Case("adaptive_avg_pool", name, height=height, width=width)
    return case.finish(nhwc(F.adaptive_avg_pool2d(nchw(case.input("x", x)), (height, width))))


def resize_nearest(name, x, height, width):
    case = Case("resize_nearest", name, height=height, width=width)
    return case.finish(nhwc(F.interpolate(nchw(case.input("x", x)), size=(height, width), mode="nearest")))


def conv2d_transposed(name, x, c, kernel, stride, pad):
    """w is K,R,S,C of the convolution whose transpose this is: K the channels of x."""
    case = Case("conv2d_transposed", name, stride=stride, pad=pad)
    image, w = case.input("x", x), case.input("w", [x[3], kernel, kernel, c], scale=0.5)
    y = F.conv_transpose2d(nchw(image), w.permute(0, 3, 1, 2), case.input("b", [c]), stride, pad)
    return case.finish(nhwc(y))


def normalize_rows(name, n, d, least):
    case = Case("normalize_rows", name, least=least)
    return case.finish(F.normalize(case.input("x", [n, d]), dim=1, eps=least))


def smooth_l1(name, n, c):
    case = Case("smooth_l1", name)
    x = case.input("x", [n, c], scale=4.0)
    return case.finish(F.smooth_l1_loss(x, torch.zeros_like(x), reduction="none"))


def rows(op, name, n, c, scale):
    case = Case(op, name)
    return case.finish(getattr(F, op)(case.input("x", [n, c], scale=scale), dim=1))


def relu(name, x):
    case = Case("relu", name)  # 3 bits: exact zeros among the inputs, whose gradient is 0
    return case.finish(F.relu(case.input("x", x, bits=3)))


def cross_entropy(name, n, c, scale):
    labels = [(5 * i + 2) % c for i in range(n)]
    case = Case("cross_entropy", name, labels=labels)
    loss = F.cross_entropy(case.input("x", [n, c], scale=scale), torch.tensor(labels))
    case.output("loss", loss.reshape(1))
    return case.backward(loss)


def sgd(name, count, rates, momentum, weight_decay):
    """One gradient a step, "g0", "g1", ...; outputs "w" and "buf" after every step."""
    case = Case("sgd", name, lr=rates, momentum=momentum, weight_decay=weight_decay)
    w = case.input("w", [count])
    optimizer = torch.optim.SGD([w], lr=0.0, momentum=momentum, weight_decay=weight_decay)
    for step, lr in enumerate(rates):
        optimizer.param_groups[0]["lr"] = lr
        w.grad = case.input(f"g{step}", [count], leaf=False)
        optimizer.step()
        case.output(f"w{step}", w)
        if momentum:
            case.output(f"buf{step}", optimizer.state[w]["momentum_buffer"])
    return case.data


def make_cases():
    return [
        conv2d("conv 3x3", [2, 5, 6, 3], 4, 3, pad=1),
        conv2d("conv 3x3 stride 2", [2, 6, 6, 3], 4, 3, stride=2, pad=1),
        conv2d("conv 3x3 stride 2 odd", [1, 7, 5, 4], 3, 3, stride=2, pad=1),
        conv2d("conv 3x3 no pad bias", [2, 5, 5, 3], 5, 3, bias=True),
        conv2d("conv 1x1", [3, 4, 4, 6], 5, 1),
        conv2d("conv 1x1 stride 2", [2, 5, 6, 4], 8, 1, stride=2),
        conv2d("conv 1x1 stride 2 bias", [2, 4, 4, 3], 2, 1, stride=2, bias=True),
        conv2d("conv 3x3 groups 3", [2, 4, 5, 6], 9, 3, pad=1, groups=3),
        conv2d("conv 1x1 groups 3", [2, 4, 4, 12], 6, 1, groups=3),
        conv2d("conv depthwise", [2, 5, 5, 7], 7, 3, pad=1, groups=7),
        conv2d("conv depthwise stride 2", [2, 6, 5, 8], 8, 3, stride=2, pad=1, groups=8),
        conv2d("conv 5x5 pad 2", [1, 6, 6, 2], 3, 5, pad=2),
        conv2d("conv 7x7 stride 2 pad 3", [1, 11, 11, 3], 4, 7, stride=2, pad=3),
        conv2d("conv of the cifar stem", [2, 32, 32, 3], 16, 3, pad=1),
        conv2d("conv 16 to 32", [2, 16, 16, 16], 32, 3, stride=2, pad=1),
        conv2d("conv 64 to 64", [2, 8, 8, 64], 64, 3, pad=1),
        conv2d("conv 17 to 33", [3, 9, 7, 17], 33, 3, pad=1),
        linear("linear", 5, 7, 4),
        linear("linear without bias", 3, 16, 10, bias=False),
        linear("linear of cifar", 4, 64, 100),
        batch_norm("batch norm", [4, 3, 3, 5], True),
        batch_norm("batch norm of three values", [3, 1, 1, 3], True),
        batch_norm("batch norm 33", [3, 7, 5, 33], True),
        batch_norm("batch norm eval", [2, 3, 3, 5], False),
        batch_norm("batch norm relu", [4, 3, 3, 6], True, op="batch_norm_relu"),
        batch_norm("batch norm add relu", [4, 3, 3, 6], True, op="batch_norm_add_relu"),
        batch_norm("batch norm add relu eval", [2, 4, 3, 6], False, op="batch_norm_add_relu"),
        max_pool("max pool 2", [2, 6, 4, 3], 2, 2),
        max_pool("max pool 2 odd", [1, 5, 5, 2], 2, 2),
        max_pool("max pool 3 stride 2 pad 1", [2, 7, 6, 3], 3, 2, 1),
        max_pool("max pool ties", [1, 6, 6, 2], 3, 2, 1, bits=2),
        avg_pool("avg pool 2", [2, 4, 6, 3], 2, 2),
        avg_pool("avg pool 3 stride 2 pad 1", [2, 6, 7, 3], 3, 2, 1),
        global_avg_pool("global avg pool", [3, 4, 5, 6]),
        adaptive_avg_pool("adaptive avg pool 7 to 4", [2, 7, 7, 3], 4, 4),
        adaptive_avg_pool("adaptive avg pool 8x6 to 2x4", [2, 8, 6, 5], 2, 4),
        resize_nearest("nearest resize 4x3 to 8x6", [2, 4, 3, 5], 8, 6),
        resize_nearest("nearest resize 7x5 to 3x4", [2, 7, 5, 3], 3, 4),
        resize_nearest("nearest resize 3x2 to 7x5", [2, 3, 2, 4], 7, 5),
        conv2d_transposed("transposed conv 4x4 stride 2", [2, 3, 4, 5], 6, 4, 2, 1),
        conv2d_transposed("transposed conv 3x3", [2, 4, 3, 7], 2, 3, 1, 1),
        normalize_rows("normalised rows", 4, 7, 1e-12),
        normalize_rows("normalised rows of at least 2", 4, 7, 2.0),
        smooth_l1("smooth l1", 3, 9),
        relu("relu", [2, 3, 4, 5]),
        rows("softmax", "softmax", 3, 7, 4.0),
        rows("softmax", "softmax wide", 2, 100, 128.0),
        rows("log_softmax", "log softmax", 3, 7, 4.0),
        rows("log_softmax", "log softmax wide", 2, 100, 128.0),
        cross_entropy("cross entropy", 4, 7, 4.0),
        cross_entropy("cross entropy wide", 3, 100, 128.0),
        sgd("sgd", 8, [0.5, 0.25, 0.0625, 0.0625], 0.0, 0.0),
        sgd("sgd momentum", 8, [0.5, 0.25, 0.0625, 0.0625], 0.9, 0.0),
        sgd("sgd momentum decay", 37, [0.05, 0.05, 0.005, 0.005, 0.0005], 0.9, 5e-4),
    ]


def main():
    cases = make_cases()
    content = {
        "made_by": "tests/data/ops.py",
        "torch": torch.__version__,
        "closed_formula": {
            "name": "layer1.0.conv1.weight",
            "values": closed_formula.uniform("layer1.0.conv1.weight", 6).tolist(),
        },
        "cases": cases,
    }
    path = os.path.join(HERE, "ops.json")
    closed_formula.write_json(path, content, "cases")
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
