"""The tables whose modules are imported when an entry is used, and what a component looks up there.

The code behind an entry is part of what a component runs, though no import statement names it. A
component therefore yields its lookups (`Component.looks_up`) from what decides them: a recipe, a
feature set, a corpus, a run.
"""

# Dotted name of a table, and the key of an entry.
Lookup = tuple[str, str]

MODELS = "ser_keras.models.MODELS"
CORPORA = "ser_keras.corpora.catalogue.READERS"
FEATURE_KINDS = "ser_keras.features.specs.KINDS"
# Nobody looks up a component: the runner, which does, is no part of a component's work.
TABLES = (MODELS, CORPORA, FEATURE_KINDS, "pipeline.components.COMPONENTS")
