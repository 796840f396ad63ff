"""Options that the verbs of the Beam jobs share."""

from typing import Annotated

import typer

from ser_keras.errors import ConfigError

Workers = Annotated[int, typer.Option(help="Number of processes on this machine.")]


def beam_args_of(context: typer.Context) -> list[str]:
    """Returns the arguments after `--` on a command line.

    Raises:
        ConfigError: the first of them is not an option.
    """
    if context.args and not context.args[0].startswith("-"):
        raise ConfigError(
            f"ser {context.info_name}: found {context.args[0]!r}, expected an option. Give options "
            "of this command as --name value, and those of Beam after `--`."
        )
    return list(context.args)
