import pytest
import yaml

from tests.small_trainings import tiny_config


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """File of a recipe that trains for one epoch."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_config(epochs=1, patience=1).to_dict()))
    return str(path)
