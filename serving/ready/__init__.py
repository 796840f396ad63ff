"""The model that comes with the package, for everybody who has none of their own."""

from pathlib import Path

from ser_keras.errors import ConfigError

NAME = "ready"
FOLDER = Path(__file__).parent / "model" / NAME


def ready_model() -> Path:
    """Returns the folder of the ready model, whose versions lie in it.

    Raises:
        ConfigError: this installation lacks it.
    """
    if not FOLDER.is_dir():
        raise ConfigError(
            f"ready model: found no folder {FOLDER}, expected the model that comes with the "
            "package. Install the package again, or name a model of your own with --model."
        )
    return FOLDER


__all__ = ["FOLDER", "NAME", "ready_model"]
