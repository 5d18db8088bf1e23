"""Detection beside torchvision and pycocotools: same machine, same run, in turns.

Run: python3 bench/rivals/compare_detection.py                         (all sections, about 15 minutes)
     python3 bench/rivals/compare_detection.py --only steps --rounds 5 --seconds 10 --threads 2
     python3 bench/rivals/compare_detection.py --only coco --rounds 3
     python3 bench/rivals/compare_detection.py --results results.json

Sections: steps (a training step of rcnn_r18 at 320x320, two pictures, 512 boxes of each, beside torchvision's FasterRCNN over
resnet_fpn_backbone("resnet18") with three trainable stages; rcnn_small at 128x128, eight pictures, 64 boxes of each, beside the
same built of torchvision's parts) and coco (500,000 detections, 100 of each of 5,000 pictures, 80 classes: both files read,
scored, twelve numbers printed, by `retort coco-eval` and by pycocotools, whose numbers have to be equal).

Both programs choose from the same proposals: ours are written by retort_bench_detection, torchvision computes its own, anchors,
suppression and all, and is then given ours. PyTorch is ready before the first round: imported, the net built and warm; it runs
eager, in the faster of its two layouts of memory. Tables hold the median over rounds of each program's median step, the lowest and
highest round, the median of the rounds' ratios (above 1 this engine is faster), and the peak of a process' memory. How busy the
machine was before the first round is measured and printed. Build first:
cmake --build build/release --target retort_bench_detection retort_cli.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

CASES = {
    "rcnn_r18": {"side": 320, "batch": 2, "classes": 80},
    "rcnn_small": {"side": 128, "batch": 8, "classes": 24},
}
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- what the rivals run, as `this file --role ...`: a line on stdin asks, a line on stdout answers ---------------------------


def large_net(classes):
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=3)
    return FasterRCNN(backbone, num_classes=classes + 1, rpn_pre_nms_top_n_train=2000, rpn_post_nms_top_n_train=1000)


def small_net(classes):
    """rcnn_small: ResNet-18 of half the width with live norms, a pyramid of 64 channels on four levels."""
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.resnet import BasicBlock, ResNet
    from torchvision.ops import MultiScaleRoIAlign
    from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

    class Half(ResNet):
        def __init__(self):
            super().__init__(BasicBlock, [2, 2, 2, 2])
            self.inplanes = 32
            self.conv1 = torch.nn.Conv2d(3, 32, 7, 2, 3, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(32)
            self.layer1, self.layer2 = self._make_layer(BasicBlock, 32, 2), self._make_layer(BasicBlock, 64, 2, 2)
            self.layer3, self.layer4 = self._make_layer(BasicBlock, 128, 2, 2), self._make_layer(BasicBlock, 256, 2, 2)

    class NoMore(ExtraFPNBlock):  # levels above p5
        def forward(self, results, x, names):
            return results, names

    layers = {f"layer{i + 1}": str(i) for i in range(4)}
    backbone = BackboneWithFPN(Half(), layers, [32, 64, 128, 256], 64, extra_blocks=NoMore())
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 0, canonical_scale=56)
    return FasterRCNN(
        backbone, rpn_anchor_generator=AnchorGenerator(((16,), (32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 4), box_roi_pool=pool,
        box_head=TwoMLPHead(64 * 49, 256), box_predictor=FastRCNNPredictor(256, classes + 1), rpn_pre_nms_top_n_train=512,
        rpn_post_nms_top_n_train=256, rpn_batch_size_per_image=64, box_batch_size_per_image=64)


def as_they_are():
    """In the place of the transform that normalises and resizes: ours gets its pictures ready, too."""
    import torch
    from torchvision.models.detection.image_list import ImageList

    class AsTheyAre(torch.nn.Module):
        def forward(self, images, targets=None):
            return ImageList(images, [tuple(i.shape[-2:]) for i in images]), targets

        def postprocess(self, result, sizes, original_sizes):
            return result

    return AsTheyAre()


class Steps:
    def __init__(self, options):
        import torch
        import torchvision

        torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        self.torch, case = torch, CASES[options.model]
        self.net = (large_net if options.model == "rcnn_r18" else small_net)(case["classes"]).train()
        with open(options.boxes) as file:
            images = json.load(file)
        self.targets = [{"boxes": torch.tensor(i["boxes"]), "labels": torch.tensor(i["classes"]) + 1} for i in images]
        given = [torch.tensor(i["proposals"]) for i in images]
        own = self.net.rpn.filter_proposals

        def filter_proposals(*arguments):
            _, scores = own(*arguments)
            return given, scores

        self.net.rpn.filter_proposals = filter_proposals
        self.net.transform = as_they_are()
        self.pictures = torch.randn(case["batch"], 3, case["side"], case["side"])
        learned = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(learned, lr=0.0, momentum=0.9, weight_decay=1e-4, fused=True)
        self.about = {"version": f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}"}

    def prepare(self, variant):
        layout = self.torch.channels_last if variant == "channels last" else self.torch.contiguous_format
        self.net.to(memory_format=layout)
        self.images = self.pictures.contiguous(memory_format=layout)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        images, targets = self.images, [dict(t) for t in self.targets]
        sum(self.net(images, targets).values()).backward()
        self.optimizer.step()

    def answer(self, request):
        medians, cpu = {}, {}
        for variant in request["variants"]:
            self.prepare(variant)
            for _ in range(2):
                self.step()
            times, start, used = [], time.perf_counter(), time.process_time()
            while len(times) < 3 or time.perf_counter() - start < request["seconds"]:
                before = time.perf_counter()
                self.step()
                times.append(1e3 * (time.perf_counter() - before))
            medians[variant] = statistics.median(times)
            cpu[variant] = 1e3 * (time.process_time() - used) / len(times)
        best = min(medians, key=medians.get)
        return {"variant": best, "median_ms": medians[best], "cpu_ms": cpu[best], "peak_kib": peak_kib()}


class Coco:
    def __init__(self, options):
        import pycocotools
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        self.files, self.classes = (options.annotations, options.detections), (COCO, COCOeval)
        self.about = {"version": f"pycocotools {getattr(pycocotools, '__version__', '')}".strip()}

    def answer(self, request):
        COCO, COCOeval = self.classes
        start, used = time.perf_counter(), time.process_time()
        truth = COCO(self.files[0])
        evaluation = COCOeval(truth, truth.loadRes(self.files[1]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        seconds, cpu = time.perf_counter() - start, time.process_time() - used
        return {"variant": "", "median_ms": 1e3 * seconds, "cpu_ms": 1e3 * cpu, "peak_kib": peak_kib(),
                "numbers": dict(zip(NAMES, evaluation.stats.tolist()))}


def serve(options):
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    worker = (Steps if options.role == "steps" else Coco)(options)
    if options.role == "steps":
        worker.answer({"variants": ["rows"], "seconds": 0})
    print(json.dumps(worker.about), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


# --- the comparison ----------------------------------------------------------------------------------------------------------


def write_coco(folder, images=5000, classes=80, each=100):
    """Truth about as COCO's: seven objects a picture, one in fifty a crowd; 100 detections of each picture, half of them near one."""
    import random

    random.seed(20)
    annotations, results = [], []
    for image in range(1, images + 1):
        own = []
        for _ in range(random.randint(1, 13)):
            wide, high = (round(random.uniform(4, 60) ** 1.35, 2) for _ in "wh")
            box = [round(random.uniform(0, 640 - min(wide, 639)), 2), round(random.uniform(0, 480 - min(high, 479)), 2), wide, high]
            own.append((box, random.randint(1, classes)))
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": own[-1][1], "bbox": box,
                                "area": round(wide * high * random.uniform(0.4, 1), 2), "iscrowd": int(random.random() < 0.02)})
        for k in range(each):
            (x, y, wide, high), category = random.choice(own)
            if k % 2:
                category = random.randint(1, classes)
            near = [x + random.gauss(0, 0.1) * wide, y + random.gauss(0, 0.1) * high, wide * random.uniform(0.8, 1.25),
                    high * random.uniform(0.8, 1.25)]
            results.append({"image_id": image, "category_id": category, "bbox": [round(v, 3) for v in near],
                            "score": round(random.random(), 4)})
    truth = {"images": [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, images + 1)],
             "annotations": annotations, "categories": [{"id": c, "name": f"class {c}"} for c in range(1, classes + 1)]}
    files = [os.path.join(folder, name) for name in ("annotations.json", "detections.json")]
    for file, content in zip(files, (truth, results)):
        with open(file, "w") as out:
            json.dump(content, out)
    return files, len(annotations), len(results)


class Rival:
    def __init__(self, options, role, *arguments):
        command = [options.python, os.path.abspath(__file__), "--role", role, *arguments]
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"}  # idle threads leave us the processors
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.version = self.read()["version"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare_detection: the rival ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ended(command):
    """What it printed, seconds, CPU seconds and peak memory."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        sys.exit(f"compare_detection: {' '.join(command)} ended with {process.returncode}")
    return text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def in_turns(key, rounds, ours, theirs):
    row = {"ours": [], "theirs": []}
    for i in range(rounds):
        for who, program in (("ours", ours), ("theirs", theirs))[:: 1 if i % 2 == 0 else -1]:
            row[who].append(program())
            print(f"{key}  round {i + 1}  {who} {row[who][-1]['median_ms']:.1f} ms", file=sys.stderr)
    row["ratios"] = [t["median_ms"] / o["median_ms"] for o, t in zip(row["ours"], row["theirs"])]
    row["cpu_ratios"] = [t["cpu_ms"] / o["cpu_ms"] for o, t in zip(row["ours"], row["theirs"])]
    return row


def steps(options, work):
    rows = {}
    for model in options.models:
        case, boxes = CASES[model], os.path.join(work, model + ".json")
        command = [options.step, "--model", model, "--device", options.device, "--threads", str(options.threads)]
        for key, value in case.items():
            command += [f"--{key}", str(value)]
        ended([*command, "--seconds", "0", "--boxes", boxes])
        rival = Rival(options, "steps", "--model", model, "--boxes", boxes, "--threads", str(options.threads))
        variants = [rival.ask(variants=["rows", "channels last"], seconds=0)["variant"]]
        name = f"{model}, {case['side']}x{case['side']}, batch {case['batch']}"
        rows[name] = in_turns(name, options.rounds,
                              lambda c=command: json.loads(ended([*c, "--seconds", str(options.seconds)])[0]),
                              lambda r=rival, v=variants: r.ask(variants=v, seconds=options.seconds))
        rows[name] |= {"rival": f"{rival.version}, {variants[0]}"}
        rival.close()
    return rows


def coco(options, work):
    files, truth, found = write_coco(work)
    rival = Rival(options, "coco", "--annotations", files[0], "--detections", files[1])
    numbers = {}

    def ours():
        text, seconds, cpu, peak = ended([options.program, "coco-eval", *files, "--json"])
        numbers["ours"] = json.loads(text)
        return {"median_ms": 1e3 * seconds, "cpu_ms": 1e3 * cpu, "peak_kib": peak}

    def theirs():
        answer = rival.ask()
        numbers["theirs"] = answer.pop("numbers")
        return answer

    name = f"coco-eval, {found:,} detections, {truth:,} objects"
    row = in_turns(name, options.rounds, ours, theirs) | {"rival": rival.version}
    rival.close()
    for key, value in numbers["theirs"].items():
        if abs(value - numbers["ours"][key]) > 1e-12:
            sys.exit(f"compare_detection: {key} is {numbers['ours'][key]!r}, pycocotools says {value!r}")
    return {name: row}


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def tables(rows, options, busy):
    from compare_pytorch import cpu_name, ratio

    state = "" if busy is None else f"; the machine was {100 * busy:.0f} % busy before the first round"
    print(f"{cpu_name()}, device {options.device}, {options.threads} threads; {options.rounds} rounds in turns; median "
          f"(lowest-highest round){state}\n")
    print("| | retort ms | rival ms | rival / retort | of CPU time | peak MB | | \n|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        ours, theirs = ([r["median_ms"] for r in row[who]] for who in ("ours", "theirs"))
        peaks = [max(r["peak_kib"] for r in row[who]) * 1.024e-3 for who in ("ours", "theirs")]
        print(f"| {name} | {spread(ours)} | {spread(theirs)} | {ratio(row['ratios'])} | {ratio(row['cpu_ratios'])} | "
              f"{peaks[0]:.0f}, rival {peaks[1]:.0f} | {row['rival']} |")


def main():
    parser = argparse.ArgumentParser(description="Detection beside torchvision and pycocotools")
    listed = lambda text: [word for word in text.split(",") if word]
    parser.add_argument("--only", type=listed, default=["steps", "coco"], metavar="SECTION,...", help="steps, coco")
    parser.add_argument("--models", type=listed, default=list(CASES), metavar="MODEL,...")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="onednn", choices=("portable", "onednn"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each program in each round")
    parser.add_argument("--step", default=os.path.join(ROOT, "build/release/bench/retort_bench_detection"))
    parser.add_argument("--program", default=os.path.join(ROOT, "build/release/retort"))
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has torchvision and pycocotools")
    parser.add_argument("--results", metavar="FILE", help="every round, as JSON")
    for hidden in ("role", "model", "boxes", "annotations", "detections"):
        parser.add_argument(f"--{hidden}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        return serve(options)
    from compare_pytorch import busy_share

    busy = busy_share()
    if busy is not None and busy > 0.1:
        print(f"compare_detection: other programs keep this machine {100 * busy:.0f} % busy", file=sys.stderr)
    rows = {}
    with tempfile.TemporaryDirectory() as work:
        for section in options.only:
            rows |= {"steps": steps, "coco": coco}[section](options, work)
    tables(rows, options, busy)
    if options.results:
        with open(options.results, "w") as out:
            json.dump(rows, out, indent=1)


if __name__ == "__main__":
    main()
