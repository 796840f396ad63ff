"""The components that read, compute, train and export, alone and as one pipeline."""

import json
import shutil
from importlib import resources

import pytest
import yaml

from pipeline.components import get_component
from pipeline.components.contract import Task
from pipeline.features.corpus_artifact import CORPUS, load_corpus
from pipeline.orchestration.pipeline_file import example_names, load_pipeline
from pipeline.orchestration.runner import run_pipeline
from ser_keras.corpora.synthetic import write_corpus
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError, CorpusError, SchemaError
from tests.pipeline.conftest import LABELS, SPEAKERS

SMALL = {"corpus": "synthetic", "speakers": 2, "utterances_per_class": 1}


@pytest.fixture
def run(tmp_path):
    """Returns a function that executes a component on folders."""

    def execute(name, inputs=None, /, **parameters):
        component = get_component(name)
        folders = {key: tmp_path / f"made-{name}" / key for key in component.spec.outputs}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=component.spec.resumes)
        resolved = component.spec.resolve(parameters, name)
        result = component.execute(Task(inputs or {}, folders, resolved))
        return result, folders

    return execute


def read_by(name, /, **parameters):
    component = get_component(name)
    return component.files_read(component.spec.resolve(parameters, name))


# === corpus_gen ===


def test_a_corpus_is_listed_with_content_labels_and_speakers(run, corpus):
    result, outputs = run("corpus_gen", corpus="manifest", data_dir=str(corpus))
    assert result.facts["recordings"] == 24
    assert result.facts["labels"] == dict.fromkeys(LABELS, 12)
    assert result.facts["speakers"] == [f"manifest/{name}" for name in SPEAKERS]
    assert result.refusal == ""
    artifact = load_corpus(outputs["corpus"])
    assert (artifact.corpus, artifact.data_dir) == ("manifest", corpus)
    assert len(set(artifact.sha256_of.values())) == 24


def test_copies_and_files_that_cannot_be_read_are_listed(run, tmp_path):
    root = write_corpus(tmp_path / "speech", num_speakers=1, utterances_per_class=2)
    shutil.copy(root / "s01/s01_sad_00.wav", root / "s01/s01_sad_01.wav")
    (root / "s01/s01_angry_00.wav").unlink()
    (root / "s01/s01_angry_00.wav").symlink_to("nowhere")
    result, outputs = run("corpus_gen", corpus="synthetic", data_dir=str(root))
    assert (result.facts["copies"], result.facts["unreadable"]) == (1, 1)
    facts = json.loads((outputs["corpus"] / CORPUS).read_text())
    assert facts["copies"] == [["synthetic/s01_sad_00", "synthetic/s01_sad_01"]]
    assert facts["unreadable"] == ["synthetic/s01_angry_00"]


def test_the_synthetic_corpus_is_made_in_the_artifact(run):
    result, outputs = run("corpus_gen", **SMALL)
    artifact = load_corpus(outputs["corpus"])
    assert result.facts["recordings"] == 8
    assert len(list(artifact.data_dir.rglob("*.wav"))) == 8
    assert outputs["corpus"] in artifact.data_dir.parents


def test_a_real_corpus_needs_its_folder(run):
    with pytest.raises(ConfigError, match="data_dir is missing"):
        run("corpus_gen", corpus="emodb")


def test_a_folder_counts_as_a_whole_and_a_table_with_its_recordings(corpus):
    assert read_by("corpus_gen", corpus="manifest", data_dir=str(corpus)) == [corpus]
    table = corpus / "manifest.csv"
    paths = read_by("corpus_gen", corpus="manifest", data_dir=str(table))
    assert paths[0] == table
    assert len(paths) == 25
    assert read_by("corpus_gen", corpus="synthetic") == []


# === feature_gen ===


@pytest.fixture
def listed(run, corpus):
    return run("corpus_gen", corpus="manifest", data_dir=str(corpus))[1]["corpus"]


def test_features_are_made_of_a_corpus(run, listed):
    result, outputs = run("feature_gen", {"corpus": listed}, spec="logmel23", name="mine")
    feature_set = FeatureSet.open(outputs["features"])
    assert len(feature_set.rows) == result.facts["records"] == 24
    assert feature_set.schema.name == "mine"
    assert result.facts["speakers"] == [f"manifest/{name}" for name in SPEAKERS]


def test_a_recording_that_was_changed_meanwhile_is_refused(run, listed, corpus):
    shutil.copy(corpus / "anna/sad0.wav", corpus / "bert/sad0.wav")
    with pytest.raises(CorpusError, match="1 recordings were changed while the pipeline ran"):
        run("feature_gen", {"corpus": listed}, spec="logmel23")


def test_a_folder_that_is_no_corpus_is_an_error(run, tmp_path):
    with pytest.raises(SchemaError, match="could not be read as a corpus"):
        run("feature_gen", {"corpus": tmp_path}, spec="logmel23")


# === trainer, tuner, exporter ===


@pytest.mark.parametrize(
    ("name", "parameters", "read"),
    [
        ("trainer", {"protocol": "p", "recipe": "moma"}, ["moma.yaml"]),
        ("trainer", {"protocol": "p", "weights": "w.npy"}, ["demo.yaml", "w.npy"]),
        ("tuner", {"protocol": "p", "space": "demo"}, ["demo.yaml", "demo.yaml"]),
    ],
)
def test_recipes_spaces_and_weights_count_by_their_content(name, parameters, read):
    assert [path.name for path in read_by(name, **parameters)] == read


def test_an_unknown_recipe_is_known_before_anything_is_trained():
    with pytest.raises(ConfigError, match="did you mean 'moma'"):
        read_by("trainer", protocol="p", recipe="momma")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """File of a recipe that trains for one epoch."""
    from tests.small_trainings import tiny_config

    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_config(epochs=1, patience=1).to_dict()))
    return str(path)


@pytest.mark.slow
def test_the_tuner_s_best_is_what_the_trainer_trains_and_the_exporter_exports(
    run, recipe, tmp_path
):
    space = tmp_path / "space.yaml"
    rate = {"low": 1e-5, "high": 1e-2, "why": "why not"}
    space.write_text(
        yaml.safe_dump({"recipe": recipe, "settings": {"optimizer.learning_rate": rate}})
    )
    corpus = run("corpus_gen", corpus="synthetic", speakers=4, utterances_per_class=3)[1]
    features = run("feature_gen", corpus, spec="spectrogram200")[1]
    folds = {"protocol": "synthetic-loso", "folds": ["speaker-s01"]}
    search, settings = run("tuner", features, space=str(space), trials=2, **folds)
    assert search.facts["trials"] == 2
    assert list(settings["settings"].rglob("*.keras")) == []
    assert (settings["settings"] / "search.html").is_file()
    best = yaml.safe_load((settings["settings"] / "best.yaml").read_text())

    trained, model = run("trainer", features | settings, set=["batch.size=4"], **folds)
    used = yaml.safe_load((model["model"] / "recipes/best.yaml").read_text())
    assert used["optimizer"] == best["optimizer"]
    assert used["batch"]["size"] == 4
    assert trained.facts["folds"] == ["speaker-s01"]
    # The fold's test speaker influenced nothing.
    assert trained.facts["speakers"] == [f"synthetic/s0{number}" for number in (2, 3, 4)]

    exported, export = run("exporter", model | features | corpus, name="mine")
    assert exported.facts["name"] == "mine"
    names = {path.name for path in export["export"].iterdir()}
    assert {"saved_model.pb", "variables", "assets.extra"} <= names
    assert not any(name.startswith(".") for name in names)


@pytest.fixture
def demo(tmp_path, recipe):
    """The pipeline of the demonstration on a smaller corpus, with a recipe of one epoch."""
    shipped = resources.files("pipeline") / "examples"
    values = yaml.safe_load((shipped / "demo.yaml").read_text())
    values["root"] = "root"
    nodes = values["nodes"]
    nodes["corpus"]["parameters"] |= {"speakers": 4, "utterances_per_class": 5}
    nodes["trainer"]["parameters"]["recipe"] = recipe
    nodes["evaluator"]["parameters"] = {"lowest": {"all": {"ua": 0.0}}}
    schema = yaml.safe_load((shipped / "schemas/demo.yaml").read_text())
    schema |= {"speakers": None, "min_speakers": 4, "min_utterances_per_label": 20}
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/demo.yaml").write_text(yaml.safe_dump(schema))
    path = tmp_path / "demo.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.mark.slow
def test_the_demonstration_runs_to_a_published_model_and_then_has_nothing_to_do(
    demo, tmp_path, monkeypatch, ser
):
    monkeypatch.chdir(tmp_path)
    code, out, err = ser("run", demo)
    assert code == 0, err
    assert "pusher: done" in out
    (version,) = tmp_path.glob("models/*/[0-9]*")
    assert (version / "saved_model.pb").is_file()
    code, out, _ = ser("run", demo)
    assert code == 0
    assert out.count(": cached") == 9
    assert ser("lineage", "verify", "root")[0] == 0
    code, out, _ = ser("lineage", "delete-speaker", "root", "s02", "--yes")
    assert code == 0
    assert not version.exists()
    assert list(tmp_path.glob("root/[!.]*/*/*")) == []


@pytest.mark.slow
def test_data_with_anomalies_are_not_trained_on_and_the_command_says_so(
    demo, tmp_path, monkeypatch, ser
):
    monkeypatch.chdir(tmp_path)
    schema = tmp_path / "schemas/demo.yaml"
    schema.write_text(schema.read_text().replace("min_speakers: 4", "min_speakers: 5"))
    code, out, err = ser("run", demo)
    assert code == 10, err
    assert "node validator refuses: 1 anomal" in err
    assert "trainer: skipped: validator refused" in out


def test_a_pipeline_with_nothing_to_do_loads_nothing_heavy(tmp_path):
    """Packages that take seconds to import are imported only when they are needed."""
    from tests.loaded import loaded_after

    values = {
        "name": "small",
        "root": str(tmp_path / "root"),
        "nodes": {
            "corpus": {"component": "corpus_gen", "parameters": SMALL},
            "features": {
                "component": "feature_gen",
                "inputs": {"corpus": "corpus"},
                "parameters": {"spec": "logmel23"},
            },
        },
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values))
    run_pipeline(load_pipeline(path))
    code = (
        "import sys\nfrom ser_keras.cli.app import main\n"
        f"sys.argv = ['ser', 'run', {str(path)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    # The kinds of features, which a step's key counts, are modules of NumPy.
    assert loaded_after(code) == {"numpy"}


# === The picture ===


@pytest.mark.parametrize("name", example_names())
def test_the_graph_names_every_node_and_what_goes_between_them(name, tmp_path, ser):
    code, _, err = ser("run", name, "--graph", tmp_path / "graph.svg")
    assert code == 0, err
    svg = (tmp_path / "graph.svg").read_text()
    for node in load_pipeline(name).nodes:
        assert f"<!-- {node.name}" in svg
        for kind in node.component.spec.outputs.values():
            assert f"<!-- {kind} -->" in svg or kind in ("Anomalies", "Pushed")
    ser("run", name, "--graph", tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == svg
