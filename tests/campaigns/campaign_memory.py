"""Little memory: an address space of 100 sizes, from where the program starts at all to where it has enough. It works
and ends the same, or it says that memory ran out. Not for builds with sanitizers, which reserve terabytes."""

import random
import resource

from jobs import Distill, Train

MIB = 1 << 20
STEPS = 100


class OnDevice(Train):
    def __init__(self, space, device):
        super().__init__(space)
        self.name, self.options = "train on " + device, ["--device", device]


def limited(size):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


def smallest(low, high, enough):
    """The smallest size between, to 1 MiB, for which `enough` holds; it does for `high`."""
    while high - low > MIB:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def bounds(space, job):
    def works(arguments, folder):
        return lambda size: space.run(arguments(), folder / "cache", before=limited(size)).code == 0

    def runs(size):
        folder = space.new_folder()
        return space.run(job.start(folder), job.cache(folder), before=limited(size)).code == 0

    def make():
        folder = space.new_folder("bounds")
        start = smallest(MIB, 1 << 32, works(lambda: ["--version"], folder))
        return start, smallest(start, 1 << 33, runs) + 16 * MIB
    return space.once("memory " + job.name, make)


def trials(space, seed):
    found = []
    for job in [OnDevice(space, "portable"), OnDevice(space, "onednn"), Distill(space)]:
        for step in range(STEPS):
            found.append((f"{job.name}-{step}".replace(" ", "-"), job.name,
                          lambda job=job, step=step: trial(space, job, step)))
    random.Random(f"memory {seed}").shuffle(found)
    yield from found


def trial(space, job, step):
    low, high = bounds(space, job)
    size = low + (high - low) * step // (STEPS - 1)
    folder = space.new_folder()
    result = space.run(job.start(folder), job.cache(folder), before=limited(size))
    wrong = result.complaints()
    if not wrong and result.code not in (0, 6):
        wrong = [f"exit {result.code}, expected 0 or 6: {result.reason()}"]
    wrong = wrong or (job.end_complaints(folder) if result.code == 0 else job.complaints(folder))
    return [f"{size // MIB} MiB: {one}" for one in wrong], 1
