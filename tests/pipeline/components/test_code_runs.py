"""What a component loads while it works is what its cache key covers."""

import json
import subprocess
import sys

import pytest
import yaml

from pipeline.components import COMPONENTS, get_component
from pipeline.components.tuner import REPORT
from pipeline.orchestration.code_hash import code_of
from tests.architecture import ROOT
from tests.small_trainings import tiny_config

PROTOCOL = {"protocol": "synthetic-loso", "folds": ["speaker-s01"]}


def loaded_by(name, inputs, folder, **parameters):
    """Runs a component apart; returns its outputs and the modules that its key does not cover."""
    component = get_component(name)
    outputs = {key: folder / name / key for key in component.spec.outputs}
    for output in outputs.values():
        output.mkdir(parents=True)
    task = {
        "component": name,
        "inputs": {key: str(path) for key, path in inputs.items()},
        "outputs": {key: str(path) for key, path in outputs.items()},
        "parameters": parameters,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.components.loaded_modules", json.dumps(task)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lookups = component.lookups(component.spec.resolve(parameters, name), inputs)
    covered = code_of(COMPONENTS[name], lookups)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert COMPONENTS[name] in loaded
    return outputs, set(loaded) - set(covered)


@pytest.mark.slow
def test_every_module_that_a_step_loads_is_in_its_key(tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(tiny_config(epochs=1, patience=1).to_dict()))
    corpus, uncovered = loaded_by(
        "corpus_gen", {}, tmp_path, corpus="synthetic", speakers=4, utterances_per_class=3
    )
    assert uncovered == set()
    features, uncovered = loaded_by("feature_gen", corpus, tmp_path, spec="spectrogram200")
    assert uncovered == set()
    _, uncovered = loaded_by("statistics_gen", corpus | features, tmp_path)
    assert uncovered == set()

    space = tmp_path / "space.yaml"
    rate = {"low": 1e-5, "high": 1e-2, "why": "why not"}
    settings = {"optimizer.learning_rate": rate}
    space.write_text(yaml.safe_dump({"recipe": str(recipe), "settings": settings}))
    settings, uncovered = loaded_by(
        "tuner", features, tmp_path, space=str(space), trials=1, **PROTOCOL
    )
    # The page for people, which no step takes in.
    assert uncovered <= set(code_of(REPORT))
    trained, uncovered = loaded_by("trainer", features | settings, tmp_path, **PROTOCOL)
    assert uncovered == set()
    _, uncovered = loaded_by("evaluator", features | trained, tmp_path)
    assert uncovered == set()
    export, uncovered = loaded_by("exporter", features | trained | corpus, tmp_path)
    assert uncovered == set()
    _, uncovered = loaded_by("infra_validator", export | features | trained | corpus, tmp_path)
    assert uncovered == set()
