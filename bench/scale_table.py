"""What a data-parallel run may cost on many GPUs, computed from a few constants. Nothing in it is measured here: an estimate.

Run: python3 bench/scale_table.py                                 the table, as Markdown
     python3 bench/scale_table.py --images-per-second 5200 --node-gb 280      with constants that were measured
     python3 bench/scale_table.py --check engine/distributed/README.md        fails if the table there is another one
     python3 bench/scale_table.py --write engine/distributed/README.md        writes it there

The model. A GPU computes n images in n / rate, but never in less than what launching a step's kernels takes. A sum over W GPUs
sends 2 (W - 1) / W of the gradients' bytes over the slowest link, in two collectives; above one node in two levels: within the
nodes, and across them what one GPU then holds. It stands behind backward, or is hidden by it but for the last
range of gradients, once backward is over. Epochs are those of ImageNet without evaluation; loaders keep up.
"""

import argparse
import re
import sys

BEGIN, END = "<!-- scale -->", "<!-- end of scale -->"
CASES = [(1, 512), (8, 64), (64, 8), (512, 1), (64, 64), (512, 64)]  # GPUs, images on each


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--images-per-second", type=float, default=5500, help="of one GPU; ResNet-34 to ResNet-18 in bf16 on an H100")
    add("--launch-ms", type=float, default=1.0, help="the least time of a step, whatever it computes")
    add("--gradient-mb", type=float, default=47, help="ResNet-18's gradients in f32")
    add("--bucket-mb", type=float, default=8, help="a range of gradients that is summed at once")
    add("--node", type=int, default=8, help="GPUs of a node")
    add("--node-gb", type=float, default=300, help="GB/s of a GPU in its node (NVLink)")
    add("--across-gb", type=float, default=45, help="GB/s of a GPU across nodes (InfiniBand)")
    add("--node-us", type=float, default=25, help="latency of a collective in a node")
    add("--across-us", type=float, default=60, help="latency of a collective across nodes")
    add("--images", type=float, default=1281167, help="of an epoch")
    add("--epochs", type=int, default=100)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", metavar="FILE")
    what.add_argument("--write", metavar="FILE")
    return parser.parse_args()


def sum_ms(c, gpus, megabytes):
    """Of so many megabytes over so many GPUs."""
    if gpus == 1:
        return 0.0
    local = min(gpus, c.node)
    time = 2 * (local - 1) / local * megabytes / c.node_gb + 2 * c.node_us / 1000
    nodes = gpus // local
    if nodes > 1:
        time += 2 * (nodes - 1) / nodes * megabytes / local / c.across_gb + 2 * c.across_us / 1000
    return time


def compute_ms(c, images):
    return max(1000 * images / c.images_per_second, c.launch_ms)


def duration(hours):
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def remark(gpus, images):
    if gpus == 1:
        return "the recipe"
    if images == 1:
        return "no: batch norm of one image"
    if gpus * images == 512:
        return "the recipe" if images >= 32 else f"with batch norm of {images} images"
    return f"another recipe: batch {gpus * images:,}"


def table(c):
    rows = ["| GPUs | images each | compute ms | sum ms | step ms, sum behind backward | step ms, sum hidden | "
            f"{c.epochs} epochs | |",
            "|---:|---:|---:|---:|---:|---:|---:|---|"]
    for gpus, images in CASES:
        compute, whole = compute_ms(c, images), sum_ms(c, gpus, c.gradient_mb)
        last = min(whole, sum_ms(c, gpus, min(c.bucket_mb, c.gradient_mb)))
        hidden = max(compute + last, compute / 3 + whole)  # backward is two thirds of a step
        hours = c.epochs * c.images / (gpus * images) * (compute + whole) / 3.6e6
        rows.append(f"| {gpus} | {images} | {compute:.1f} | {whole:.2f} | {compute + whole:.1f} | {hidden:.1f} | "
                    f"{duration(hours)} | {remark(gpus, images)} |")
    return "\n".join(rows) + "\n"


def main():
    c = parse_arguments()
    made = table(c)
    if not c.check and not c.write:
        print(made, end="")
        return
    path = c.check or c.write
    with open(path, encoding="utf-8") as file:
        text = file.read()
    between = re.compile(re.escape(BEGIN + "\n") + "(.*?)" + re.escape(END), re.DOTALL)
    found = between.search(text)
    if not found:
        sys.exit(f"{path}: expected a table between {BEGIN} and {END}")
    if c.write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[: found.start(1)] + made + text[found.end(1) :])
    elif found.group(1) != made:
        sys.exit(f"{path}: the estimated table is not what bench/scale_table.py computes; run it with --write {path}")


if __name__ == "__main__":
    main()
