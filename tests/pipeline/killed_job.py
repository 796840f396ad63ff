"""Runs the feature job and kills its own process group: at a given rename, or after a given time.

`python killed_job.py CORPUS OUTPUT WORKERS rename:3` or `... after:0.25` (seconds from the moment
at which the graph starts). A rename is every step by which something becomes visible on disk.
"""

import os
import signal
import sys
import threading

from pipeline.feature_job import build_feature_set
from ser_keras.features.specs import get_spec

NUM_SHARDS = 4


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_at_rename(number: int) -> None:
    left = [number]

    def counted(original):
        def rename(*paths):
            left[0] -= 1
            if not left[0]:
                die()
            original(*paths)

        return rename

    os.rename, os.replace = counted(os.rename), counted(os.replace)


def main() -> None:
    corpus, output, workers, when = sys.argv[1:]
    kind, value = when.split(":")
    if kind == "rename":
        die_at_rename(int(value))

    def started(step, done, total):
        if (kind, step, done) == ("after", "features", 0):
            threading.Timer(float(value), die).start()

    spec = get_spec("logmel23")
    options = {"num_shards": NUM_SHARDS, "workers": int(workers), "progress": started}
    build_feature_set("manifest", corpus, spec, output, **options)


if __name__ == "__main__":
    main()
