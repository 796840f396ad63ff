"""The components by name."""

import importlib

from pipeline.components.contract import Component
from ser_keras.errors import ConfigError, unknown_name

# A component is imported when a pipeline uses it.
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
