"""Measures what a search costs beyond the training that it asks for.

    python benchmarks/tuning.py --output results/benchmarks/tuning.json

Trials of the demonstration's recipe on the synthetic corpus, one after the other. `tuner_s` is what
the search took outside of its trials: choosing, writing states, the report's numbers. `around_s` is
what trials took besides training: building models, scoring, writing.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.features.job import build_feature_set
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.experiments.provenance import versions
from ser_keras.features.specs import get_spec
from ser_keras.files import write_json
from ser_keras.protocols import build_protocol
from tuning.search import Search, default_folds, run_search
from tuning.space import load_space


def main():
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--strategy", default="bayesian")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        corpus = write_corpus(root / "corpus", progress=True)
        spec = get_spec("spectrogram200")
        features = build_feature_set("synthetic", corpus, spec, root / "features")
        feature_set = FeatureSet.open(features)
        protocol = build_protocol("synthetic-loso", feature_set.rows)
        search = Search(
            load_space("demo"), options.strategy, options.trials, default_folds(protocol, 1)
        )
        began = time.perf_counter()
        result = run_search(search, feature_set, protocol, root / "search")
        wall_s = time.perf_counter() - began
    train_s = sum(trial["train_seconds"] for trial in result["trials"])
    trials_s = sum(trial["seconds"] for trial in result["trials"])
    facts = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "strategy": options.strategy,
        "trials": len(result["trials"]),
        "train_s": round(train_s, 1),
        "tuner_s": round(wall_s - trials_s, 2),
        "around_s": round(trials_s - train_s, 2),
        "tuner_share": round((wall_s - trials_s) / train_s, 4),
        "share_with_around": round((wall_s - train_s) / train_s, 4),
    }
    for key, value in facts.items():
        print(f"{key}: {value}")
    if options.output:
        write_json(options.output, facts)


if __name__ == "__main__":
    main()
