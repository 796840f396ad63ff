"""Pictures of results. The only module that imports matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ser_keras.errors import ConfigError


def learning_curves(result: Mapping[str, Any], path: Path) -> None:
    """Draws the training loss of every fold over the epochs, and how well it then did.

    Where validation speakers chose the epoch that is their UA over the epochs, otherwise the UA of
    the test part after the last epoch.

    Args:
        result: a cross-validation result, see `training.crossval.summarize_run`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}: pictures need matplotlib. Install it with: pip install 'ser-keras[plot]'"
        ) from error

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for fold in result["folds"]:
        epochs = range(1, len(fold["history"]) + 1)
        left.plot(epochs, [logs["loss"] for logs in fold["history"]], label=fold["fold"])
    left.set(xlabel="epoch", ylabel="training loss (nats)", yscale="log")
    left.legend(title="fold", fontsize="x-small", ncols=2)
    if result["epoch_chosen_by"] == "validation":
        _validation(right, result["folds"])
    else:
        _test(right, result)
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    # Neither date nor random ids: one result gives one file, byte for byte.
    with rc_context({"svg.hashsalt": result["protocol"]["sha256"]}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _validation(axes: Any, folds: Sequence[Mapping[str, Any]]) -> None:
    """Draws validation UA over the epochs, with a dot at the epoch that was kept."""
    for fold in folds:
        values = [100 * logs["valid_ua"] for logs in fold["history"]]
        axes.plot(range(1, len(values) + 1), values)
        axes.plot(fold["epoch"], values[fold["epoch"] - 1], "k.", zorder=3)
    axes.set(xlabel="epoch", ylabel="validation UA (%), dot: epoch kept")


def _test(axes: Any, result: Mapping[str, Any]) -> None:
    """Draws the test UA of every fold after its fixed last epoch, beside chance."""
    folds = result["folds"]
    axes.bar([fold["fold"] for fold in folds], [100 * fold["ua"] for fold in folds])
    axes.axhline(100 / len(result["class_set"]["classes"]), color="black", linestyle="--")
    axes.tick_params(axis="x", rotation=45)
    axes.set(ylabel="test UA (%), dashed: chance", title=f"after epoch {folds[0]['epoch']}")
