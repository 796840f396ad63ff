"""Component: computes statistics of features and draws them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, Lookup
from pipeline.statistics.file import load_statistics

SPEC = ComponentSpec(
    name="statistics_gen",
    about="Computes statistics of a feature set with Apache Beam.",
    parameters={
        "workers": Parameter(int, "processes on this machine", 1, changes_result=False),
        "beam_args": Parameter(
            list, "options for Beam, such as --runner=DaskRunner", (), changes_result=False
        ),
    },
    inputs={"features": "Features", "corpus": "Corpus"},
    outputs={"statistics": "Statistics"},
    optional=frozenset({"corpus"}),
)


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the corpus, whose recordings are read if it is given."""
    from ser_keras.data.feature_set import FeatureSet

    if "corpus" in inputs:
        yield CORPORA, FeatureSet.open(inputs["features"]).schema.corpus


def execute(task: Task) -> ComponentResult:
    """Runs the statistics job.

    Inputs: `features`; `corpus`, to measure silence and clipping. Outputs: `statistics`, with
    statistics.json and statistics.svg.
    """
    from pipeline.beam.quiet import quiet_beam

    quiet_beam()
    from pipeline.features.corpus_artifact import load_corpus
    from pipeline.statistics.job import run_statistics
    from ser_keras.plots import data_statistics

    corpus = load_corpus(task.inputs["corpus"]) if "corpus" in task.inputs else None
    path = run_statistics(
        task.inputs["features"],
        task.outputs["statistics"],
        task.parameters["beam_args"],
        task.parameters["workers"],
        task.progress,
        data_dir=corpus.data_dir if corpus is not None else None,
    )
    statistics = load_statistics(path)
    data_statistics(statistics, path.with_suffix(".svg"))
    return ComponentResult(
        {
            "utterances": statistics["utterances"],
            "labels": statistics["counts"]["label"],
            "silence_ratio": _mean(statistics["silence_ratio"]),
            "clipping_ratio": _mean(statistics["clipping_ratio"]),
        }
    )


def _mean(distribution: Mapping[str, Any] | None) -> float | None:
    return distribution["mean"] if distribution is not None else None


COMPONENT = Component(SPEC, execute, looks_up=looks_up)
