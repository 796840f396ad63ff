"""A folder of speech, or a synthetic corpus, into a list of recordings with their content."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentSpec, Outcome, Parameter, Task
from ser_keras.errors import ConfigError

SPEC = ComponentSpec(
    name="corpus_gen",
    about="Reads a corpus and checks that it is whole; makes it, if it is the synthetic one.",
    parameters={
        "corpus": Parameter(str, "name of the corpus, see `ser corpora`", required=True),
        "data_dir": Parameter(str, "folder of the corpus; the synthetic one needs none", ""),
        "allow_partial": Parameter(bool, "whether a partial or doubled copy is accepted", False),
        "speakers": Parameter(int, "how many, of the synthetic corpus", 6),
        "utterances_per_class": Parameter(int, "of each speaker of the synthetic corpus", 10),
        "seed": Parameter(int, "of the synthetic corpus", 0),
    },
    outputs={"corpus": "Corpus"},
)


def reads(parameters: Mapping[str, Any]) -> Iterable[Path]:
    """Gives the corpus's folder; of a table, the table and the recordings that it names."""
    data_dir = Path(parameters["data_dir"])
    if not parameters["data_dir"]:
        return
    yield data_dir
    if data_dir.is_file():
        from ser_keras.corpora import read_corpus

        for utterance in read_corpus(parameters["corpus"], data_dir, allow_partial=True):
            yield Path(utterance.path)


def execute(task: Task) -> Outcome:
    """Lists and hashes the recordings.

    Outputs: `corpus`, see `pipeline.features.corpus_artifact`.
    """
    from pipeline.features.corpus_artifact import OWN_AUDIO, write_corpus
    from pipeline.features.recordings import list_sources
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
    sources = list_sources(corpus, root, allow_partial=given["allow_partial"])
    said = write_corpus(folder, corpus, data_dir and str(root), given["allow_partial"], sources)
    return Outcome(
        {
            "recordings": said["recordings"],
            "labels": said["labels"],
            "speakers": sorted(said["speakers"]),
            "copies": len(said["copies"]),
            "unreadable": len(said["unreadable"]),
        }
    )


COMPONENT = Component(SPEC, execute, reads)
