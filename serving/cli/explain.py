"""The verb that draws a model's attention."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import console, printable, starting
from serving.cli.model import Trust
from serving.client.endpoint import Certificate, Key, RootCertificate, endpoint_of
from serving.ready import ready_model

if TYPE_CHECKING:
    from ser_keras.plots.explanation import Explanation


def explain(
    file: Annotated[Path, typer.Argument(help="Audio file.")],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an export of `ser export`, or of one of its versions; the model that "
            "comes with the package by default."
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the figures.")] = Path("explained"),
    start: Annotated[float, typer.Option(min=0, help="Where the part starts, in seconds.")] = 0.0,
    seconds: Annotated[
        float, typer.Option(min=0.05, max=120, help="Greatest length of the part, in seconds.")
    ] = 20.0,
    tiers: Annotated[
        list[Path] | None,
        typer.Option(
            help="A .TextGrid or .ctm file with the words and phones of the recording, drawn below "
            "the maps; may be repeated."
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            help="host:port of a server that runs this version; without it the export is loaded "
            "here."
        ),
    ] = None,
    root_certificate: RootCertificate = None,
    certificate: Certificate = None,
    key: Key = None,
    trust: Trust = False,
) -> None:
    """Draw a model's attention to a recording (PNG and SVG).

    Where the model attends to frames, the entropy, total variation and correlations of its maps
    are printed, and written as JSON beside the figures.
    """
    with starting():
        from ser_keras.report.attention import describe_recording
        from serving.explain.described_export import open_export
        from serving.explain.explain import explain as explain_part
        from serving.explain.explain import read_part
        from serving.explain.map_numbers import tiers_of, with_tiers
        from serving.explain.signature_runners import signatures_of
    marked, left_out = tiers_of(tiers or (), file.stem)
    for sentence in left_out:
        console.print(sentence)
    endpoint = endpoint_of(server, root_certificate, certificate, key)
    export = open_export(model or ready_model())
    rate = export.about["sample_rate_hz"]
    waveform = read_part(file, start, seconds, rate)
    with console.status("loading the model") as status:
        with signatures_of(export, endpoint, trust=trust) as run:
            status.update("explaining")
            explanation = explain_part(export, run, waveform, source=file.name, start_s=start)
        explanation = with_tiers(explanation, marked)
        status.update("drawing")
        figures, values = _write(explanation, output, f"{file.stem}-{export.about['name']}")
    part = f"{explanation.start_s:.1f}-{explanation.end_s:.1f} s"
    console.print(printable(f"{file} {part}: {explanation.in_words}", keep=""))
    if explanation.statistics:
        console.print(describe_recording(explanation.statistics))
    console.print(f"pictures: {', '.join(map(str, figures))}")
    console.print(f"numbers: {values}")


def _write(explanation: "Explanation", output: Path, name: str) -> tuple[list[Path], Path]:
    """Writes the figures of an explanation and its numbers; returns their paths."""
    from ser_keras.files import write_json
    from ser_keras.plots.explanation import draw_explanation
    from serving.explain.map_numbers import to_dict

    values = output / f"{name}.json"
    write_json(values, to_dict(explanation))
    figures = [output / f"{name}{suffix}" for suffix in (".png", ".svg")]
    for figure in figures:
        draw_explanation(explanation, figure)
    return figures, values
