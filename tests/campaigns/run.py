#!/usr/bin/env python3
"""Hurts the program as the world does, and judges what comes of it.

    run.py NAME --retort build/release/retort [--seed S] [--count N] [--seconds T]
    run.py all --short --retort build/release/retort --seed 1          2 minutes, a little of everything

NAME is a campaign (see --help), a file campaign_NAME.py each. Every failure is printed with the command that repeats
it; the last line counts them, and the exit status is 0 if there is none. Only the standard library and a C compiler
are needed.
"""

import argparse
import collections
import importlib
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import Space  # noqa: E402

CAMPAIGNS = [path.stem.removeprefix("campaign_") for path in
             sorted(Path(__file__).resolve().parent.glob("campaign_*.py"))]


def run_campaign(name, options, space, seconds, count):
    """Trials in their order until `count` or `seconds` are used up; (tried, wrong)."""
    module = importlib.import_module("campaign_" + name)
    tried, failed, injuries = collections.Counter(), collections.Counter(), 0
    started = time.monotonic()
    for identity, kind, trial in module.trials(space, options.seed):
        if options.only and identity != options.only:
            continue
        wrong, hurt, *better_kind = trial()
        kind = better_kind[0] if better_kind else kind
        tried[kind] += 1
        injuries += hurt
        if wrong:
            failed[kind] += 1
            print(f"{name} {identity}: WRONG: " + "; ".join(wrong).replace(str(space.folder) + "/", ""))
            print(f"  again: {sys.argv[0]} {name} --retort {options.retort} --seed {options.seed} --only {identity}",
                  flush=True)
        if not options.keep:
            for pattern in ("trial-*", "grave-*"):
                for folder in space.folder.glob(pattern):
                    shutil.rmtree(folder, ignore_errors=True)
        if options.only or sum(tried.values()) >= count or time.monotonic() - started > seconds:
            break
    for kind in sorted(tried) if not options.short else []:
        print(f"  {kind}: {tried[kind]} tried, {failed[kind]} wrong")
    total, wrong = sum(tried.values()), sum(failed.values())
    if injuries != total:
        print(f"  {injuries} injuries in {total} trials")
    print(f"{name}: tried {total}, right {total - wrong}, wrong {wrong}", flush=True)
    if options.only and not total:
        print(f"{name}: there is no trial {options.only}")
        return 0, 1
    return total, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CAMPAIGNS + ["all"])
    parser.add_argument("--retort", required=True, help="the program")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn, and of the order (1)")
    parser.add_argument("--count", type=int, default=10 ** 9, help="trials of a campaign, at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of a campaign, at most")
    parser.add_argument("--short", action="store_true", help="120 seconds, shared out among the campaigns")
    parser.add_argument("--only", help="one trial, as a failure names it")
    parser.add_argument("--slow", type=float, default=1, help="factor of all time limits, for sanitizers")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the trials, and say where")
    options = parser.parse_args()

    names = CAMPAIGNS if options.name == "all" else [options.name]
    seconds = min(options.seconds, 120 / len(names)) if options.short else options.seconds
    space = Space(options.retort, options.seed, options.slow)
    tried = wrong = 0
    try:
        for name in names:
            more_tried, more_wrong = run_campaign(name, options, space, seconds, options.count)
            tried, wrong = tried + more_tried, wrong + more_wrong
    finally:
        if options.keep:
            print(f"folders: {space.folder}")
        else:
            space.close()
    if options.name == "all":
        print(f"all: tried {tried}, right {tried - wrong}, wrong {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
