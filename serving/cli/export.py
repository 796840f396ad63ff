"""The verb that exports a trained model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ser_keras.cli.console import console, starting
from ser_keras.cli.options import FeatureSets, only_one
from ser_keras.errors import ConfigError
from ser_keras.files import parse_json


def export(
    run: Annotated[
        Path,
        typer.Argument(help="Output folder of `ser train`, `ser crossval` or `ser ensemble`."),
    ],
    features: FeatureSets,
    data_dir: Annotated[
        Path, typer.Option(help="Folder of the corpus, whose recordings check the export.")
    ],
    base: Annotated[Path, typer.Option(help="Folder of the server's models.")] = Path("models"),
    fold: Annotated[
        str | None, typer.Option(help="Fold of the run; required if the run has several.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name on the server; the system's name, or `ensemble`, by default."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Version number; the next free one by default.")
    ] = None,
    worth: Annotated[
        Path | None,
        typer.Option(
            help="JSON that says what a model trained on everyone is worth, for its card; see "
            "docs/serving.md."
        ),
    ] = None,
) -> None:
    """Write a trained model as a SavedModel that takes raw speech, check it and publish it."""
    with starting() as status:
        from ser_keras.experiments.ensemble import is_ensemble

        status.update("reading the run")
        write = _ensemble if is_ensemble(run) else _model
        if worth is not None and write is _ensemble:
            raise ConfigError(
                f"--worth {worth}: found an ensemble in {run}, which has scores of its own, "
                "expected a model that was trained on everyone. Leave out --worth."
            )
        publish = write(run, features, fold)
        status.update("writing and checking the SavedModel")
        more = {"worth": _read_worth(worth)} if worth else {}
        folder = publish(data_dir, base, name=name, version=version, **more)
    console.print(f"published {folder}; its model card: {folder / 'assets.extra/model_card.md'}")


def _read_worth(path: Path) -> dict[str, Any]:
    """Returns what a file says that a model is worth.

    Raises:
        ConfigError: it is missing, no JSON, or says something else.
    """
    from serving.ready.worth import check_worth

    try:
        worth: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        check_worth(worth)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--worth {path}: cannot be read ({type(error).__name__}: {error}), expected a file "
            "like those of benchmarks/ready_model/worth.py."
        ) from None
    return worth


def _model(run: Path, features: list[Path], fold: str | None) -> Callable[..., Path]:
    from serving.export.export import export_model
    from serving.export.trained_model import open_run

    return partial(export_model, open_run(run, only_one(features, run), fold))


def _ensemble(run: Path, features: list[Path], fold: str | None) -> Callable[..., Path]:
    from serving.export.ensembles.export import export_ensemble
    from serving.export.ensembles.opened import open_ensemble

    return partial(export_ensemble, open_ensemble(run, features, fold))
