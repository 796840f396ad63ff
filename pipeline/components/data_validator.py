"""Component: compares statistics with a schema kept by hand and with earlier statistics."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.components.tables import CORPORA, Lookup
from pipeline.statistics.anomalies import summary_of, write_anomalies
from pipeline.statistics.drift import drift_between
from pipeline.statistics.file import load_statistics
from pipeline.statistics.schema import DataSchema
from pipeline.statistics.validation import audit_anomalies, validate, validate_drift
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import ConfigError

SPEC = ComponentSpec(
    name="data_validator",
    about="Compares statistics with a schema and with earlier data; refuses data with anomalies.",
    parameters={
        "protocol": Parameter(str, "name of a protocol whose folds are audited for leaks", ""),
        "classes": Parameter(str, "class set; the protocol's own if empty", ""),
        "seed": Parameter(int, "seed of that protocol's folds", 0),
    },
    inputs={
        "statistics": "Statistics",
        "schema": "Schema",
        "features": "Features",
        "earlier": "Statistics",
    },
    outputs={"anomalies": "Anomalies"},
    optional=frozenset({"features", "earlier"}),
)


def looks_up(parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> Iterable[Lookup]:
    """Yields the corpus of the protocol that is audited."""
    from ser_keras.protocols.build import corpus_of_protocol

    if parameters["protocol"]:
        yield CORPORA, corpus_of_protocol(parameters["protocol"])


def execute(task: Task) -> ComponentResult:
    """Validates the statistics and refuses if there is an anomaly.

    Inputs: `statistics`; `schema`, with schema.yaml; `features`, for the audit of a protocol;
    `earlier`, the statistics from which drift is measured. Outputs: `anomalies`, with
    anomalies.json.
    """
    statistics = load_statistics(task.inputs["statistics"])
    schema = DataSchema.load(task.inputs["schema"])
    anomalies, drift = validate(statistics, schema), None
    if "earlier" in task.inputs:
        drift = drift_between(statistics, load_statistics(task.inputs["earlier"]))
        anomalies += validate_drift(drift, schema.drift)
    given = task.parameters
    if protocol := given["protocol"]:
        if "features" not in task.inputs:
            raise ConfigError(
                f"data_validator: found the protocol {protocol} and no features, expected both. "
                "Connect features, whose rows the audit compares."
            )
        feature_set = FeatureSet.open(task.inputs["features"])
        anomalies += audit_anomalies(feature_set, protocol, given["seed"], given["classes"] or None)
    write_anomalies(task.outputs["anomalies"], anomalies, statistics, drift)
    facts = {"anomalies": len(anomalies), "drift": drift}
    return ComponentResult(facts, summary_of(anomalies) if anomalies else "")


COMPONENT = Component(SPEC, execute, looks_up=looks_up)
