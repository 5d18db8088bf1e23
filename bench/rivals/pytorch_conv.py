"""The convolutions of conv_bench.cpp in PyTorch (channels_last), for comparison: the least of many times in ms.

    python bench/rivals/pytorch_conv.py [--threads 1 2]
"""
import argparse
import time

import torch

BATCH = 64
# name, size, channels, outputs, kernel, stride, groups
LAYERS = [
    ("stem_3_16", 32, 3, 16, 3, 1, 1), ("stem_3_32", 32, 3, 32, 3, 1, 1),
    ("resnet20_16", 32, 16, 16, 3, 1, 1), ("resnet20_16_32_s2", 32, 16, 32, 3, 2, 1),
    ("resnet20_32", 16, 32, 32, 3, 1, 1), ("resnet20_32_64_s2", 16, 32, 64, 3, 2, 1),
    ("resnet20_64", 8, 64, 64, 3, 1, 1), ("down_16_32", 32, 16, 32, 1, 2, 1),
    ("down_32_64", 16, 32, 64, 1, 2, 1), ("resnet8x4_64", 32, 64, 64, 3, 1, 1),
    ("resnet8x4_64_128_s2", 32, 64, 128, 3, 2, 1), ("resnet8x4_128", 16, 128, 128, 3, 1, 1),
    ("resnet8x4_128_256_s2", 16, 128, 256, 3, 2, 1), ("resnet8x4_256", 8, 256, 256, 3, 1, 1),
    ("down_128_256", 16, 128, 256, 1, 2, 1), ("wide_1x1_256_64", 8, 256, 64, 1, 1, 1),
    ("depthwise_64", 16, 64, 64, 3, 1, 64),
]


def least_ms(call, seconds=0.2, calls=8):
    best, start, done = float("inf"), time.perf_counter(), 0
    while done < calls or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
        done += 1
    return 1e3 * best


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=0.2, help="least time spent on each number")
    args = parser.parse_args()
    print(f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, oneDNN: "
          f"{torch.backends.mkldnn.is_available()}")
    print(f"{'shape':24}" + "".join(f"{p + f', {t} thr.':>26}" for t in args.threads
                                    for p in ("forward", "input_gradient", "weight_gradient")))
    for name, size, channels, outputs, kernel, stride, groups in LAYERS:
        pad = kernel // 2
        x = (torch.rand(BATCH, channels, size, size) - 0.5).to(memory_format=torch.channels_last)
        w = torch.rand(outputs, channels // groups, kernel, kernel) - 0.5
        w = w.to(memory_format=torch.channels_last)

        def forward():
            return torch.nn.functional.conv2d(x, w, stride=stride, padding=pad, groups=groups)

        dy = forward()

        def backward(mask):
            return torch.ops.aten.convolution_backward(
                dy, x, w, None, [stride, stride], [pad, pad], [1, 1], False, [0, 0], groups, mask)

        line = f"{name:24}"
        with torch.no_grad():
            for threads in args.threads:
                torch.set_num_threads(threads)
                for call in (forward, lambda: backward([True, False, False]),
                             lambda: backward([False, True, False])):
                    line += f"{least_ms(call, args.seconds):26.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
