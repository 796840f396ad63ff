"""Component: extracts the features of a corpus with the Beam job."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, FEATURE_KINDS, Lookup
from ser_keras.errors import CorpusError

SPEC = ComponentSpec(
    name="feature_gen",
    about="Runs the feature job, with Apache Beam.",
    parameters={
        "spec": Parameter(str, "feature spec, such as logmel40 or spectrogram200", required=True),
        "trim_db": Parameter(float, "drop silent ends: this many dB below the loudest frame"),
        "name": Parameter(str, "name of the data in results; the corpus's name if empty", ""),
        "max_bad_ratio": Parameter(float, "largest accepted share of unusable recordings", 0.01),
        "shards": Parameter(int, "number of shard files; by the size of the data if left out"),
        "workers": Parameter(int, "processes on this machine", 1, changes_result=False),
        "beam_args": Parameter(
            list, "options for Beam, such as --runner=DaskRunner", (), changes_result=False
        ),
    },
    inputs={"corpus": "Corpus"},
    outputs={"features": "Features"},
)


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the corpus, and every kind of feature: the fingerprint of a set covers them all."""
    from pipeline.features.corpus_artifact import load_corpus
    from ser_keras.features.specs import KINDS

    yield CORPORA, load_corpus(inputs["corpus"]).corpus
    yield from ((FEATURE_KINDS, kind) for kind in KINDS)


def execute(task: Task) -> ComponentResult:
    """Runs the job and checks that it read the recordings that the corpus lists.

    Inputs: `corpus`. Outputs: `features`, which `FeatureSet.open` reads.
    """
    from pipeline.beam.quiet import quiet_beam

    quiet_beam()
    from pipeline.features.corpus_artifact import load_corpus
    from pipeline.features.job import build_feature_set
    from ser_keras.audit import audit_audio
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.features.specs import get_spec

    given, corpus = task.parameters, load_corpus(task.inputs["corpus"])
    trim = {} if given["trim_db"] is None else {"trim_db": given["trim_db"]}
    path = build_feature_set(
        corpus.corpus,
        corpus.data_dir,
        get_spec(given["spec"], **trim),
        task.outputs["features"],
        name=given["name"] or None,
        allow_partial=corpus.allow_partial,
        max_bad_ratio=given["max_bad_ratio"],
        num_shards=given["shards"],
        workers=given["workers"],
        beam_args=given["beam_args"],
        progress=task.progress,
    )
    feature_set = FeatureSet.open(path)
    changed = [
        row.key for row in feature_set.rows if corpus.sha256_of.get(row.key) != row.source_sha256
    ]
    if changed:
        raise CorpusError(
            f"{corpus.data_dir}: {len(changed)} recordings were changed while the pipeline ran, "
            f"such as {changed[0]}. Run it again when the corpus is at rest."
        )
    findings = audit_audio(feature_set.rows)
    return ComponentResult(
        {
            "spec": feature_set.schema.spec_name,
            "records": feature_set.manifest["num_records"],
            "dead": feature_set.manifest["num_dead"],
            "fingerprint": feature_set.manifest["fingerprint"],
            "speakers": sorted({f"{row.corpus}/{row.speaker}" for row in feature_set.rows}),
            "audit": [f"{finding.severity}: {finding.message}" for finding in findings],
        }
    )


COMPONENT = Component(SPEC, execute, looks_up=looks_up)
