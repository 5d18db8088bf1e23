"""SIGKILL to the whole group at a random time, up to eight times a run, then it may finish."""

import random
import shutil
import signal

from jobs import Compare, CompareParallel, Distill, Seeds, Train

MAXIMUM = 8


def trials(space, seed):
    jobs = [Train(space), Distill(space), CompareParallel(space), Seeds(space), Compare(space)]
    number = 0
    while True:
        job = jobs[number % len(jobs)]
        yield f"{job.name}-{number}", job.name, lambda job=job, number=number: trial(space, job, seed, number)
        number += 1


def trial(space, job, seed, number):
    chance = random.Random(f"kill {seed} {number}")
    seconds = job.reference()[1]
    folder = space.new_folder()
    arguments, kills = job.start(folder), 0
    for _ in range(chance.randint(1, MAXIMUM)):
        after = chance.uniform(0, .5) if chance.random() < .3 else chance.uniform(0, .9 * seconds)
        result = space.run_and_kill(arguments, job.cache(folder), after)
        wrong = result.complaints(signal.SIGKILL) + job.checkpoint_complaints(folder)
        if wrong:
            return wrong, kills
        if result.code == -signal.SIGKILL:
            kills += 1
        elif result.code == 0:
            break
        else:
            return [f"exit {result.code} after {kills} kills: {' '.join(result.argv)}: {result.reason()}"], kills
        if chance.random() < .5:
            shutil.rmtree(job.cache(folder), ignore_errors=True)
        # A folder of which a kill left the lock alone: --force is what the program names.
        options = job.go_on(folder)
        arguments = options[-1] if job.folder(folder).exists() else options[0]
    return job.complaints(folder), kills
