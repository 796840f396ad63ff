"""The verbs of serving: parse options, call one function."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ser_keras.cli.console import console, starting
from ser_keras.errors import ConfigError, ServingError
from serving.client.endpoint import (
    Certificate,
    Endpoint,
    Key,
    RootCertificate,
    UncertainBelow,
    endpoint_of,
)


def export(
    run: Annotated[Path, typer.Argument(help="Folder of `ser train` or `ser crossval`.")],
    features: Annotated[Path, typer.Option(help="Features that it was trained on.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of the corpus, for the checks.")],
    base: Annotated[Path, typer.Option(help="Folder of the server's models.")] = Path("models"),
    fold: Annotated[
        str | None, typer.Option(help="The run's fold; needed if it has several.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name on the server; the system's when left out.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Number; the next free one when left out.")
    ] = None,
) -> None:
    """Write a trained model as a SavedModel that takes raw speech; check it and publish it."""
    with starting() as status:
        from serving.export.export import export_model, open_run

        status.update("reading the run")
        trained = open_run(run, features, fold)
        status.update("writing and checking the SavedModel")
        folder = export_model(trained, data_dir, base, name=name, version=version)
    console.print(f"published {folder}; its model card: {folder / 'assets.extra/model_card.md'}")


def serve(
    model_name: Annotated[str, typer.Option("--model_name", help="Name of the model.")] = "",
    model_base_path: Annotated[
        Path | None, typer.Option("--model_base_path", help="Folder of its versions.")
    ] = None,
    model_config_file: Annotated[
        Path | None, typer.Option("--model_config_file", help="A models.config, for several.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Port of gRPC.")] = 8500,
    rest_api_port: Annotated[int, typer.Option("--rest_api_port", help="Port of REST.")] = 8501,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    poll_s: Annotated[
        float,
        typer.Option("--file_system_poll_wait_seconds", help="How often versions are looked for."),
    ] = 1.0,
    ssl_config_file: Annotated[
        Path | None, typer.Option("--ssl_config_file", help="An ssl.config, for TLS.")
    ] = None,
    monitoring_config_file: Annotated[
        Path | None,
        typer.Option("--monitoring_config_file", help="A monitoring.config, for the metrics."),
    ] = None,
    enable_batching: Annotated[
        bool,
        typer.Option(
            "--enable_batching", help="Run requests of equal shapes that wait together as one."
        ),
    ] = False,
    batching_parameters_file: Annotated[
        Path | None,
        typer.Option("--batching_parameters_file", help="A batching.config, for that."),
    ] = None,
    threads: Annotated[
        int, typer.Option("--grpc_max_threads", help="Calls that are looked at at once.")
    ] = 16,
) -> None:
    """Serve exports over TensorFlow Serving's protocols, on this machine, for development."""
    with starting():
        from serving.server.batching import BatchingParameters
        from serving.server.config_files import read_batching, read_monitoring, read_ssl
        from serving.server.server import Server, ServerOptions

    # The session is deprecated for training; a server runs nothing else.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    configs = _configured(model_name, model_base_path, model_config_file)
    # Read whether or not it is followed, so that a mistake in it shows before production.
    batching = (
        read_batching(batching_parameters_file)
        if batching_parameters_file
        else BatchingParameters()
    )
    monitoring: dict[str, Any] = {}
    if monitoring_config_file:
        monitoring["metrics_path"] = read_monitoring(monitoring_config_file)
    options = ServerOptions(
        host=host,
        port=port,
        rest_port=rest_api_port,
        threads=threads,
        poll_s=poll_s,
        batching=batching if enable_batching else None,
        ssl=read_ssl(ssl_config_file) if ssl_config_file else None,
        **monitoring,
    )
    console.print(
        "[yellow]development server, not TensorFlow Serving[/]; for production run the container "
        "of serving/deploy with the same files"
    )
    with console.status("loading"):
        server = Server(configs, options, lambda text: console.print(text, markup=False))
        server.start()
    console.print(f"gRPC {host}:{server.port}, REST http://{host}:{server.rest_port}/v1/models")
    server.wait()


def _configured(name: str, base_path: Path | None, config_file: Path | None) -> list[Any]:
    """Returns which models the flags ask for, each with a folder that is there."""
    from serving.server.config_files import one_model, read_models

    if config_file is None and not (name and base_path):
        raise ConfigError("serve: give --model_name and --model_base_path, or --model_config_file.")
    if config_file is not None:
        configs = read_models(config_file)
    else:
        configs = one_model(name, Path(base_path or ".").resolve())
    for config in configs:
        if not config.base_path.is_dir():
            raise ConfigError(
                f"model {config.name}: found no folder {config.base_path}, expected its versions "
                "there. Publish one with ser export."
            )
    return configs


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Audio files, or - for live 16-bit mono PCM on standard input."),
    ],
    server: Annotated[str, typer.Option(help="host:port of the server's gRPC.")] = "localhost:8500",
    model: Annotated[str, typer.Option(help="Name of the model on the server.")] = "moma",
    timeline: Annotated[
        bool, typer.Option(help="Predictions along the recording, as for live input.")
    ] = False,
    window_s: Annotated[
        float | None,
        typer.Option(min=0.01, help="Length of a window in seconds; 4 when left out."),
    ] = None,
    hop_s: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Seconds between two predictions; 2, or the model's step, when left out."
        ),
    ] = None,
    rate: Annotated[int, typer.Option(min=1, help="Samples per second of standard input.")] = 16000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    uncertain_below: UncertainBelow = 0.0,
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Ask a server what emotion speech has; a file that fails costs that file alone.

    Live input and --timeline are heard as the model hears: one that streams, such as the predictive
    VRNN, hears one endless recording, and every prediction is of all audio from its start on; of
    other models every prediction is of one window alone.
    """
    import soundfile

    from serving.client.connection import ServerError

    failed, complaints = 0, Console(stderr=True, soft_wrap=True)
    with Endpoint(server, root_certificate, certificate, key).client(model) as client:
        for source in sources:
            try:
                said: Iterator[Any]
                if str(source) == "-":
                    # One at a time: whoever speaks is waiting.
                    said = client.timeline(
                        sys.stdin.buffer, rate, window_s=window_s, hop_s=hop_s, batch_size=1
                    )
                elif timeline:
                    said = client.timeline(source, window_s=window_s, hop_s=hop_s)
                    said = _watched(said, source)
                else:
                    said = iter([client.predict(source)])
                for prediction in said:
                    console.print(_told(source, prediction, as_json, uncertain_below), markup=False)
            except (ServerError, soundfile.LibsndfileError) as error:
                failed += 1
                hint = ""
                if isinstance(error, ServerError) and error.code == "UNAVAILABLE":
                    hint = ". Start it with ser serve, and wait until it says where it listens."
                why = str(error).removeprefix(f"{source}: ")
                complaints.print(f"{source}: {why}{hint}", markup=False)
    if failed:
        raise ServingError(f"{failed} of {len(sources)} files have no prediction, see above.")


def _watched(said: Iterator[Any], source: Path) -> Iterator[Any]:
    """Yields predictions; a bar says how far they are where their lines go into a file."""
    import soundfile
    from rich.progress import Progress

    shown = sys.stderr.isatty() and not sys.stdout.isatty()
    bar = Progress(console=Console(stderr=True), redirect_stdout=False, disable=not shown)
    with bar:
        # Where there is no such file, asking for the first prediction says so.
        total = soundfile.info(source).duration if source.is_file() else None
        task = bar.add_task(source.name, total=total)
        for prediction in said:
            yield prediction
            bar.update(task, completed=prediction.end_s)


def _told(source: Path, prediction: Any, as_json: bool, uncertain_below: float) -> str:
    where = {"start_s": round(prediction.start_s, 3), "end_s": round(prediction.end_s, 3)}
    if as_json:
        about = {"file": str(source), **where, "label": prediction.answer(uncertain_below)}
        about |= {"probabilities": prediction.probabilities, "version": prediction.version}
        return json.dumps(about)
    words = prediction.in_words(uncertain_below)
    return f"{source} {where['start_s']:.1f}-{where['end_s']:.1f} s: {words}"


def explain(
    file: Annotated[Path, typer.Argument(help="Audio file.")],
    model: Annotated[
        Path, typer.Option(help="Folder of an export, as of `ser export`, or of one version of it.")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the pictures.")] = Path("explained"),
    start: Annotated[float, typer.Option(min=0, help="Where to begin, in seconds.")] = 0.0,
    seconds: Annotated[
        float, typer.Option(min=0.05, max=120, help="How much of the recording, at most.")
    ] = 20.0,
    tiers: Annotated[
        list[Path] | None,
        typer.Option(
            help="A .TextGrid or .ctm with the words and phones of the recording, drawn under the "
            "maps; may be given again."
        ),
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="host:port of a server that runs this version.")
    ] = None,
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
) -> None:
    """Draw where a model listened in a recording (PNG and SVG).

    For attention to frames the numbers of the maps are printed: their entropy, total variation and
    correlations. They are also written beside the pictures, as JSON.
    """
    with starting():
        from ser_keras.files import write_json
        from ser_keras.plots.explanation import draw_explanation
        from ser_keras.report.attention import describe_recording
        from serving.explain.described_export import open_export
        from serving.explain.explain import explain as explain_part
        from serving.explain.explain import read_part
        from serving.explain.map_numbers import tiers_of, to_dict, with_tiers
        from serving.explain.signature_runners import local_signatures, server_signatures
    marked, left_out = tiers_of(tiers or (), file.stem)
    for sentence in left_out:
        console.print(sentence, markup=False)
    endpoint = endpoint_of(server, root_certificate, certificate, key)
    export = open_export(model)
    rate = export.about["sample_rate_hz"]
    waveform = read_part(file, start, seconds, rate)
    with console.status("loading the model") as status:
        signatures = server_signatures(export, endpoint) if endpoint else local_signatures(export)
        with signatures as run:
            status.update("explaining")
            explanation = explain_part(export, run, waveform, source=file.name, start_s=start)
        explanation = with_tiers(explanation, marked)
        status.update("drawing")
        name = f"{file.stem}-{export.about['name']}"
        write_json(output / f"{name}.json", to_dict(explanation))
        pictures = [output / f"{name}{kind}" for kind in (".png", ".svg")]
        for picture in pictures:
            draw_explanation(explanation, picture)
    where = f"{explanation.start_s:.1f}-{explanation.end_s:.1f} s"
    console.print(f"{file} {where}: {explanation.in_words}", markup=False)
    if explanation.statistics:
        console.print(describe_recording(explanation.statistics), markup=False)
    console.print(f"pictures: {', '.join(map(str, pictures))}", markup=False)
    console.print(f"numbers: {output / f'{name}.json'}", markup=False)
