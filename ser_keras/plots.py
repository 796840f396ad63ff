"""Pictures of results. The only module that imports matplotlib."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser_keras.errors import ConfigError


def learning_curves(result: Mapping[str, Any], path: Path) -> None:
    """Draws training loss and, where there is one, validation UA of every fold over the epochs.

    Args:
        result: a cross-validation result, see `training.crossval.summarize_run`.
        path: Path. `.svg` or `.png`.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
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
        if "valid_ua" in fold["history"][0]:
            right.plot(epochs, [100 * logs["valid_ua"] for logs in fold["history"]])
            right.plot(
                fold["epoch"], 100 * fold["history"][fold["epoch"] - 1]["valid_ua"], "k.", zorder=3
            )
        else:
            right.plot([fold["epoch"]], [100 * fold["ua"]], "o")
    left.set(xlabel="epoch", ylabel="training loss (nats)", yscale="log")
    chosen = "validation UA (%), dot: epoch kept"
    fixed = "test UA after the fixed last epoch (%)"
    right.set(xlabel="epoch", ylabel=chosen if result["epoch_chosen_by"] == "validation" else fixed)
    left.legend(title="fold", fontsize="x-small", ncols=2)
    figure.suptitle(f"{result['model']} on {result['dataset']}, {result['protocol']['name']}")
    # Neither date nor random ids: one result gives one file, byte for byte.
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
