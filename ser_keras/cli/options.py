"""Options that several verbs share, and what they lead to."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.corpora.catalogue import OWN_FOLDER
from ser_keras.errors import ConfigError


def _use_own_corpora(folder: Path | None) -> Path | None:
    """Makes the corpora of a folder known, in the processes that the verb starts as well."""
    if folder is not None:
        os.environ[OWN_FOLDER] = str(folder.absolute())
    return folder


OwnCorpora = Annotated[
    Path | None,
    typer.Option(
        "--corpora",
        envvar=OWN_FOLDER,
        callback=_use_own_corpora,
        help="Folder of your own corpora, one YAML file each. For verbs without this option, set "
        "the environment variable.",
    ),
]
Features = Annotated[Path, typer.Option(help="Output folder of `ser features`.")]
FeatureSets = Annotated[
    list[Path],
    typer.Option(
        "--features",
        help="Output folder of `ser features`; of an ensemble, once for each kind of features "
        "that its members were trained on.",
    ),
]
ProtocolName = Annotated[str, typer.Option(help="Named protocol; see `ser corpora NAME`.")]
ClassSetName = Annotated[
    str | None, typer.Option("--classes", help="Class set; the protocol's own by default.")
]
OnlyFolds = Annotated[
    list[str] | None,
    typer.Option("--fold", help="Only this fold; may be repeated. All folds by default."),
]
Recipe = Annotated[str, typer.Option(help="Name of a recipe, or a YAML file.")]
Recipes = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe",
        help="Name of a recipe, or a YAML file; may be repeated, and each fold's validation "
        "speakers choose one.",
    ),
]
Unlabelled = Annotated[
    list[Path] | None,
    typer.Option(
        help="Further features to train on without labels; those of test speakers are left out."
    ),
]
Joint = Annotated[
    list[Path] | None,
    typer.Option(
        help="Features of another corpus to train on with its labels, in a share of the batches; "
        "speech of test speakers is left out."
    ),
]
DEFAULT_RECIPE = "alexnet_fcn"
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Change one key, such as --set epochs=20.")
]
Output = Annotated[
    Path,
    typer.Option(help="Folder of the run. After an interruption the same command continues it."),
]
Results = Annotated[
    Path | None,
    typer.Option(help="Also write the result into this folder, from which `ser report` reads."),
]
ResultsAndPicture = Annotated[
    Path | None, typer.Option("--results", help="Also write result and picture to this folder.")
]
Seed = Annotated[int, typer.Option(help="Seed of the folds.")]
Strategy = Annotated[
    str,
    typer.Option(
        help="Devices to train on: none (a single one), mirrored (all of this machine) or "
        "multiworker (the machines in TF_CONFIG)."
    ),
]


def open_features(
    features: Path, protocol: str, class_set: str | None, seed: int
) -> tuple[Any, Any]:
    """Returns a feature set and its folds; prints what their names and classes are warned of.

    Raises:
        ConfigError: no such protocol, or the name of a feature spec in place of a folder.
        SchemaError: no feature set is there.
    """
    from ser_keras.audit import audit_labels
    from ser_keras.cli.console import print_findings
    from ser_keras.data.feature_set import FeatureSet
    from ser_keras.errors import ConfigError
    from ser_keras.features.specs import SPECS
    from ser_keras.protocols import build_protocol

    if str(features) in SPECS and not features.exists():
        raise ConfigError(
            f"--features {features}: found the name of features, expected a folder of them. Make "
            f"it: ser features --corpus CORPUS --data-dir DIR --spec {features} --output FOLDER"
        )
    feature_set = FeatureSet.open(features)
    folds = build_protocol(protocol, feature_set.rows, class_set=class_set, seed=seed)
    findings = audit_labels(folds, feature_set.rows)
    print_findings([finding for finding in findings if finding.severity == "warn"], nothing="")
    return feature_set, folds


def only_one(features: list[Path], run: Path) -> Path:
    """Returns the one folder of features that a run needs.

    Raises:
        ConfigError: several are given.
    """
    from ser_keras.errors import ConfigError

    if len(features) > 1:
        raise ConfigError(
            f"--features: found {len(features)} folders, expected one, since {run} is no ensemble."
        )
    return features[0]


def pairs_of(
    option: str, values: Sequence[str] | None, separator: str | None = ","
) -> dict[str, str]:
    """Returns what `NAME=VALUE,NAME=VALUE` says, in one or several options."""
    pairs: dict[str, str] = {}
    for text in values or ():
        for pair in text.split(separator) if separator else [text]:
            name, equals, value = pair.partition("=")
            if not (equals and name.strip()):
                raise ConfigError(f"{option} {text}: found {pair!r}, expected NAME=VALUE.")
            pairs[name.strip()] = value.strip()
    return pairs
