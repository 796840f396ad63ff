"""The components by name: a table, and the one way to get one."""

import importlib

from pipeline.components.contract import Component
from ser_keras.errors import ConfigError, unknown_name

# Imported when a pipeline asks for them.
COMPONENTS = {
    "corpus_gen": "pipeline.components.corpus_gen",
    "feature_gen": "pipeline.components.feature_gen",
    "statistics_gen": "pipeline.components.statistics_gen",
    "data_validator": "pipeline.components.data_validator",
    "tuner": "pipeline.components.tuner",
    "trainer": "pipeline.components.trainer",
    "evaluator": "pipeline.components.evaluator",
    "exporter": "pipeline.components.exporter",
    "infra_validator": "pipeline.components.infra_validator",
    "pusher": "pipeline.components.pusher",
}


def get_component(name: str) -> Component:
    """Returns the component called `name`.

    Raises:
        ConfigError: no such component; the nearest names are suggested.
    """
    if name not in COMPONENTS:
        raise ConfigError(unknown_name("component", name, COMPONENTS))
    component: Component = importlib.import_module(COMPONENTS[name]).COMPONENT
    return component
