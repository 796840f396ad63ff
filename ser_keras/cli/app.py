"""The command `ser`. Every package contributes its verbs through an entry-point group."""

import os
import sys
from importlib.metadata import entry_points

import typer
from rich.console import Console

from ser_keras import __version__
from ser_keras.errors import SerError

VERBS = "ser_keras.commands"


def make_app() -> typer.Typer:
    """Returns the command-line application with the verbs of all installed packages."""
    app = typer.Typer(
        name="ser",
        help="Speech emotion recognition: from recordings to honest scores and served models.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for verb in sorted(entry_points(group=VERBS), key=lambda point: point.name):
        loaded = verb.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=verb.name)
        else:
            app.command(verb.name, context_settings=_settings(verb.name))(loaded)

    @app.callback(invoke_without_command=True)
    def version(
        show: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if show:
            typer.echo(f"ser {__version__}")
            raise typer.Exit

    return app


def _settings(verb: str) -> dict[str, bool]:
    # What follows `--` on the line of a Beam job belongs to Beam.
    beam = verb in ("features", "statistics")
    return {"allow_extra_args": beam, "ignore_unknown_options": False}


def main() -> None:
    """Runs the command line; a SerError becomes one sentence and its class's exit code."""
    # At 2, TensorFlow 2.16 logs three errors of no consequence about CUDA at every start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow switches oneDNN on by itself on some processors only; on the others (AVX2 without
    # AVX-512) it makes a training step of the convolutional models 1.5 times quicker.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # gRPC's event engine hands each message to one more thread: 0.4 ms a call on two cores.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
    try:
        make_app()()
    except SerError as error:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"[bold red]error:[/] {type(error).__name__}: ", end="")
        console.print(str(error), markup=False)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
