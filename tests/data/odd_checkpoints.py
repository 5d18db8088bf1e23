"""Writes checkpoints of a network in the ways in which people save them.

Run: python3 tests/data/odd_checkpoints.py DIR    writes DIR/NAME.pth, and DIR/list.txt: a line "NAME VERDICT" for each

VERDICT: same     the program takes the network's weights
         averaged it takes the averaged weights, which are the network's plus 1 in the last layer's bias
         refused  it does not, with exit code 3
The network is a resnet8 of 24 classes.
"""

import argparse
import collections
import copy
import datetime
import enum
import pathlib
import pickle
import random
import sys

import numpy as np
import torch
from torch import nn

WIDTHS = [16, 16, 32, 64]


class Block(nn.Module):
    def __init__(self, inner, outer, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i in range(3):
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(WIDTHS[i], WIDTHS[i + 1], 1 if i == 0 else 2)))
        self.fc = nn.Linear(64, 24)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for i in range(3):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean((2, 3)))


class Marked(torch.Tensor):
    pass


class MyDict(collections.OrderedDict):
    pass


class Colour(enum.Enum):
    red = 1


class Settings:
    def __init__(self):
        self.lr = 0.1
        self.names = ["a", None]


def main(folder):
    torch.manual_seed(1)
    random.seed(1)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    net(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    plain = net.state_dict()
    averaged = collections.OrderedDict((k, v.clone()) for k, v in plain.items())
    averaged["fc.bias"] += 1
    verdicts = []

    def save(name, content, verdict="same", **options):
        torch.save(content, folder / f"{name}.pth", **options)
        verdicts.append(f"{name} {verdict}")

    def prefixed(prefix, state=plain):
        return collections.OrderedDict((prefix + k, v) for k, v in state.items())

    def mapped(f):
        return collections.OrderedDict((k, f(k, v)) for k, v in plain.items())

    def beside(**more):
        return {"state_dict": plain, **more}

    # Wrappers.
    parallel = nn.DataParallel(copy.deepcopy(net))
    save("data-parallel", parallel.state_dict())
    save("compiled", torch.compile(copy.deepcopy(net)).state_dict())
    part = copy.deepcopy(net)
    part.layer2 = torch.compile(part.layer2)
    save("compiled-part", part.state_dict())
    save("compiled-parallel", {"model": prefixed("_orig_mod.module.")})
    swa = torch.optim.swa_utils.AveragedModel(copy.deepcopy(net))
    swa.update_parameters(net)
    save("swa-averaged-model", swa.state_dict())
    save("swa-beside", {"state_dict": plain, "swa_state_dict": prefixed("module.", averaged)}, "averaged")
    save("lightning", {"epoch": 3, "global_step": 100, "pytorch-lightning_version": "2.1.0",
                       "state_dict": prefixed("model."), "loops": {}, "callbacks": {"ModelCheckpoint{}": {"best": 1.0}},
                       "optimizer_states": [torch.optim.SGD(net.parameters(), 0.1).state_dict()], "lr_schedulers": [],
                       "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.1}})
    criterion = {"criterion.weight": torch.ones(24)}
    save("lightning-criterion", {"state_dict": {**prefixed("model."), **criterion}})
    save("fsdp", prefixed("_fsdp_wrapped_module."))
    save("fabric", prefixed("_forward_module.module."))
    save("student-teacher", {"model": {**prefixed("module.student."), **prefixed("module.teacher.", averaged)}})
    save("only-a-teacher", {"teacher": plain})
    # Averages.
    save("timm-ema", {"arch": "resnet8", "state_dict": plain, "state_dict_ema": averaged, "epoch": 3}, "averaged")
    save("ema-names", {"state_dict": {**prefixed("model."), **prefixed("ema_model.module.", averaged)}}, "averaged")
    shadow = {k: v + 1 for k, v in net.named_parameters()}
    save("ema-shadow-of-parameters", beside(ema={"decay": 0.999, "shadow": shadow}))
    save("ema-list", beside(ema={"decay": 0.999, "shadow_params": [v + 1 for v in net.parameters()]}))
    # Beside the weights.
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    save("optimizer-state", beside(optimizer=optimizer.state_dict(), scheduler=scheduler.state_dict()))
    save("optimizer-object", beside(optimizer=optimizer))
    save("scheduler-object", beside(scheduler=scheduler))
    save("namespace", beside(args=argparse.Namespace(lr=0.1, out=pathlib.Path("/tmp/x"), device=torch.device("cuda:0"))))
    save("settings-object", beside(cfg=Settings(), colour=Colour.red))
    save("numpy-scalars", beside(best=np.float64(0.5), top=np.float32(1.5), seed=np.int64(3), flag=np.bool_(True)))
    save("numpy-beside", beside(confusion=np.zeros((3, 3)), names=np.array(["a", "b"], dtype=object)))
    save("random-states", beside(rng=torch.get_rng_state(), py=random.getstate(), np=np.random.get_state()))
    save("version", beside(torch=torch.__version__, when=datetime.datetime(2024, 1, 2), delta=datetime.timedelta(1)))
    save("sets-and-bytes", beside(s={1, 2}, f=frozenset([1]), b=b"bytes", c=1 + 2j, a=bytearray(b"xy"), r=range(3)))
    save("loss-function", beside(criterion=nn.CrossEntropyLoss(weight=torch.ones(24)), dtype=torch.float16))
    save("scaler", beside(scaler={"scale": 65536.0, "_growth_tracker": 3}, ema=None))
    save("default-dict", beside(log=collections.defaultdict(list, loss=[1.0]), seen=collections.Counter("aab")))
    save("dataset-object", beside(data=torch.utils.data.TensorDataset(torch.zeros(3, 2))))
    # Tensors of all sorts.
    save("parameters", mapped(lambda k, v: nn.Parameter(v, requires_grad=False) if v.is_floating_point() else v))
    tagged = nn.Parameter(plain["fc.bias"].clone())
    tagged.tag = "head"
    save("parameter-with-attribute", {**plain, "fc.bias": tagged})
    save("tensor-subclass", mapped(lambda k, v: v.as_subclass(Marked) if v.is_floating_point() else v))
    save("f64", mapped(lambda k, v: v.double()))
    save("views-with-strides", mapped(lambda k, v: v.transpose(0, -1).contiguous().transpose(0, -1) if v.dim() > 1 else v))
    save("channels-last", mapped(lambda k, v: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v))
    flat = torch.cat([v.float().flatten() for v in plain.values()])
    at, shared = 0, collections.OrderedDict()
    for k, v in plain.items():
        shared[k] = flat[at : at + v.numel()].view(v.shape)
        at += v.numel()
    save("shared-storage", shared)
    extras = {"i8": torch.int8, "i16": torch.int16, "u16": torch.uint16, "u32": torch.uint32, "c64": torch.complex64,
              "b": torch.bool, "f8": torch.float8_e4m3fn}
    save("extras-of-all-types", {**plain, **{f"extra.{k}": torch.zeros(1).to(t) for k, t in extras.items()}})
    for k in ("i16", "u16", "c64", "f8"):
        save(f"table-{k}", {**plain, "extra.table": torch.zeros(5).to(extras[k])})
    save("quantized-extra", {**plain, "q": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)})
    save("sparse-extra", {**plain, "mask": torch.eye(3).to_sparse()})
    save("extra-state", {**plain, "bn1._extra_state": {"a": 1}, "fc._extra_state": None})
    save("wanted-i16", mapped(lambda k, v: v.to(torch.int16) if k == "fc.bias" else v), "refused")
    save("wanted-sparse", mapped(lambda k, v: v.to_sparse() if k == "fc.weight" else v), "refused")
    save("wanted-numpy", mapped(lambda k, v: v.numpy()), "refused")
    save("negative-variance", mapped(lambda k, v: v - 2 if k == "bn1.running_var" else v), "refused")
    save("nan", mapped(lambda k, v: v * float("nan") if k == "layer2.0.conv2.weight" else v), "refused")
    save("f64-too-large", mapped(lambda k, v: v.double() * 1e60 if k == "conv1.weight" else v), "refused")
    save("fold-overflows", mapped(lambda k, v: v * 0 + 1e36 if k in ("conv1.weight", "bn1.weight") else v), "refused")
    # Containers.
    save("stream", plain, _use_new_zipfile_serialization=False)
    for protocol in (1, 2, 3, 4, 5):
        save(f"zip-protocol-{protocol}", {"model": plain}, pickle_protocol=protocol)
        save(f"stream-protocol-{protocol}", {"model": plain}, pickle_protocol=protocol,
             _use_new_zipfile_serialization=False)
    save("ordered-dict-subclass", MyDict(plain))
    save("plain-dict", dict(plain))
    save("whole-module", net)
    save("whole-module-parallel", {"net": nn.DataParallel(copy.deepcopy(net)), "epoch": 3})
    save("whole-module-stream", net, _use_new_zipfile_serialization=False)
    save("nested", {"checkpoint": {"model": {"state_dict": plain}}})
    with open(folder / "pickled.pth", "wb") as out:
        pickle.dump({k: v.numpy() for k, v in plain.items()}, out)
    verdicts.append("pickled refused")
    torch.jit.trace(net, torch.zeros(1, 3, 8, 8)).save(str(folder / "torchscript.pth"))
    verdicts.append("torchscript refused")
    (folder / "list.txt").write_text("\n".join(verdicts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
