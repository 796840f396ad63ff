"""The verb that opens the page: parse options, start what it needs, stop it at the end."""

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from ser_keras.errors import ConfigError, ServingError

console = Console(soft_wrap=True, highlight=False)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def web(
    export: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a published model; several: one option each."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="host:port of a server's gRPC; without it one is started here."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="With --server: name of a model there; several: one option each."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page.")] = 7860,
    root_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of the server's authority, for TLS.")
    ] = None,
) -> None:
    """Open a page that records speech and shows what a model hears in it.

    Give --export alone, and the model is served on this machine as long as the page is open; or
    --server with --model, and with --export, too, where the export is at hand: it says which data
    the model was trained on, and where it attends.
    """
    from serving.client import SerClient, ServerError
    from serving.explainer import explainer
    from serving.local_server import Published, local_server

    found = [Published.open(path) for path in export or []]
    exports = {each.name: each for each in found}
    names = _names(server, model or [], [each.name for each in found])
    if root_certificate is not None and not root_certificate.is_file():
        raise ConfigError(f"--root-certificate {root_certificate}: there is no such file.")
    with ExitStack() as stack:
        with console.status("starting ..."):
            page_class = _page_class(stack.enter_context(TemporaryDirectory(prefix="ser-web-")))
            from serving.web import Models

            endpoint = server or stack.enter_context(local_server(found))
            clients = {
                name: stack.enter_context(
                    SerClient(endpoint, name, root_certificate=root_certificate)
                )
                for name in names
            }
            for client in clients.values():
                try:
                    client.wait_until_available(20.0)
                except ServerError as error:
                    raise ServingError(f"{error} Is it there, and is this its name?") from None
            explains = stack.enter_context(explainer(endpoint, root_certificate))
            page = page_class(Models(clients, exports, explains))
            stack.callback(page.close)
            address = page.launch(host, port)
        console.print(f"{address} shows {', '.join(names)}; Ctrl-C ends it")
        if host not in LOOPBACK:
            console.print(
                f"[yellow]everyone who reaches {host} can use the page, without a password; "
                "browsers record only on pages with TLS[/]"
            )
        _wait()


def _names(server: str | None, models: list[str], exported: list[str]) -> list[str]:
    """Returns the models of the page, each once."""
    if server is None and models:
        raise ConfigError("--model is for models of a --server; give --export alone to serve one.")
    names = list(dict.fromkeys(models or exported))
    if not names:
        raise ConfigError(
            "ser web: give --export with the folder of a published model, or --server host:port "
            "and --model."
        )
    if len(set(exported)) < len(exported) or set(exported) - set(names):
        raise ConfigError(
            f"--export: found {', '.join(exported)}, expected each once"
            f"{' and among --model ' + ', '.join(names) if models else ''}."
        )
    return names


def _page_class(folder: str) -> Any:
    """Returns `serving.web_page.Page`, which keeps uploads and pictures in a folder."""
    # Read when gradio is imported; it deletes nothing at its end.
    os.environ["GRADIO_TEMP_DIR"] = folder
    try:
        from serving.web_page import Page
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"ser web needs {error.name}. Install it with: pip install 'ser-keras[web,plot,serve]'"
        ) from error
    return Page


def _wait() -> None:
    """Waits for SIGTERM or SIGINT."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    asked.wait()
