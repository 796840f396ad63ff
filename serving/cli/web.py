"""The verb that opens the page: it starts what the page needs, and stops it at the end."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ser_keras.cli.console import console
from ser_keras.errors import ConfigError, ServingError
from serving.cli.model import Trust
from serving.client.endpoint import (
    Certificate,
    Endpoint,
    Key,
    RootCertificate,
    UncertainBelow,
    endpoint_of,
)
from serving.ready import ready_model
from serving.server.shutdown import EndSignal
from serving.web.guard import LOOPBACK

if TYPE_CHECKING:
    from serving.client.client import SerClient
    from serving.web.local_server import Published

READY_S = 20.0


def web(
    export: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of a published model; may be repeated. The model that comes with the "
            "package by default."
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="host:port of a server's gRPC; without it a server is started here."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="With --server: name of a model there; may be repeated."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page.")] = 7860,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name under which browsers may reach the page, such as a proxy's; may be "
            "repeated."
        ),
    ] = None,
    upload_quota_mb: Annotated[
        int, typer.Option(min=1, help="Disk space that all uploads may take together, in MB.")
    ] = 2000,
    uncertain_below: UncertainBelow = 0.0,
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
    trust: Trust = False,
) -> None:
    """Open a page that records speech and shows a model's predictions.

    Without --server, the model is served on this machine as long as the page is open. With
    --server and --model, add --export if you have the export: the page takes the facts about the
    training data and the attention maps from it.
    """
    from serving.web.local_server import Published
    from serving.web.uploads import Quota, upload_folder

    remote = endpoint_of(server, root_certificate, certificate, key)
    if not export and server is None and not model:
        export = [ready_model()]
    exports = [Published.open(path) for path in export or []]
    names = _names(server, model or [], [published.name for published in exports])
    with ExitStack() as stack:
        with console.status("starting"):
            folder = stack.enter_context(upload_folder())
            opened = _page(remote, names, exports, uncertain_below, folder, trust)
            page = stack.enter_context(opened)
            quota = Quota(folder, upload_quota_mb * 10**6)
            address = page.launch(host, port, quota, allow_host or ())
        end = EndSignal()
        console.print(f"{address} shows {', '.join(names)}; Ctrl-C ends it")
        if host not in LOOPBACK:
            console.print(
                f"[yellow]anyone who can reach {escape(host)} can use the page without a password; "
                "browsers record only on pages with TLS[/]",
                markup=True,
            )
        end.wait()


def _names(server: str | None, models: list[str], exported: list[str]) -> list[str]:
    """Returns the names of the page's models, without duplicates."""
    if server is None and models:
        raise ConfigError("--model is for models of a --server; give --export alone to serve one.")
    names = list(dict.fromkeys(models or exported))
    if not names:
        raise ConfigError(
            "ser web: found --server and no model, expected the name of one there. Add --model."
        )
    if len(set(exported)) < len(exported) or set(exported) - set(names):
        raise ConfigError(
            f"--export: found {', '.join(exported)}, expected each once"
            f"{' and among --model ' + ', '.join(names) if models else ''}."
        )
    return names


@contextmanager
def _page(
    remote: Endpoint | None,
    names: Sequence[str],
    exports: Sequence["Published"],
    uncertain_below: float,
    folder: Path,
    trust: bool,
) -> Iterator[Any]:
    """Gives a `serving.web.page.Page`, with its server and clients as long as it is open.

    Args:
        remote: the server of the models; None starts one here.
        names: names of the models on the server.
        exports: exports that are at hand.
        uncertain_below: float. See `Page`.
        folder: of uploads and figures.
        trust: bool. See `local_server`.
    """
    from serving.web.local_server import local_server

    with ExitStack() as stack:
        page_class = _page_class(folder)
        from serving.web.view import Models

        endpoint = remote or Endpoint(stack.enter_context(local_server(exports, trust=trust)))
        clients = {name: stack.enter_context(_ready_client(endpoint, name)) for name in names}
        by_name = {published.name: published for published in exports}
        page = page_class(Models(clients, by_name), uncertain_below)
        stack.callback(page.close)
        yield page


def _page_class(folder: Path) -> Any:
    """Returns `serving.web.page.Page`, which keeps uploads and figures in a folder."""
    # Read when gradio is imported. Gradio itself deletes nothing at its end.
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    try:
        from serving.web.page import Page
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"ser web needs {error.name}. Install it with: pip install 'ser-keras[web,plot,serve]'"
        ) from error
    return Page


@contextmanager
def _ready_client(endpoint: Endpoint, name: str) -> Iterator["SerClient"]:
    """Gives a client of a model that answers."""
    from serving.client.connection import ServerError

    with endpoint.client(name) as client:
        try:
            client.wait_until_available(READY_S)
        except ServerError as error:
            raise ServingError(f"{error} --server must serve a model of this name.") from None
        yield client
