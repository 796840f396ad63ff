"""What strangers wrote reaches the terminal as text: no escape sequence, no markup, no emoji."""

import errno
import io
import json
import logging
import subprocess
import sys

import pytest
from rich.markup import escape
from rich.progress import Progress

from ser_keras.cli import console as console_module
from ser_keras.cli.app import main
from ser_keras.cli.console import (
    PrintableConsole,
    print_findings,
    print_markdown,
    print_table,
    printable,
)
from ser_keras.errors import ConfigError
from tests.architecture import ROOT

# Sets the title, colours text, moves up, reverses what follows; a raw C1 introducer; half a pair.
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x1b[1A\u202etxt\x9b2J\udcff"
# The bell is left out by rich.
SHOWN = r"\u001b]0;owned\u001b[31mred\u001b[1A\u202etxt\u009b2J\udcff"
BRACKETS = "runs/[red]a[/]/:cat:.wav"


@pytest.fixture
def terminal(monkeypatch):
    """What a console has printed that writes plain text."""
    stream = io.StringIO()
    plain = PrintableConsole(file=stream, width=200)
    for name in ("console", "error_console"):
        monkeypatch.setattr(console_module, name, plain)
    return stream


class Finding:
    severity, check, message = "fail", f"names{HOSTILE}", HOSTILE


def progress():
    with Progress(console=console_module.console) as bar:
        bar.add_task(escape(HOSTILE), total=1)


@pytest.mark.parametrize(
    "say",
    [
        lambda: console_module.console.print(HOSTILE),
        lambda: console_module.console.print(HOSTILE, style="bold", end=""),
        lambda: print_table(["name", HOSTILE], [[HOSTILE, "1"]], title=HOSTILE),
        lambda: print_table(["a", "b"], [[f"{HOSTILE} " * 20, HOSTILE]]),
        lambda: print_markdown(f"# {HOSTILE}\n\n| a | b |\n|---|---|\n| {HOSTILE} | 1 |"),
        lambda: print_findings([Finding()]),
        lambda: console_module.ConsoleHandler().emit(
            logging.LogRecord("a", logging.WARNING, "a", 1, "read %s", (HOSTILE,), None)
        ),
        progress,
    ],
    ids=["text", "styled", "table", "list", "markdown", "findings", "log", "progress"],
)
def test_escape_sequences_are_shown_and_not_obeyed(terminal, say):
    say()
    text = terminal.getvalue()
    assert "owned" in text
    assert printable(text) == text
    # A table may cut what has become longer.
    assert SHOWN[:24] in text


def test_a_terminal_gets_the_styles_of_the_console_and_nothing_else():
    stream = io.StringIO()
    colourful = PrintableConsole(file=stream, force_terminal=True, color_system="standard")
    colourful.print(f"[red]{SHOWN[:4]}[/]", HOSTILE, markup=True)
    assert stream.getvalue() == f"\x1b[31m{SHOWN[:4]}\x1b[0m {SHOWN}\n"


def test_json_stays_what_it_is(terminal):
    console_module.console.print_json(data={HOSTILE: "\U000e0001\xad"})
    assert json.loads(terminal.getvalue()) == {HOSTILE: "\U000e0001\xad"}


def test_brackets_and_colons_in_names_are_text(terminal):
    console_module.console.print(BRACKETS)
    assert terminal.getvalue() == f"{BRACKETS}\n"


def test_letters_of_every_language_and_line_ends_stay():
    text = "wütend\tgniewny 中性 愤怒\u00a010\u202f%\n喜び 🙂"
    assert printable(text) == text
    assert printable("a\u2028b\nc", keep="") == r"a\u2028b\nc"


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), "Make room there"),
        (PermissionError(errno.EACCES, "Permission denied", b"runs/a"), "change its rights"),
        (OSError(errno.EROFS, "Read-only file system"), "An open file: Read-only file system."),
        (OSError("cannot\n  connect."), "An open file: cannot connect. Mend the cause"),
        (MemoryError(), "too little memory"),
    ],
)
def test_errors_of_the_machine_are_one_sentence(monkeypatch, capsys, raised, sentence):
    def stop():
        raise raised

    monkeypatch.setattr("ser_keras.cli.app.make_app", lambda arguments: stop)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: SerError: ")
    assert sentence in line


def test_answers_that_cannot_be_written_are_an_error_of_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ser_keras", "corpora"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left on device. Make room there" in line


def test_an_error_that_quotes_a_stranger_is_printable(monkeypatch, capsys):
    def refuse():
        raise ConfigError(f"{HOSTILE}: refused")

    monkeypatch.setattr("ser_keras.cli.app.make_app", lambda arguments: refuse)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: ConfigError: {SHOWN}: refused\n"
