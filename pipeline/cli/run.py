"""The verbs `run` and `lineage`: parse options, call one function."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import console
from ser_keras.errors import RefusalError, SchemaError

if TYPE_CHECKING:
    from pipeline.lineage.store import Execution, Lineage
    from pipeline.orchestration.runner import Ended

Root = Annotated[Path, typer.Argument(help="The pipeline's root, where its artifacts lie.")]

lineage = typer.Typer(no_args_is_help=True)


def run(
    pipeline: Annotated[
        str, typer.Argument(help="A pipeline's YAML file, or the name of one: demo, ravdess.")
    ],
    graph: Annotated[
        Path | None, typer.Option(help="Draw the pipeline into this .svg or .png; run nothing.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave this node out.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where artifacts lie, instead of the file's root.")
    ] = None,
) -> None:
    """Run a pipeline: what was done before is found again; run again after a kill.

    Exits with 10 where a step refuses, such as for anomalies in the data or a model that is not
    good enough, and with the error's own code where one fails.
    """
    from dataclasses import replace

    from pipeline.orchestration.definition import load_pipeline

    asked = load_pipeline(pipeline, without or ())
    if root is not None:
        asked = replace(asked, root=root)
    if graph is not None:
        from pipeline.cli.diagram import draw_graph

        draw_graph(asked, graph)
        console.print(f"graph: {graph}")
        return
    from pipeline.cli.run_view import RunView
    from pipeline.orchestration.runner import run_pipeline

    with RunView(asked.nodes, console) as view:
        ended = run_pipeline(
            asked,
            view,
            waiting=lambda: console.print(f"another run has {asked.root}; waiting for it to end"),
        )
    _conclude(ended, asked.root)


def _conclude(ended: "Sequence[Ended]", root: Path) -> None:
    """Says where things lie; ends like the first node that failed, or that refused."""
    for each in ended:
        if each.execution is not None:
            for output in each.execution.outputs:
                console.print(f"{each.node}: {root / output.uri}", markup=False)
    for each in ended:
        if each.error is not None:
            raise each.error
    for each in ended:
        if each.execution is not None and each.execution.refusal:
            raise RefusalError(f"node {each.node} refuses: {each.execution.refusal}")


@lineage.callback()
def about() -> None:
    """Show, check and clean up what pipelines made; remove a speaker from all of it."""


@lineage.command()
def show(
    root: Root,
    execution: Annotated[
        str | None, typer.Argument(help="Id of one execution, or the beginning of it.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that failed or were removed.")
    ] = False,
) -> None:
    """List the executions, or print one with all that it was made from."""
    from pipeline.lineage.store import Lineage

    found = Lineage.open(root)
    if execution is not None:
        _print_ancestry(found, found.get(execution))
        return
    for record in found.records if everything else found.live:
        state = "refused" if record.refusal else record.state
        line = f"{record.execution_id}  {record.node}  {state}  {_facts(record)}"
        console.print(line.rstrip(), markup=False)
        for given in record.inputs:
            console.print(f"    {given.key}: {given.execution_id or given.uri}", markup=False)
    for path, why in found.damaged.items():
        console.print(f"damaged: {path}: {why}", markup=False)


def _print_ancestry(found: "Lineage", record: "Execution") -> None:
    console.print_json(data=record.to_dict())
    for given in record.inputs:
        if given.execution_id:
            _print_ancestry(found, found.get(given.execution_id))


def _facts(record: "Execution") -> str:
    """Returns the facts that are one word each."""
    plain = {
        key: value for key, value in record.facts.items() if isinstance(value, str | int | float)
    }
    said = [
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in plain.items()
    ]
    return record.error or ", ".join(said)


@lineage.command()
def verify(root: Root) -> None:
    """Read every artifact again; name what was flipped, removed, added or swapped. Exits with 5."""
    from pipeline.lineage.store import Lineage
    from pipeline.lineage.verify import verify as problems_of

    found = Lineage.open(root)
    with console.status("reading") as status:
        problems = problems_of(
            found,
            lambda node, done, total: status.update(
                f"reading {node}, {done} of {total} executions"
            ),
        )
    for problem in problems:
        console.print(problem, markup=False)
    if problems:
        raise SchemaError(
            f"{root}: found {len(problems)} things that are not as they were published. Remove "
            "what is damaged and run the pipeline again: it makes that anew."
        )
    files = sum(len(output.files) for record in found.live for output in record.outputs)
    console.print(f"{root}: {files} files of {len(found.live)} executions are as they were made")


@lineage.command()
def gc(
    root: Root,
    superseded: Annotated[
        bool,
        typer.Option(help="Also artifacts that no pipeline's newest run used; records stay."),
    ] = False,
) -> None:
    """Remove what killed and failed runs left behind."""
    from pipeline.lineage.garbage import remove_rubbish, remove_superseded
    from pipeline.lineage.store import Lineage
    from pipeline.orchestration.runner import root_locked

    Lineage.open(root)
    with root_locked(root, lambda: console.print(f"a run has {root}; waiting for it to end")):
        found = Lineage.open(root)
        if superseded:
            for record in remove_superseded(found):
                console.print(f"removed what {record.node} made: {record.execution_id}")
        for path in (removed := remove_rubbish(found)):
            console.print(f"removed {path}", markup=False)
    console.print(f"{root}: removed {len(removed)} leftovers")


@lineage.command()
def delete_speaker(
    root: Root,
    speaker: Annotated[str, typer.Argument(help="The speaker, or corpus/speaker.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it all; otherwise only list.")] = False,
) -> None:
    """List every record and model that saw a speaker; with --yes, remove them for good.

    The recordings themselves belong to the corpus and stay. Until they are removed there, the
    pipeline refuses to take the speaker in again.
    """
    from pipeline.lineage.garbage import delete_speaker as remove
    from pipeline.lineage.garbage import plan_deletion
    from pipeline.lineage.store import Lineage
    from pipeline.orchestration.runner import root_locked

    Lineage.open(root)
    with root_locked(root, lambda: console.print(f"a run has {root}; waiting for it to end")):
        found = Lineage.open(root)
        deletion = plan_deletion(found, speaker)
        for record in deletion.executions:
            for output in record.outputs:
                where = root / output.uri
                gone = "" if where.is_dir() else " (its record alone)"
                console.print(f"{output.kind}: {where}{gone}", markup=False)
        for path in deletion.outside:
            gone = "" if path.is_dir() else " (not there any more)"
            console.print(f"outside the root: {path}{gone}", markup=False)
        if not yes:
            console.print(
                f"{len(deletion.executions)} executions saw {', '.join(deletion.speakers)}; "
                "nothing was removed. Add --yes to remove them."
            )
            return
        note = remove(found, deletion)
    console.print(f"removed; what it was, by hash: {note}", markup=False)
