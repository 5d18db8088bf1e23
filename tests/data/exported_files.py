"""Holds exported files against the programs that read them.

Run: python3 tests/data/exported_files.py has-readers
     python3 tests/data/exported_files.py onnx FILE X.npy Y.npy
     python3 tests/data/exported_files.py safetensors FILE MODEL X.npy Y.npy

X: images, N,H,W,C; Y: the logits that they have to give, to 1e-4 of the largest. ONNX's checker is run with its
strictest settings, and onnxruntime with one image and with all. Needs numpy, onnx, onnxruntime, torch and
safetensors; has-readers fails without them.
"""

import sys

import numpy as np
import onnx
import onnxruntime
import safetensors.torch
import torch

import reference_models

TOLERANCE = 1e-4


def hold(found, expected, what):
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{what}: {len(found)} images, largest difference {difference:.2g} of the largest logit")
    assert difference <= TOLERANCE, what


def check_onnx(file, images, logits):
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert [d.dim_param or d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim][0] == "N"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2  # warnings
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    planar = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    hold(session.run(["logits"], {"images": planar[:1]})[0], logits[:1], "onnxruntime")
    hold(session.run(["logits"], {"images": planar})[0], logits, "onnxruntime")
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["classes"] == str(logits.shape[1]), properties


def check_safetensors(file, name, images, logits):
    model = reference_models.MODELS[name]().eval()
    model.load_state_dict(safetensors.torch.load_file(file))
    with torch.no_grad():
        found = model(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())["logits"].numpy()
    hold(found, logits, "PyTorch")


if __name__ == "__main__":
    if sys.argv[1] == "onnx":
        check_onnx(sys.argv[2], np.load(sys.argv[3]), np.load(sys.argv[4]))
    elif sys.argv[1] == "safetensors":
        check_safetensors(sys.argv[2], sys.argv[3], np.load(sys.argv[4]), np.load(sys.argv[5]))
