"""Numbers that any language can recompute exactly, so that reference files store no inputs.

    uniform(name, i) = 2 * floor(mix(fnv1a64(name) + i) / 2^(64 - bits)) / 2^bits - 1      in [-1, 1)
    value(name, i)   = shift + scale * uniform(name, i)

fnv1a64 is FNV-1a over the UTF-8 bytes of the name, mix the finaliser of splitmix64 after adding its
constant, all modulo 2^64 (both below). With 22 bits and scales that are powers of two every value is exact in
f32, so a f32 program and the f64 reference start from the same inputs. i is the flat row-major index of the
element.

tests/support/closed_formula.h is the same in C++.
"""

import json

import numpy as np
import torch

BITS = 22
PROBE = "probe"


def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def uniform(name, count, bits=BITS):
    """f64 array of count values in [-1, 1)."""
    with np.errstate(over="ignore"):
        x = np.uint64(fnv1a64(name)) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return 2.0 * (x >> np.uint64(64 - bits)).astype(np.float64) / 2.0**bits - 1.0


def tensor(name, shape, scale=1.0, shift=0.0, bits=BITS):
    """f64 tensor of the given shape, filled in row-major order."""
    count = int(np.prod(shape, dtype=np.int64))
    return torch.from_numpy(shift + scale * uniform(name, count, bits)).reshape(shape)


def summary(x, entries=3, full_below=0):
    """What a file keeps of a tensor: the whole of it when small, otherwise
    abs_sum = sum |x_i|, probe = sum x_i * uniform("probe", i), and a few [flat index, value] spread over it.
    The probe sees every element and its place; the entries are for the eye when it does not match."""
    flat = x.detach().to(torch.float64).contiguous().reshape(-1)
    if flat.numel() <= full_below:
        return {"values": flat.tolist()}
    probe = torch.from_numpy(uniform(PROBE, flat.numel()))
    out = {"abs_sum": flat.abs().sum().item(), "probe": (flat * probe).sum().item()}
    if entries:
        step = max(1, (flat.numel() - 1) // max(1, entries - 1))
        places = sorted({min(k * step, flat.numel() - 1) for k in range(entries)})
        out["entries"] = [[place, flat[place].item()] for place in places]
    return out


def rounded(x):
    """To 15 digits, more than any comparison here needs."""
    if isinstance(x, float):
        return float(f"{x:.15g}")
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [rounded(value) for value in x]
    return x


def write_json(path, content, list_key):
    """One case a line, so that a change of one case is one changed line."""
    content = rounded(content)
    head = {key: value for key, value in content.items() if key != list_key}
    with open(path, "w") as out:
        out.write("{\n")
        out.writelines(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
        out.write(f"{json.dumps(list_key)}: [\n")
        out.write(",\n".join(json.dumps(case, separators=(",", ":")) for case in content[list_key]))
        out.write("\n]}\n")
