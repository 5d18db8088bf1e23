#!/usr/bin/env python3
"""Draws the lesson's pictures of steps 2 to 4, and keeps those that the program draws in steps 1 and 6.

  pictures.py FOLDER     FOLDER: where the lesson's commands ran; `retort` in the PATH. Writes beside this file.
"""
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
WIDTH = 440  # Readable on a phone without zooming.
NAMES = ["cat", "dog", "car", "ship", "bird"]
TEACHER = [6, 4, 1, 0, -1]
STUDENT = [3, 2, 2, 0, 1]
RIGHT = ["plain disc", "striped disc", "checked disc", "plain ring"]  # The classes take turns.
STYLE = """<style>
svg { color-scheme: light dark;
  --ink: #1c1b19; --soft: #5d5a55; --grid: #e3dfd8; --teacher: #2b66c4; --student: #b4430b;
  --c0: #2b66c4; --c1: #b4430b; --c2: #0b7f74; --c3: #7d3fb8; --c4: #77716a; --page: #fbfaf8; }
@media (prefers-color-scheme: dark) { svg {
  --ink: #ece8e1; --soft: #a9a39a; --grid: #3a3733; --teacher: #7fb0ff; --student: #ff9a5c;
  --c0: #7fb0ff; --c1: #ff9a5c; --c2: #4fd0c2; --c3: #c79bf5; --c4: #a39d94; --page: #161514; } }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); font-size: 12px; } .strong { font-weight: 600; } .end { text-anchor: end; }
.mid { text-anchor: middle; } .grid { stroke: var(--grid); fill: none; } .line { fill: none; stroke-width: 2.5; }
.teacher { fill: var(--teacher); } .student { fill: var(--student); } .page { fill: var(--page); }
</style>"""


def softmax(logits, tau=1.0):
    top = max(logits)
    powers = [math.exp((z - top) / tau) for z in logits]
    return [p / sum(powers) for p in powers]


def text(x, y, words, kind=""):
    words = str(words).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{words}</text>'


def bar(x, y, width, height, kind):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.6):.1f}" height="{height}" class="{kind}" rx="1.5"/>'


def write(name, height, says, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            f'role="img" aria-label="{says}">')
    page = f'<rect class="page" width="{WIDTH}" height="{height}"/>'
    (HERE / name).write_text("\n".join([head, STYLE, page, *parts, "</svg>"]) + "\n")


def program(*words):
    return subprocess.run(["retort", *words], check=True, capture_output=True, text=True).stdout


def picture_of(folder, image):
    """The image as the program shows it in a data: address."""
    with tempfile.TemporaryDirectory() as work:
        page = pathlib.Path(work) / "page.html"
        program("explain", "--weights", str(folder / "pcd"), "--teacher", str(folder / "teacher"), "--image", str(image),
                "--html", str(page))
        return re.search(r'src="(data:image/bmp;base64,[^"]*)"', page.read_text()).group(1)


def soft_labels(folder):
    """Step 2: four images, and the six classes that the teacher finds likeliest."""
    words = [word for image in range(4) for word in ("--image", str(image))]
    answers = json.loads(program("predict", "--weights", str(folder / "teacher"), *words, "--top", "6", "--json"))["predictions"]
    parts, block = [], 168
    for row, answer in enumerate(answers):
        y = row * block + 12
        parts.append(f'<image x="12" y="{y + 22}" width="96" height="96" href="{picture_of(folder, row)}" '
                     'style="image-rendering: pixelated"/>')
        right = RIGHT[row]
        parts.append(text(12, y + 10, f"test image {row}: {right}", "strong"))
        for place, guess in enumerate(answer["top"]):
            line = y + 22 + place * 22
            share = 100 * guess["probability"]
            parts.append(text(240, line + 13, guess["name"], "end strong" if guess["name"] == right else "end"))
            parts.append(bar(248, line, 1.3 * share, 16, "student" if guess["name"] == right else "teacher"))
            parts.append(text(254 + 1.3 * share, line + 13, f"{share:.1f}", "soft"))
    write("soft-labels.svg", 4 * block + 4, "Four drawn images and the six likeliest classes of each, in percent; the right one is marked", parts)


def temperature():
    """Step 3: the five probabilities over the temperature."""
    left, right, top, bottom = 44, 372, 34, 236
    place = lambda tau: left + (math.log2(tau) + 1) / 6 * (right - left)
    height = lambda share: bottom - share * (bottom - top)
    parts = [text(left, 18, "probability, percent", "soft")]
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<path class="grid" d="M{left} {height(share):.1f}H{right}"/>')
        parts.append(text(left - 6, height(share) + 4, round(100 * share), "soft end"))
    for tau in (0.5, 1, 2, 4, 8, 16, 32):
        parts.append(text(place(tau), bottom + 18, f"{tau:g}", "soft mid"))
    parts.append(text((left + right) / 2, bottom + 36, "temperature", "soft mid"))
    taus = [2 ** (step / 8) for step in range(-8, 41)]
    ends = []
    for c, name in enumerate(NAMES):
        points = " ".join(f"{place(tau):.1f},{height(softmax(TEACHER, tau)[c]):.1f}" for tau in taus)
        parts.append(f'<polyline class="line" style="stroke: var(--c{c})" points="{points}"/>')
        ends.append(height(softmax(TEACHER, taus[-1])[c]))
    middle = sum(ends) / len(ends)
    for c, name in enumerate(NAMES):
        label = middle + (c - 2) * 17
        parts.append(f'<path style="stroke: var(--c{c})" d="M{right} {ends[c]:.1f}L{right + 16} {label:.1f}"/>')
        parts.append(text(right + 20, label + 4, name, "strong"))
    write("temperature.svg", 280, "The probabilities of five classes draw together as the temperature rises from a half to 32", parts)


def kd():
    """Step 4: both softmaxes at temperature 2, and where a step against the slope leads."""
    tau, parts = 2, []
    p, q = softmax(TEACHER, tau), softmax(STUDENT, tau)
    for x, words, kind in ((52, "p, the teacher", "teacher"), (186, "q, the student", "student")):
        parts.append(bar(x, 7, 18, 11, kind))
        parts.append(text(x + 24, 17, words, "strong"))
    parts.append(text(WIDTH - 12, 17, "slope τ (q − p)", "soft end"))
    for c, name in enumerate(NAMES):
        y = 34 + c * 42
        parts.append(text(44, y + 20, name, "end strong"))
        for share, line, kind in ((p[c], y, "teacher"), (q[c], y + 15, "student")):
            parts.append(bar(52, line, 330 * share, 13, kind))
            parts.append(text(58 + 330 * share, line + 11, f"{share:.4f}"[1:], "soft"))
        slope = tau * (q[c] - p[c])
        parts.append(text(WIDTH - 12, y + 20, f"{'▲' if slope < 0 else '▼'} {slope:+.3f}".replace("-", "−"), "end"))
    write("kd.svg", 34 + 5 * 42 + 4, "Softmaxes of teacher and student at temperature 2, class by class, with the slope of the loss; "
          "a step raises cat and dog and lowers the others", parts)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    shutil.copyfile(folder / "teacher/plots/curves.svg", HERE / "curves.svg")
    shutil.copyfile(folder / "study/headline.svg", HERE / "headline.svg")
    soft_labels(folder)
    temperature()
    kd()


if __name__ == "__main__":
    main()
