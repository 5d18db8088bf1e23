"""Writes PyTorch checkpoints, for tests of their reader.

Run: python3 tests/data/pytorch_files.py odd            writes pytorch/odd_*.pt and pytorch/command_*.pt here
     python3 tests/data/pytorch_files.py zoo DIR NAME...  writes DIR/NAME.{zip,stream}.pt, weights by the rule of
                                                          models.py
     python3 tests/data/pytorch_files.py has-torch      fails without PyTorch

*_zip.pt are of torch.save, *_stream.pt of the container before 1.6. The odd ones hold, under model, each kind of
tensor that a state dict may: tensor NAME has the values 0, 1, 2, ... in row-major order, or what its name says.
The command ones would make a file in the working folder if they were loaded as Python loads pickles.
"""

import argparse
import collections
import os
import sys

import torch

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def count_up(*shape, dtype=torch.float32):
    return torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape).to(dtype)


def odd_state():
    whole = count_up(24)
    state = collections.OrderedDict()
    state["module.f32"] = count_up(2, 3)
    state["module.f64"] = count_up(2, 3, dtype=torch.float64)
    state["module.f16"] = count_up(2, 3, dtype=torch.float16)
    state["module.bf16"] = count_up(2, 3, dtype=torch.bfloat16)
    state["module.u8"] = count_up(5, dtype=torch.uint8)
    state["module.bn.num_batches_tracked"] = torch.tensor(7)
    state["module.scalar"] = torch.tensor(0.0)
    state["module.empty"] = torch.zeros(0, 3)
    state["module.parameter"] = torch.nn.Parameter(count_up(4))
    state["module.transposed"] = count_up(4, 3).t().contiguous().t()
    state["module.channels_last"] = count_up(2, 3, 4, 5).to(memory_format=torch.channels_last)
    state["module.twelve_and_up"] = whole[12:]
    state["module.every_second"] = whole[::2]
    state["module.expanded_zeros"] = torch.zeros(1, 1).expand(3, 4)
    state["module.whole"] = whole.reshape(2, 3, 4)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def odd_checkpoint():
    momentum = {0: {"momentum_buffer": torch.ones(3), "step": torch.tensor(5.0)}}
    return {
        "epoch": 3,
        "big": 1 << 100,
        "best_acc": torch.tensor(70.5),
        "best": np.float64(0.5),
        "array": np.arange(3),
        "args": argparse.Namespace(lr=0.1, names=["a", None], size=torch.Size([1, 2]), device=torch.device("cpu")),
        "seen": {1, 2, 3},
        "loss": [0.5, 0.25],
        "optimizer": {"state": momentum, "param_groups": [{"params": [0]}]},
        "model": odd_state(),
    }


class Command:
    def __reduce__(self):
        return os.system, ("touch executed",)


def save_both(content, stem, ending):
    torch.save(content, f"{stem}{ending.format('zip')}")
    torch.save(content, f"{stem}{ending.format('stream')}", _use_new_zipfile_serialization=False)


def save_odd():
    folder = os.path.join(HERE, "pytorch")
    os.makedirs(folder, exist_ok=True)
    # As if every tensor were on a GPU; where it was is a tag in the file.
    torch.serialization.location_tag = lambda storage: "cuda:0"
    save_both(odd_checkpoint(), os.path.join(folder, "odd"), "_{}.pt")
    save_both({"model": {"w": torch.zeros(2)}, "x": Command()}, os.path.join(folder, "command"), "_{}.pt")


def save_zoo(folder, names):
    import models
    import reference_models

    for name in names:
        model = reference_models.MODELS[name]()
        models.fill(model)
        state = {f"module.{key}": value for key, value in model.state_dict().items()}
        save_both({"model": state, "epoch": 240, "best_acc": 70.0}, os.path.join(folder, name), ".{}.pt")


if __name__ == "__main__":
    if sys.argv[1] == "odd":
        save_odd()
    elif sys.argv[1] == "zoo":
        save_zoo(sys.argv[2], sys.argv[3:])
