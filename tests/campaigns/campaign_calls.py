"""Every distinct call to the operating system fails once: full disk, broken disk, half a write, and the like."""

import errno
import random

from harness import distinct_calls, masked, read_log
from jobs import Compare, Distill, Train, Tune, commands

OPENS = {"open", "openat", "fopen", "opendir"}
WRITES = {"write", "pwrite", "writev"}


def injuries(operation, thorough):
    """(name, settings of the shim) for a call."""
    yield "EIO", {"mode": "fail", "errno": errno.EIO}
    if not thorough:
        return
    yield "ENOSPC", {"mode": "fail", "errno": errno.ENOSPC}
    yield "all-EIO", {"mode": "all", "errno": errno.EIO}
    yield "all-ENOSPC", {"mode": "all", "errno": errno.ENOSPC,
                         "calls": "write,pwrite,writev,fsync,fdatasync,ftruncate,posix_fallocate,mkdir,link,symlink,"
                                  "rename"}
    yield "EINTR", {"mode": "fail", "errno": errno.EINTR}
    if operation in WRITES:
        yield "short", {"mode": "short", "errno": errno.ENOSPC}
    if operation in OPENS:
        yield "EMFILE", {"mode": "fail", "errno": errno.EMFILE}
    if operation in ("mkdir", "rename"):
        yield "EACCES", {"mode": "fail", "errno": errno.EACCES}


def calls_of(space, job):
    """The calls of an undisturbed run, from the shim's log."""
    def make():
        folder = space.new_folder("log")
        arguments, log = job.start(folder), folder / "log"
        result = space.run(arguments, job.cache(folder), space.shim([job.folder(folder), job.cache(folder)], log))
        assert result.code == 0, result.err
        return [(number, call, path.replace(str(folder), ""), names) for number, call, path, names in read_log(log)]
    return space.once("calls " + job.name, make)


def trials(space, seed):
    found = []
    for job in [Train(space), Distill(space), Compare(space), Tune(space), *commands(space)]:
        thorough = job.name in ("train", "distill", "compare")
        for call in distinct_calls(calls_of(space, job)):
            for name, settings in injuries(call[1], thorough):
                found.append((f"{job.name}-{call[0]}-{name}", f"{job.name}, {name}",
                              lambda job=job, call=call, settings=settings: trial(space, job, call, settings)))
    random.Random(f"calls {seed}").shuffle(found)
    yield from found


def trial(space, job, call, settings):
    folder = space.new_folder()
    arguments, log = job.start(folder), folder / "log"
    shim = space.shim([job.folder(folder), job.cache(folder)], log, at=call[0], **settings)
    result = space.run(arguments, job.cache(folder), shim)
    hurt = next((one for one in read_log(log) if one[0] == call[0]), None) if log.exists() else None
    what = f"{masked(call)}: "
    if hurt is None or masked((0, hurt[1], hurt[2].replace(str(folder), ""), 0)) != masked(call):
        what += "(another call by then) "
    wrong = result.complaints() + job.checkpoint_complaints(folder)
    if not wrong:
        if result.code == 0:
            wrong = job.end_complaints(folder, job.name != "tune")
        else:
            wrong = job.complaints(folder, job.name != "tune")
    return [what + one for one in wrong], 1
