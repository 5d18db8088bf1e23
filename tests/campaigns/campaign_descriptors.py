"""Few files may be open: from 3 on. Either it works, or a documented exit, and then it can go on."""

import random
import resource

from jobs import Compare, Distill, Seeds, Train, commands

MOST = 40


def trials(space, seed):
    found = []
    for job in [Train(space), Distill(space), Compare(space), Seeds(space), *commands(space)]:
        for limit in range(3, MOST):
            found.append((f"{job.name}-{limit}", job.name, lambda job=job, limit=limit: trial(space, job, limit)))
    random.Random(f"descriptors {seed}").shuffle(found)
    yield from found


def trial(space, job, limit):
    folder = space.new_folder()
    result = space.run(job.start(folder), job.cache(folder),
                       before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    # Without libraries there is no program yet: that is the loader's exit.
    wrong = [] if "error while loading shared libraries" in result.err else result.complaints()
    wrong = wrong or (job.end_complaints(folder) if result.code == 0 else job.complaints(folder))
    return [f"{limit} files: {one}" for one in wrong], 1
