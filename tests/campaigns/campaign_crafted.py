"""Files that somebody made on purpose: every value of every JSON, TOML and checkpoint replaced by what nobody writes, with
the hashes made right again; PyTorch's archives; servers; and names that are markup where they are shown. No crash, no
hang, a documented exit."""

import ctypes
import json
import random
import re
import shutil
import struct
import sys
import tomllib

import crafted_archives
import crafted_servers
from campaign_flips import fixtures
from harness import safetensors_parts
from jobs import STUDY, Distill

sys.setrecursionlimit(5000)  # what follows is deep


def deep():
    value = []
    for _ in range(500):
        value = [value]
    return value


# What a value becomes. STRUCTURES are made from the value itself.
VALUES = {"null": None, "true": True, "text": "x", "empty text": "", "-1": -1, "0": 0, "1.5": 1.5, "2^31": 2 ** 31,
          "2^62": 2 ** 62, "2^64": 2 ** 64, "1e308": 1e308, "empty list": [], "empty object": {},
          "very long": "y" * 1_000_000, "many": [0] * 100_000, "control": "a\u0000\u001b[31m\u202e", "markup": "<script>|=1+1",
          "deep": deep()}
STRUCTURES = ("missing", "doubled", "longer by one", "shorter by one", "negative", "digit more")


def places(tree, path=()):
    """Paths to every value but the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield path + (key,)
        yield from places(value, path + (key,))


def replaced(tree, path, name):
    """The tree with one value made into something else, in place; False where that does not apply."""
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    key, value = path[-1], parent[path[-1]]
    if name == "missing":
        del parent[key]
    elif name == "doubled":
        if isinstance(value, list):
            parent[key] = value + value
        elif isinstance(value, str):
            parent[key] = value + value
        else:
            return False
    elif name == "longer by one" and isinstance(value, list):
        value.append(value[-1] if value else 0)
    elif name == "shorter by one" and isinstance(value, list) and value:
        value.pop()
    elif name == "negative" and isinstance(value, (int, float)) and not isinstance(value, bool):
        parent[key] = -value
    elif name == "digit more" and isinstance(value, (int, float)) and not isinstance(value, bool):
        parent[key] = value * 10 + 7
    elif name in VALUES:
        parent[key] = VALUES[name]
    else:
        return False
    return True


def toml_of(value):
    """A value in TOML, tables inline; None has no form there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(toml_of(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(json.dumps(key) + " = " + toml_of(one) for key, one in value.items()) + "}"
    return '""'


def toml_file(tree):
    return "".join(f"{json.dumps(key)} = {toml_of(value)}\n" for key, value in tree.items())


class Hashes:
    """XXH3 as the program makes it."""

    def __init__(self, space):
        self.library = ctypes.CDLL(space.library("xxh3.c"))
        self.library.retort_xxh3.restype = ctypes.c_ulonglong
        self.library.retort_xxh3.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def of(self, data):
        return f"{self.library.retort_xxh3(data, len(data)):016x}"


def safetensors_file(header, data, hashes):
    """The container with its header's hash right; the tensors' hashes are those of the data that is there."""
    metadata = header.get("__metadata__")
    if isinstance(metadata, dict) and isinstance(metadata.get("xxh3_header"), str):
        metadata["xxh3_header"] = " " * 16
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    mark = b'"xxh3_header":"' + b" " * 16
    if mark in text:
        text = text.replace(mark, b'"xxh3_header":"' + hashes.of(text).encode())
    return struct.pack("<Q", len(text)) + text + data


def crafted(path, data, chance, hashes):
    """(what was done, the file's new bytes)"""
    for _ in range(50):
        name = chance.choice(sorted(VALUES) + list(STRUCTURES))
        if path.suffix == ".safetensors":
            tree, rest = safetensors_parts(data)
            place = chance.choice(list(places(tree)))
            inner = None
            if place == ("__metadata__", "counters") and chance.random() < .8 or chance.random() < .5:
                inner = json.loads(tree["__metadata__"]["counters"]) if "counters" in tree["__metadata__"] else None
            if inner is not None:
                place = chance.choice(list(places(inner)))
                if not replaced(inner, place, name):
                    continue
                tree["__metadata__"]["counters"] = json.dumps(inner)
            elif not replaced(tree, place, name):
                continue
            return f"{'counters ' if inner is not None else ''}{place}: {name}", safetensors_file(tree, rest, hashes)
        text = data.decode()
        tree = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        place = chance.choice(list(places(tree)))
        if not replaced(tree, place, name):
            continue
        what = f"{place}: {name}"
        if path.suffix == ".toml":
            return what, sealed_toml(toml_file(tree), text, hashes).encode("utf-8", "surrogatepass")
        return what, sealed_json(tree, hashes).encode("utf-8", "surrogatepass")
    return "nothing", data


def sealed_toml(text, before, hashes):
    """With the comment line at the end that holds the hash of all before it, where the file had one."""
    last = before.rstrip("\n").rsplit("\n", 1)[-1]
    found = re.search(r"[0-9a-f]{16}", last)
    if not last.startswith("#") or not found:
        return text
    return text + last.replace(found.group(), hashes.of(text.encode("utf-8", "surrogatepass"))) + "\n"


def sealed_json(tree, hashes):
    """With the hash that the file carries of itself, made as the program makes it: over the rest, without spaces. A report's
    cache has one for each entry, over its name and value with sorted keys."""
    def of(value, before="", **form):
        text = before + json.dumps(value, separators=(",", ":"), ensure_ascii=False, **form)
        return hashes.of(text.encode("utf-8", "surrogatepass"))

    if isinstance(tree, dict) and isinstance(tree.get("xxh3"), str):
        tree["xxh3"] = of({key: value for key, value in tree.items() if key != "xxh3"})
    elif isinstance(tree, dict) and isinstance(tree.get("entries"), dict):
        for key, entry in tree["entries"].items():
            if isinstance(entry, dict) and isinstance(entry.get("hash"), str) and "value" in entry:
                entry["hash"] = of(entry["value"], key + "\n", sort_keys=True)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def trials(space, seed):
    chosen = [fixture for fixture in fixtures(space)
              if fixture.name in ("finished run", "half a run", "study", "half of two seeds", "export")]
    hashes = Hashes(space)
    number = 0

    def weights():
        return Distill(space).teacher() / "checkpoints" / "last.safetensors"

    while True:
        chance = random.Random(f"crafted {seed} {number}")
        if number % 10 in (2, 5):
            yield str(number), "archive", lambda n=number: crafted_archives.trial(space, weights, seed, n)
        elif number % 10 == 7:
            yield str(number), "server", lambda n=number: crafted_servers.trial(space, seed, n)
        elif number % 10 == 9:
            yield str(number), "names", lambda chance=chance: trial_names(space, chance)
        else:
            fixture = chance.choice(chosen)
            yield str(number), None, lambda fixture=fixture, chance=chance: trial(fixture, chance, hashes)
        number += 1


def trial(fixture, chance, hashes):
    reader = chance.choice(sorted(fixture.readers))
    fixture.restore()
    files = sorted(path for path in fixture.place.rglob("*")
                   if path.suffix in (".json", ".toml", ".safetensors") and path.is_file())
    path = chance.choice(files)
    what, data = crafted(path, path.read_bytes(), chance, hashes)
    path.write_bytes(data)
    wrong = fixture.read(reader)[0].complaints()
    name = str(path.relative_to(fixture.place))
    shutil.rmtree(fixture.place, ignore_errors=True)
    return [f"{fixture.name}, {name}, {what[:120]}, {reader}: {one}" for one in wrong], 1, path.name


HOSTILE = ["<script>alert(1)</script>", "a|b", "=1+1", "@SUM(A1)", "+cmd", "-2+3", "[x](javascript:alert(1))", "`code`",
           "a\\\"b", "</td><td>", "&lt;", "**bold**", "\u202egnp"]


def trial_names(space, chance):
    """A title and labels that are markup: shown as what they are in every format."""
    title, label = chance.choice(HOSTILE), chance.choice(HOSTILE)
    folder = space.new_folder()
    study = folder / "study.toml"
    study.write_text(STUDY.replace('title = "Campaign"', "title = " + json.dumps(title)).replace(
        'name = "pcd"', 'name = "pcd"\nlabel = ' + json.dumps(label)))
    results = [space.run(["compare", study, "--out", folder / "run"], folder / "cache")]
    if results[0].code == 0:
        results.append(space.run(["report", folder / "run", "--threads", "1"], folder / "cache"))
    wrong = [one for result in results for one in result.complaints()]
    for path in sorted((folder / "run").glob("re*")) if results[-1].code == 0 else []:
        text = path.read_text(errors="replace")
        if path.suffix in (".html", ".md") and "<script>alert" in text:
            wrong.append(f"{path.name}: a name is markup")
        if path.suffix == ".md" and re.search(r"\[x\]\(javascript", text):
            wrong.append(f"{path.name}: a name is a link")
        if path.suffix == ".csv" and any(cell[:1] in "=@+-" and not re.fullmatch(r"[-+][0-9.e]*", cell)
                                         for line in text.splitlines() for cell in re.split(r'"?,"?', line.strip('"'))
                                         if cell):
            wrong.append(f"{path.name}: a name is a formula")
    return [f"title {title}, label {label}: {one}" for one in wrong], 1
