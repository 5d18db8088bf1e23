"""The power goes at every distinct call: half of what it writes is there, and nothing that was not made durable."""

import random
import signal
import shutil

from harness import distinct_calls, masked, read_log
from jobs import Compare, Distill, SeedsInTurn, Train

NEVER = 10 ** 9


def calls_of(space, job):
    def make():
        folder, grave = space.new_folder("log"), space.new_folder("grave")
        arguments, log = job.start(folder), folder / "log"
        shim = space.shim([job.folder(folder), job.cache(folder)], log, mode="power", at=NEVER, grave=grave)
        result = space.run(arguments, job.cache(folder), shim)
        assert result.code == 0, result.err
        shutil.rmtree(grave)
        return [(number, call, path.replace(str(folder), ""), names) for number, call, path, names in read_log(log)]
    return space.once("power " + job.name, make)


def trials(space, seed):
    found = []
    for job in [Train(space), Distill(space), Compare(space), SeedsInTurn(space)]:
        for call in distinct_calls(calls_of(space, job)):
            lost = ["none"] + (["all"] if call[3] else []) + ([str(i) for i in range(call[3])] if call[3] > 1 else [])
            for names in lost:
                for tail in ["cut", "zeros"] if names in ("none", "all") else ["cut"]:
                    found.append((f"{job.name}-{call[0]}-{names}-{tail}", f"{job.name}, names lost: "
                                  + (names if names in ("none", "all") else "one") + ", tail: " + tail,
                                  lambda job=job, call=call, names=names, tail=tail:
                                  trial(space, job, call, names, tail)))
    random.Random(f"power {seed}").shuffle(found)
    yield from found


def trial(space, job, call, names, tail):
    folder, grave = space.new_folder(), space.new_folder("grave")
    arguments, log = job.start(folder), folder / "log"
    shim = space.shim([job.folder(folder), job.cache(folder)], log, mode="power", at=call[0], undo=names, tail=tail,
                      grave=grave)
    result = space.run(arguments, job.cache(folder), shim)
    shutil.rmtree(grave)
    wrong = result.complaints(signal.SIGKILL)
    if not wrong and result.code != -signal.SIGKILL:
        wrong = [f"the call never came; exit {result.code}"]
    wrong = wrong or job.complaints(folder)
    return [f"{masked(call)}: {one}" for one in wrong], 1
