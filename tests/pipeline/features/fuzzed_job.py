"""Runs the feature job on a table of damaged files; exits if one of them takes too long.

`python fuzzed_job.py TABLE OUTPUT SECONDS` writes the peak memory in bytes. A decoder hangs
in C code, so the time limit is faulthandler's own thread, which prints all stack traces.
"""

import faulthandler
import sys

from pipeline.features import writer
from pipeline.features.job import build_feature_set
from ser_keras.features.specs import get_spec
from tests.memory import peak_bytes


def main() -> None:
    table, output, limit_s = sys.argv[1:]
    process = writer.process

    def with_time_limit(recording, *arguments):
        sys.stderr.write(f"{recording.path}\n")
        faulthandler.dump_traceback_later(float(limit_s), exit=True)
        try:
            return process(recording, *arguments)
        finally:
            faulthandler.cancel_dump_traceback_later()

    writer.process = with_time_limit
    build_feature_set("manifest", table, get_spec("logmel23"), output, max_bad_ratio=1.0)
    sys.stdout.write(str(peak_bytes()))


if __name__ == "__main__":
    main()
