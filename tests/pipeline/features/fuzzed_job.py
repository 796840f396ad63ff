"""Runs the feature job on a table of damaged files; ends itself where one takes too long.

`python fuzzed_job.py TABLE OUTPUT SECONDS` writes the peak memory in bytes. A decoder that hangs
does so in C, so the watch is faulthandler's own thread, which prints where everybody is.
"""

import faulthandler
import sys

from pipeline.features import writer as transforms
from pipeline.features.job import build_feature_set
from ser_keras.features.specs import get_spec
from tests.memory import peak_bytes


def main() -> None:
    table, output, limit_s = sys.argv[1:]
    plain = transforms.process

    def watched(source, *arguments):
        sys.stderr.write(f"{source.path}\n")
        faulthandler.dump_traceback_later(float(limit_s), exit=True)
        try:
            return plain(source, *arguments)
        finally:
            faulthandler.cancel_dump_traceback_later()

    transforms.process = watched
    build_feature_set("manifest", table, get_spec("logmel23"), output, max_bad_ratio=1.0)
    sys.stdout.write(str(peak_bytes()))


if __name__ == "__main__":
    main()
