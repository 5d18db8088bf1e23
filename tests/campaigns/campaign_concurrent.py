"""Several processes at once, on one folder or one cache: one works, the others say so or share; the end is the same."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

from jobs import Compare, Distill, Seeds, Train


def trials(space, seed):
    number = 0
    kinds = [same_folder, shared_cache, watched]
    while True:
        kind = kinds[number % len(kinds)]
        chance = random.Random(f"concurrent {seed} {number}")
        yield f"{kind.__name__}-{number}", kind.__name__, lambda kind=kind, chance=chance: (kind(space, chance), 1)
        number += 1


def same_folder(space, chance):
    """The same command two or three times; then it goes on."""
    job = chance.choice([Train(space), Compare(space), Distill(space)])
    job.reference()
    folder = space.new_folder()
    delays = [chance.uniform(0, .4) for _ in range(chance.randint(2, 3))]

    def start(delay):
        time.sleep(delay)
        return space.run(job.start(folder), job.cache(folder))
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(start, delays))
    wrong = [one for result in results for one in result.complaints()]
    if not wrong and not any(result.code == 0 for result in results):
        wrong = ["nobody finished: " + "; ".join(f"exit {result.code}: {result.reason()}" for result in results)]
    if not wrong and any(result.code not in (0, 2) for result in results):
        wrong = [f"exit {result.code}: {result.reason()}" for result in results if result.code not in (0, 2)]
    return wrong or job.end_complaints(folder)


def shared_cache(space, chance):
    """Students of one teacher side by side, with one store of its logits, which vanishes now and then."""
    job = Distill(space)
    job.reference()
    folders = [space.new_folder() for _ in range(3)]
    cache = folders[0] / "cache"
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda folder: space.run(job.start(folder), cache), folders))
    wrong = [one for result in results for one in result.complaints()]
    wrong += [f"exit {result.code}: {result.reason()}" for result in results if result.code != 0]
    for folder in folders:
        wrong = wrong or job.end_complaints(folder)
    return wrong


def watched(space, chance):
    """Others read the folder while the run writes it."""
    job = chance.choice([Train(space), Seeds(space)])
    job.reference()
    folder = space.new_folder()
    run = job.folder(folder)
    readers = [["eval", "--weights", run, "--threads", "1"], ["report", folder, "--threads", "1", "--out", folder / "page"],
               ["train", "--resume", run], ["export", run, "--to", "safetensors", "-o", folder / "net.safetensors"]]
    with ThreadPoolExecutor() as pool:
        writer = pool.submit(space.run, job.start(folder), job.cache(folder))
        wrong = []
        while not writer.done() and not wrong:
            time.sleep(chance.uniform(0, .1))
            wrong = space.run(chance.choice(readers), job.cache(folder)).complaints()
        result = writer.result()
    wrong += result.complaints()
    # `--resume` may have won the race for the lock; then the writer says so.
    return wrong or (job.end_complaints(folder) if result.code == 0 else job.complaints(folder))
