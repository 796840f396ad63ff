"""Component: lists and hashes the recordings of a corpus, or synthesises one."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, Lookup
from ser_keras.errors import ConfigError

SPEC = ComponentSpec(
    name="corpus_gen",
    about="Reads a corpus and checks that it is complete; synthesises the built-in one.",
    parameters={
        "corpus": Parameter(str, "name of the corpus, see `ser corpora`", required=True),
        "data_dir": Parameter(str, "folder of the corpus; not needed for the synthetic one", ""),
        "allow_partial": Parameter(bool, "whether a partial or doubled copy is accepted", False),
        "speakers": Parameter(int, "number of speakers of the synthetic corpus", 6),
        "utterances_per_class": Parameter(int, "per speaker of the synthetic corpus", 10),
        "seed": Parameter(int, "seed of the synthetic corpus", 0),
    },
    outputs={"corpus": "Corpus"},
)


def reads(parameters: Mapping[str, Any]) -> Iterable[Path]:
    """Yields the corpus's folder; for a table, the table and the recordings that it lists."""
    data_dir = Path(parameters["data_dir"])
    if not parameters["data_dir"]:
        return
    yield data_dir
    if data_dir.is_file():
        from ser_keras.corpora import read_corpus

        for utterance in read_corpus(parameters["corpus"], data_dir, allow_partial=True):
            yield Path(utterance.path)


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the corpus."""
    yield CORPORA, parameters["corpus"]


def execute(task: Task) -> ComponentResult:
    """Lists and hashes the recordings.

    Outputs: `corpus`, see `pipeline.features.corpus_artifact`.
    """
    from pipeline.features.corpus_artifact import OWN_AUDIO, write_corpus
    from pipeline.features.recordings import list_recordings
    from ser_keras.corpora import synthetic

    given, folder = task.parameters, task.outputs["corpus"]
    corpus, data_dir = given["corpus"], given["data_dir"]
    if not data_dir and corpus != "synthetic":
        raise ConfigError(
            f"corpus_gen: data_dir is missing. Say where {corpus} lies; `ser download` gets the "
            "free corpora."
        )
    if data_dir:
        root = Path(data_dir).absolute()
    else:
        task.progress("synthesising", 0, 0)
        root = synthetic.write_corpus(
            folder / OWN_AUDIO,
            num_speakers=given["speakers"],
            utterances_per_class=given["utterances_per_class"],
            seed=given["seed"],
        )
    task.progress("listing", 0, 0)
    recordings = list_recordings(corpus, root, allow_partial=given["allow_partial"])
    facts = write_corpus(folder, corpus, data_dir and str(root), given["allow_partial"], recordings)
    return ComponentResult(
        {
            "recordings": facts["recordings"],
            "labels": facts["labels"],
            "speakers": sorted(facts["speakers"]),
            "copies": len(facts["copies"]),
            "unreadable": len(facts["unreadable"]),
        }
    )


COMPONENT = Component(SPEC, execute, reads, looks_up)
