"""The command `ser`. Every package contributes its verbs through an entry-point group."""

import atexit
import gc
import inspect
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from ser_keras import __version__
from ser_keras.cli.console import ConsoleHandler, error_console
from ser_keras.errors import SerError, system_error

VERBS = "ser_keras.commands"
# The verbs by task, in the order in which a newcomer needs them.
TASKS = {
    "Start here": ("demo", "predict", "explain", "web"),
    "Get data": ("corpora", "download", "import", "audit", "features", "statistics"),
    "Train and test": ("recipes", "crossval", "train", "evaluate", "baseline", "ensemble"),
    "Look at results": ("report", "figures", "calibrate"),
    "Use a model": ("enrol", "export", "serve"),
    "Experiments": (
        *("crosscorpus", "label-curve", "enrolment-curve", "tune", "study", "ablation"),
        *("reproduce", "attended", "sampled", "attention-statistics", "weights"),
    ),
    "Pipelines": ("run", "lineage"),
}
OTHER_TASK = "More"
# Objects that are made before Python looks for cycles, and how often it looks at older ones. By
# default they are 700, 10, 10.
GARBAGE_THRESHOLDS = (10_000, 10, 10)
# The garbage of these verbs holds what clients have sent.
SERVERS = ("serve", "web")


class _ExplainedCommand(TyperCommand):
    """A verb whose help ends with the meaning of the field's words that it uses."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        texts = [self.help or "", *(getattr(option, "help", "") or "" for option in self.params)]
        self.epilog = _explained(" ".join(texts))
        super().format_help(ctx, formatter)


class _ExplainedGroup(TyperGroup):
    """`ser` itself: the words of the sentences in its list are explained below it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        sentences = [(verb.help or "").partition("\n\n")[0] for verb in self.commands.values()]
        # The scores that every other verb prints, too.
        self.epilog = _explained(" ".join(["UA WA fold", *sentences]))
        super().format_help(ctx, formatter)


def _explained(text: str) -> str:
    from ser_keras.report.pages.words import words_in

    return "\n\n".join(f"{word}: {meaning}." for word, meaning in words_in(text).items())


def make_app(arguments: Sequence[str] | None = None) -> typer.Typer:
    """Returns the command-line application with the verbs of all installed packages.

    Args:
        arguments: what stands behind `ser` on the command line. If it begins with a verb, only this
            verb is loaded, since the options of all of them take longer to build than most answers.
    """
    app = typer.Typer(
        name="ser",
        cls=_ExplainedGroup,
        help="Speech emotion recognition: from recordings to honest scores and served models.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for verb in _verbs((arguments or [""])[0]):
        loaded = verb.load()
        if isinstance(loaded, typer.Typer):
            for command in loaded.registered_commands:
                command.help = _unwrapped(command.callback)
            app.add_typer(loaded, name=verb.name, rich_help_panel=task_of(verb.name))
        else:
            app.command(
                verb.name,
                cls=_ExplainedCommand,
                help=_unwrapped(loaded),
                rich_help_panel=task_of(verb.name),
                context_settings=_settings(verb.name),
            )(loaded)

    @app.callback(invoke_without_command=True)
    def version(
        show: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if show:
            typer.echo(f"ser {__version__}")
            raise typer.Exit

    return app


def _unwrapped(verb: Any) -> str:
    """Returns the paragraphs of a verb's docstring without line breaks, for any terminal's width.

    typer joins the lines of the first paragraph only.
    """
    paragraphs = (inspect.getdoc(verb) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def task_of(verb: str) -> str:
    """Returns the task that a verb is listed under.

    Example:
        >>> task_of("report"), task_of("new-verb")
        ('Look at results', 'More')
    """
    return next((task for task, verbs in TASKS.items() if verb in verbs), OTHER_TASK)


def _verbs(first: str) -> list[EntryPoint]:
    """Returns the verb of this name; all of them, in the order of the list, if there is none."""
    verbs = entry_points(group=VERBS)
    return list(verbs.select(name=first)) or sorted(verbs, key=_rank)


def _rank(verb: EntryPoint) -> tuple[int, str]:
    in_order = [name for verbs in TASKS.values() for name in verbs]
    return (in_order.index(verb.name) if verb.name in in_order else len(in_order), verb.name)


def _settings(verb: str) -> dict[str, bool]:
    # What follows `--` on the line of a Beam job belongs to Beam.
    beam = verb in ("features", "statistics")
    return {"allow_extra_args": beam, "ignore_unknown_options": False}


def is_no_retracing(record: logging.LogRecord) -> bool:
    """Filters out TensorFlow's advice against repeated tracing.

    Every model of a fold is traced for a first batch, for another length and for a last, smaller
    batch, and no more; where folds are short, that is a large share of all calls.
    """
    return "triggered tf.function retracing" not in str(record.msg)


def main() -> None:
    """Runs the command line; a SerError becomes one sentence and its class's exit code."""
    # At 2, TensorFlow 2.16 logs three errors of no consequence about CUDA at every start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow switches oneDNN on by itself on some processors only; on the others (AVX2 without
    # AVX-512) it makes a training step of the convolutional models 1.5 times quicker.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # gRPC's event engine hands each message to one more thread: 0.4 ms a call on two cores.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
    logging.getLogger("tensorflow").addFilter(is_no_retracing)
    if not set(sys.argv[1:2]) & set(SERVERS):
        _search_rarely_for_garbage()
    # What no other handler takes; Python's own prints control characters as they are.
    logging.lastResort = ConsoleHandler(logging.WARNING)
    try:
        make_app(sys.argv[1:])()
    except SerError as error:
        _end(error)
    except (OSError, MemoryError) as error:
        _end(system_error(error))


def _search_rarely_for_garbage() -> None:
    """Saves a fifth of the time of a short command, which Python spends on looking for cycles.

    Importing makes many objects and next to no garbage. At its end Python looks at all of them once
    more, though the memory of a process is given back anyway; frozen objects are left out.
    """
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    atexit.register(gc.freeze)


def _end(error: SerError) -> NoReturn:
    """Says what went wrong and ends the process with the error's exit code."""
    error_console.print("error:", style="bold red", end="")
    error_console.print(f" {type(error).__name__}: {error}")
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try once more at its end, and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
