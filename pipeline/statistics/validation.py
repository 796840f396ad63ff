"""Compares statistics with a schema and with earlier data; every difference is an anomaly.

Every check is a generator of anomalies; nothing here reads data. The audit finds leaks and copies,
and its findings become anomalies as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.statistics.anomalies import Anomaly
from pipeline.statistics.drift import DRIFT_LIMITS
from pipeline.statistics.file import label_shares, num_copies
from pipeline.statistics.schema import DataSchema
from ser_keras import audit
from ser_keras.data.feature_set import FeatureSet
from ser_keras.errors import LeakageError
from ser_keras.protocols import build_protocol

_GIVE_CORPUS = "Give the corpus (--data-dir), or set the limit to null."


def validate(statistics: Mapping[str, Any], schema: DataSchema) -> list[Anomaly]:
    """Returns where the statistics deviate from the schema, in the schema's order."""
    return [
        *_check_features(statistics, schema),
        *_check_labels(statistics, schema),
        *_check_speakers(statistics, schema),
        *_check_durations(statistics["duration_s"], schema.duration_s),
        *_check_recordings(statistics, schema),
        *_check_losses(statistics, schema),
    ]


def validate_drift(drift: Mapping[str, Any], limits: Mapping[str, float]) -> list[Anomaly]:
    """Returns where new data drift further from earlier data than is allowed.

    Args:
        drift: see `pipeline.statistics.drift.drift_between`.
        limits: mapping of each of its measures to its limit.
    """
    about = {
        "label_share_change": f"share of label {drift['label']}",
        "duration_psi": "stability index of the durations",
        "mean_shift": f"mean of feature {drift['feature']}, in deviations",
    }
    return [
        Anomaly(
            f"drift: {about[name]}",
            f"a change of {drift[name]:.3g}",
            f"at most {limit:g} ({name})",
            "Look at the picture. If the new data are right, train with them and compare with "
            "these from then on; if not, find out what changed in recording or labelling.",
        )
        for name, limit in limits.items()
        if drift[name] > limit
    ]


def audit_anomalies(
    feature_set: FeatureSet, protocol: str, seed: int = 0, class_set: str | None = None
) -> list[Anomaly]:
    """Returns the findings of the audit of a protocol's folds that must prevent training.

    Args:
        feature_set: the features.
        protocol: str. Name of a protocol.
        seed: int. Seed of its folds.
        class_set: str. Name of a class set; the protocol's own when None.

    Raises:
        ConfigError: the protocol does not fit these data.
    """
    try:
        rows = feature_set.rows
        folds = build_protocol(protocol, rows, class_set=class_set, seed=seed)
        findings = audit.audit_protocol(folds, rows)
        leaks = {
            finding.check: finding.message for finding in findings if finding.severity == "fail"
        }
    except LeakageError as error:
        leaks = {"speakers": str(error)}
    return [
        Anomaly(
            f"audit: {check}",
            message.rstrip("."),
            f"folds of {protocol} that share nothing they should not",
            "Mend the data, or take another protocol.",
        )
        for check, message in leaks.items()
    ]


def find_anomalies(
    statistics: Mapping[str, Any],
    schema: DataSchema | None,
    drift: Mapping[str, Any] | None,
    features: Path | None = None,
    protocol: str = "",
    class_set: str | None = None,
) -> list[Anomaly]:
    """Returns all anomalies of a data set; each check is optional.

    Args:
        statistics: those of the data.
        schema: what the data have to be.
        drift: drift from earlier data, limited by the schema or by `DRIFT_LIMITS`.
        features: feature set whose folds are audited.
        protocol: str. Protocol of these folds.
        class_set: str. Name of a class set; the protocol's own when None.
    """
    anomalies = validate(statistics, schema) if schema else []
    if drift:
        anomalies += validate_drift(drift, schema.drift if schema else DRIFT_LIMITS)
    if features is not None:
        anomalies += audit_anomalies(FeatureSet.open(features), protocol, class_set=class_set)
    return anomalies


# === Checks ===


def _check_features(statistics: Mapping[str, Any], schema: DataSchema) -> Iterator[Anomaly]:
    for name in ("spec_name", "dim", "dtype", "sample_rate_hz"):
        actual, expected = statistics["data"][name], getattr(schema, name)
        if actual != expected:
            action = "Make the features with the expected --spec, or correct the schema."
            yield Anomaly(name, str(actual), str(expected), action)
    not_finite = statistics["features"]["not_finite"]
    if not_finite > schema.max_not_finite:
        yield Anomaly(
            "features",
            f"{not_finite} values that are NaN or infinite",
            f"at most {schema.max_not_finite} (max_not_finite)",
            "Make the features again; if this persists, look for recordings without any signal.",
        )


def _check_labels(statistics: Mapping[str, Any], schema: DataSchema) -> Iterator[Anomaly]:
    shares, counts = label_shares(statistics), statistics["counts"]["label"]
    for label in sorted(set(shares) - set(schema.labels)):
        yield Anomaly(
            f"label {label}",
            f"{counts[label]} utterances",
            f"one of {', '.join(sorted(schema.labels))}",
            "Correct the label if it is misspelt, or add it to the schema.",
        )
    for label, (low, high) in schema.labels.items():
        share, count = shares.get(label, 0.0), counts.get(label, 0)
        if not low <= share <= high:
            yield Anomaly(
                f"label {label}",
                f"{share:.1%} of the utterances",
                f"{low:.1%} to {high:.1%}",
                "Check whether recordings are missing or doubled; if not, correct the schema.",
            )
        if count < schema.min_utterances_per_label:
            yield Anomaly(
                f"label {label}",
                f"{count} utterances",
                f"at least {schema.min_utterances_per_label} (min_utterances_per_label)",
                "Record more, or leave the label out.",
            )


def _check_speakers(statistics: Mapping[str, Any], schema: DataSchema) -> Iterator[Anomaly]:
    counts = statistics["counts"]["speaker"]
    if len(counts) < schema.min_speakers:
        yield Anomaly(
            "speakers",
            str(len(counts)),
            f"at least {schema.min_speakers} (min_speakers)",
            "Get the whole corpus; too few speakers say nothing about others.",
        )
    if schema.speakers is not None:
        for speaker in sorted(set(counts) ^ set(schema.speakers)):
            is_unknown = speaker in counts
            yield Anomaly(
                f"speaker {speaker}",
                f"{counts.get(speaker, 0)} utterances",
                "none: the schema does not name this speaker" if is_unknown else "some",
                "Correct the name, or the list of speakers in the schema.",
            )
    for speaker, count in counts.items():
        if count < schema.min_utterances_per_speaker:
            yield Anomaly(
                f"speaker {speaker}",
                f"{count} utterances",
                f"at least {schema.min_utterances_per_speaker} (min_utterances_per_speaker)",
                "Check whether recordings are missing, or leave the speaker out.",
            )


def _check_durations(durations: Mapping[str, Any], allowed: Sequence[float]) -> Iterator[Anomaly]:
    low, high = allowed
    shortest, longest = durations["lowest"], durations["highest"]
    outside = [shortest] * (shortest["value"] < low) + [longest] * (longest["value"] > high)
    for extreme in outside:
        yield Anomaly(
            "duration_s",
            f"{extreme['value']:.2f} s ({extreme['key']})",
            f"{low:g} to {high:g} s",
            "Cut the recording into utterances, or correct the schema.",
        )


def _check_recordings(statistics: Mapping[str, Any], schema: DataSchema) -> Iterator[Anomaly]:
    for name in ("silence_ratio", "clipping_ratio"):
        limit, ratio = getattr(schema, f"max_{name}"), statistics[name]
        if limit is None:
            continue
        if ratio is None:
            yield Anomaly(name, "no measured recordings", f"at most {limit:g}", _GIVE_CORPUS)
        elif ratio["highest"]["value"] > limit:
            yield Anomaly(
                name,
                f"{ratio['highest']['value']:.3f} ({ratio['highest']['key']})",
                f"at most {limit:g} (max_{name})",
                "Listen to the recording; record it again, or remove it from the corpus.",
            )
    for reason, count in statistics["unheard"].items():
        yield Anomaly(
            "recordings",
            f"{count} that are {reason}",
            "the files that the features were made from",
            "Give the right --data-dir, or make the features again.",
        )


def _check_losses(statistics: Mapping[str, Any], schema: DataSchema) -> Iterator[Anomaly]:
    dead = sum(statistics["dead"].values())
    share = dead / (dead + statistics["utterances"])
    if share > schema.max_dead_ratio:
        yield Anomaly(
            "recordings",
            f"{dead} that could not be used ({share:.1%})",
            f"at most {schema.max_dead_ratio:.1%} (max_dead_ratio)",
            "See dead_letters.jsonl of the feature set.",
        )
    copies = num_copies(statistics)
    if copies > schema.max_copies:
        yield Anomaly(
            "recordings",
            f"{copies} that are copies of others, such as {' = '.join(statistics['copies'][0])}",
            f"at most {schema.max_copies} (max_copies)",
            "Remove all but one of each.",
        )
