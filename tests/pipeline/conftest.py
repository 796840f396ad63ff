"""A small corpus with a table, and ways to look at what the job made of it."""

import itertools
from pathlib import Path

import pytest

from pipeline.components import COMPONENTS
from pipeline.features.job import build_feature_set
from ser_keras.corpora import manifest
from ser_keras.corpora.base import Utterance
from ser_keras.features.specs import get_spec
from tests import trees
from tests.bad_audio import make_zoo
from tests.pipeline.toy_pipeline import ToyPipeline, register

SPEC = get_spec("logmel23")
SPEAKERS = ("anna", "bert", "cleo")
LABELS = ("angry", "sad")


def write_table(root: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Writes `manifest.csv` with the rows (path, label, speaker)."""
    text = "path,label,speaker\n" + "".join(",".join(row) + "\n" for row in rows)
    return trees.manifest(root, text)


def write_corpus(root: Path, copies: int = 4) -> Path:
    """Writes recordings of three speakers and two labels, of different lengths."""
    rows = []
    for number, (speaker, label, copy) in enumerate(
        itertools.product(SPEAKERS, LABELS, range(copies))
    ):
        name = f"{speaker}/{label}{copy}.wav"
        trees.write_noise(root / name, seed=number, seconds=0.1 + 0.01 * number)
        rows.append((name, label, speaker))
    write_table(root, rows)
    return root


def snapshot(folder: Path) -> dict[str, bytes]:
    """Returns the content of every file of a folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Steps(list):
    """A progress callback that remembers the steps."""

    def __call__(self, step, done, total):
        if step not in self:
            self.append(step)


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


@pytest.fixture
def build(corpus, tmp_path):
    """Returns a function that runs the job on the small corpus."""

    def run(data_dir=corpus, output=tmp_path / "features", spec=SPEC, **options):
        return build_feature_set("manifest", data_dir, spec, output, **options)

    return run


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """(version's folder, run, features, corpus's artifact) of a tiny real export."""
    from tests.pipeline import exported

    return exported.make(tmp_path_factory.mktemp("export"))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """A folder of good and damaged recordings, and what must become of each by name.

    The reader is replaced by one that takes whatever lies in a folder: the real ones refuse some of
    these before the job sees them.
    """

    def read(root, **_):
        return [
            Utterance(f"zoo/{path.name}", path, "sad", "anna", "zoo")
            for path in root.iterdir()
            if path.suffix != ".csv"
        ]

    monkeypatch.setattr(manifest, "read", read)
    root = tmp_path / "zoo"
    return root, {path.name: kind for path, kind in make_zoo(root)}


@pytest.fixture
def toys(monkeypatch):
    """The toy components stand beside the real ones."""
    for name, module in register("tests.pipeline.toys").items():
        monkeypatch.setitem(COMPONENTS, name, module)


@pytest.fixture
def toy(tmp_path, toys):
    """A pipeline of toys that was not run yet."""
    return ToyPipeline(tmp_path)
