"""What torchvision's networks say of photos, for a test of `retort predict`.

Run: python3 tests/data/torchvision_logits.py has-torchvision       fails without torchvision
     python3 tests/data/torchvision_logits.py NAME DIR PHOTO...     writes DIR/NAME.pth, as torchvision's own files are: a
                                                                    state dict with random weights; and DIR/NAME.npy, the
                                                                    logits [photos, 1000] of the photos, resized to 256,
                                                                    cut to 224, normalised as ImageNet's are
NAME: resnet18, resnet34, resnet50 or resnet101.
"""

import os
import sys

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision import transforms


def network(name):
    torch.manual_seed(7)
    model = getattr(torchvision.models, name)(weights=None)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as if it were trained
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.2)
                module.bias.uniform_(-0.2, 0.2)
    return model.eval()


def main(name, folder, photos):
    model = network(name)
    torch.save(model.state_dict(), os.path.join(folder, f"{name}.pth"))
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    seen = transforms.Compose([*steps, transforms.Normalize(mean, deviation)])
    with torch.no_grad():
        logits = [model(seen(Image.open(photo).convert("RGB"))[None])[0] for photo in photos]
    np.save(os.path.join(folder, f"{name}.npy"), torch.stack(logits).numpy())


if __name__ == "__main__":
    torch.set_num_threads(2)
    if sys.argv[1] != "has-torchvision":
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
