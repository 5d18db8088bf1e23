"""Random annotations and detections with pycocotools' scores of them: coco.json.

Run where numpy and pycocotools are: python3 coco.py
Crowds, equal scores, equal overlaps, areas on the borders between small, medium and large, boxes without a side, images
and classes without annotations or without detections.
"""

import contextlib
import io
import json
import os
import random

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def box_like(rng, box):
    """Another box that overlaps: moved by whole pixels, so that equal overlaps come up."""
    x, y, w, h = box
    return [x + rng.choice([0, 0, 0, 1, -2, w // 4]), y + rng.choice([0, 0, 1, h // 5]),
            max(1, w + rng.choice([0, 0, 2, -w // 3])), max(1, h + rng.choice([0, 0, -1, h // 2]))]


def case(seed):
    rng = random.Random(seed)
    images = [{"id": i, "width": 640, "height": 480, "file_name": f"{i}.jpg"}
              for i in sorted(rng.sample(range(1, 99), rng.randint(1, 9)), key=lambda i: rng.random())]
    categories = [{"id": c, "name": f"class {c}"} for c in rng.sample(range(1, 30), rng.randint(1, 4))]
    annotations, results = [], []
    for image in images:
        for _ in range(rng.randint(0, 6)):
            side = rng.choice([(32, 32), (96, 96), (8, 12), (40, 60), (200, 150), (97, 96), (31, 33)])
            box = [rng.randint(0, 300), rng.randint(0, 200), *side]
            if rng.random() < .04:
                box[2] = 0
            annotation = {"id": len(annotations) + 1, "image_id": image["id"],
                          "category_id": rng.choice(categories)["id"], "bbox": box,
                          "area": box[2] * box[3] * rng.choice([1, 1, .7]), "iscrowd": int(rng.random() < .15)}
            annotations.append(annotation)
            for _ in range(rng.choice([0, 1, 1, 2, 3])):
                results.append({"image_id": image["id"], "category_id": annotation["category_id"],
                                "bbox": box_like(rng, box), "score": rng.choice([.1, .25, .5, .5, .9, rng.random()])})
        for _ in range(rng.randint(0, 3)):
            results.append({"image_id": image["id"], "category_id": rng.choice(categories)["id"],
                            "bbox": [rng.randint(0, 300), rng.randint(0, 200), rng.randint(1, 120), rng.randint(1, 120)],
                            "score": round(rng.random(), 1)})
    if seed == 1:  # more than 100 in one image
        for _ in range(130):
            results.append({"image_id": images[0]["id"], "category_id": categories[0]["id"],
                            "bbox": [rng.randint(0, 9), 0, 30, 30], "score": round(rng.random(), 2)})
    if not results:
        results.append({"image_id": images[0]["id"], "category_id": categories[0]["id"], "bbox": [0, 0, 5, 5], "score": .5})
    return {"images": images, "categories": categories, "annotations": annotations}, results


def scores(truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(json.loads(json.dumps(results))), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
    result = dict(zip(names, evaluation.stats.tolist()))
    precision = evaluation.eval["precision"]
    result["classes"] = []
    for k, category in enumerate(evaluation.params.catIds):
        def mean(values):
            values = values[values > -1]
            return float(values.mean()) if values.size else -1.0
        p = precision[:, :, k, 0, 2]
        result["classes"].append({"id": int(category), "AP": mean(p), "AP50": mean(p[0]), "AP75": mean(p[5])})
    return result


def main():
    cases = []
    for seed in range(40):
        truth, results = case(seed)
        cases.append({"annotations": truth, "results": results, "scores": scores(truth, results)})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "coco.json"), "w", encoding="utf-8") as file:
        json.dump({"cases": cases}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
