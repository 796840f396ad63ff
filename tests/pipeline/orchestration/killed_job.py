"""Runs the feature job and kills its own process group: at a rename, at a step, or after a time.

`python killed_job.py CORPUS OUTPUT WORKERS rename:3`, `... step:3` or `... after:0.25` (seconds
from the moment at which the graph starts); `step:0` lets it live and write its number of steps. A
rename makes something visible on disk; a step is anything else the driver does with a file: opening
it to read, hash or write, listing, removing. It is killed before the rename or step is done.
"""

import os
import signal
import sys
import threading

from pipeline.features.job import build_feature_set
from ser_keras.features.specs import get_spec

NUM_SHARDS = 4
STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.scandir", "os.listdir", "shutil.rmtree"}


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


class Countdown:
    """Counts calls and kills the process in the call of that number."""

    def __init__(self, number: int):
        self.number = number
        self.seen = 0

    def __call__(self) -> None:
        self.seen += 1
        if self.seen == self.number:
            die()


def die_at_rename(number: int) -> None:
    countdown = Countdown(number)

    def counted(original):
        def rename(*paths):
            countdown()
            original(*paths)

        return rename

    os.rename, os.replace = counted(os.rename), counted(os.replace)


def die_at_step(number: int, *folders: str) -> Countdown:
    countdown = Countdown(number)

    def hook(event, arguments):
        if event in STEPS and str(arguments[0]).startswith(folders):
            countdown()

    sys.addaudithook(hook)
    return countdown


def main() -> None:
    corpus, output, workers, when = sys.argv[1:]
    kind, value = when.split(":")
    if kind == "rename":
        die_at_rename(int(value))
    steps = die_at_step(int(value) if kind == "step" else 0, corpus, output)

    def started(step, done, total):
        if (kind, step, done) == ("after", "features", 0):
            threading.Timer(float(value), die).start()

    spec = get_spec("logmel23")
    options = {"num_shards": NUM_SHARDS, "workers": int(workers), "progress": started}
    build_feature_set("manifest", corpus, spec, output, **options)
    sys.stdout.write(str(steps.seen))


if __name__ == "__main__":
    main()
