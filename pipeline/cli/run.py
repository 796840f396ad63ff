"""The verbs `run` and `lineage`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_keras.cli.console import console
from ser_keras.errors import RefusalError, SchemaError

if TYPE_CHECKING:
    from pipeline.lineage.garbage import Deletion
    from pipeline.lineage.records import Execution
    from pipeline.lineage.store import Lineage
    from pipeline.orchestration.node_result import NodeResult

Root = Annotated[Path, typer.Argument(help="The pipeline's root, the folder of its artifacts.")]

lineage = typer.Typer(no_args_is_help=True)


def run(
    pipeline: Annotated[
        str, typer.Argument(help="A pipeline's YAML file, or the name of one: demo, ravdess.")
    ],
    graph: Annotated[
        Path | None, typer.Option(help="Only draw the pipeline, into this .svg or .png file.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out this node; may be repeated.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder for the artifacts, instead of the file's root.")
    ] = None,
) -> None:
    """Run a pipeline; steps that are up to date are not run again.

    After a kill, run the same command to continue. The exit code is 10 if a step refuses, for
    example because of anomalies in the data or a model that is not good enough, and the error's
    own code if a step fails.
    """
    from dataclasses import replace

    from pipeline.orchestration.pipeline_file import load_pipeline

    loaded = load_pipeline(pipeline, without or ())
    if root is not None:
        loaded = replace(loaded, root=root)
    if graph is not None:
        from pipeline.cli.diagram import draw_graph

        draw_graph(loaded, graph)
        console.print(f"graph: {graph}")
        return
    from pipeline.cli.run_view import RunView
    from pipeline.orchestration.runner import run_pipeline

    with RunView(loaded.nodes, console) as view:
        results = run_pipeline(
            loaded,
            view,
            waiting=lambda: console.print(f"another run uses {loaded.root}; waiting for it to end"),
        )
    _print_outputs(results, loaded.root)
    _raise_first_failure(results)


def _print_outputs(results: "Sequence[NodeResult]", root: Path) -> None:
    for result in results:
        if result.execution is not None:
            for output in result.execution.outputs:
                console.print(f"{result.node}: {root / output.uri}")


def _raise_first_failure(results: "Sequence[NodeResult]") -> None:
    """Raises the error of the first node that failed, otherwise that of the first refusal."""
    for result in results:
        if result.error is not None:
            raise result.error
    for result in results:
        if result.execution is not None and result.execution.refusal:
            raise RefusalError(f"node {result.node} refuses: {result.execution.refusal}")


@lineage.callback()
def about() -> None:
    """Show, verify and clean up the artifacts of pipelines; delete a speaker from them."""


@lineage.command()
def show(
    root: Root,
    execution: Annotated[
        str | None, typer.Argument(help="Id of one execution, or its beginning.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Include executions that failed or were removed.")
    ] = False,
) -> None:
    """List the executions, or print one with everything it was made from."""
    from pipeline.lineage.store import Lineage

    opened = Lineage.open(root)
    if execution is not None:
        _print_ancestry(opened, opened.get(execution))
        return
    for record in opened.records if everything else opened.live:
        state = "refused" if record.refusal else record.state
        line = f"{record.execution_id}  {record.node}  {state}  {_facts_line(record)}"
        console.print(line.rstrip())
        for artifact in record.inputs:
            maker = artifact.execution_id or artifact.uri
            console.print(f"    {artifact.key}: {maker}")
    for path, why in opened.damaged.items():
        console.print(f"damaged: {path}: {why}")


def _print_ancestry(opened: "Lineage", record: "Execution") -> None:
    """Prints a record and those of everything it was made from."""
    console.print_json(data=record.to_dict())
    for artifact in record.inputs:
        if artifact.execution_id:
            _print_ancestry(opened, opened.get(artifact.execution_id))


def _facts_line(record: "Execution") -> str:
    """Returns an execution's error, otherwise its facts that are texts or numbers."""
    facts = [
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in record.facts.items()
        if isinstance(value, str | int | float)
    ]
    return record.error or ", ".join(facts)


@lineage.command()
def verify(root: Root) -> None:
    """Read every artifact again and list what was changed, removed, added or swapped.

    The exit code is 5 if there is anything to list.
    """
    from pipeline.lineage.store import Lineage
    from pipeline.lineage.verify import verify as find_problems

    opened = Lineage.open(root)
    with console.status("reading") as status:
        problems = find_problems(
            opened,
            lambda node, done, total: status.update(
                f"reading {node}, {done} of {total} executions"
            ),
        )
    for problem in problems:
        console.print(problem)
    if problems:
        raise SchemaError(
            f"{root}: found {len(problems)} things that are not as they were published. Remove "
            "what is damaged and run the pipeline again: it makes that anew."
        )
    files = sum(len(output.files) for record in opened.live for output in record.outputs)
    console.print(f"{root}: {files} files of {len(opened.live)} executions are as they were made")


@lineage.command()
def gc(
    root: Root,
    superseded: Annotated[
        bool,
        typer.Option(
            help="Also remove artifacts that no pipeline's newest run used; their records stay."
        ),
    ] = False,
) -> None:
    """Remove what killed and failed runs left behind."""
    from pipeline.lineage.garbage import remove_leftovers, remove_superseded
    from pipeline.lineage.store import Lineage
    from pipeline.orchestration.runner import root_locked

    Lineage.open(root)
    with root_locked(root, lambda: console.print(f"a run uses {root}; waiting for it to end")):
        opened = Lineage.open(root)
        if superseded:
            for record in remove_superseded(opened):
                console.print(f"removed what {record.node} made: {record.execution_id}")
        for path in (removed := remove_leftovers(opened)):
            console.print(f"removed {path}")
    console.print(f"{root}: removed {len(removed)} leftovers")


@lineage.command()
def delete_speaker(
    root: Root,
    speaker: Annotated[str, typer.Argument(help="The speaker, or corpus/speaker.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it all; otherwise only list it.")
    ] = False,
) -> None:
    """List every artifact that was made from a speaker's recordings; with --yes, remove them.

    The recordings themselves belong to the corpus and are not removed. As long as they are in the
    corpus, the pipeline refuses to use them again.
    """
    from pipeline.lineage.garbage import delete_speaker as remove_planned
    from pipeline.lineage.garbage import plan_deletion
    from pipeline.lineage.store import Lineage
    from pipeline.orchestration.runner import root_locked

    Lineage.open(root)
    with root_locked(root, lambda: console.print(f"a run uses {root}; waiting for it to end")):
        opened = Lineage.open(root)
        deletion = plan_deletion(opened, speaker)
        _print_deletion(root, deletion)
        if not yes:
            console.print(
                f"{len(deletion.executions)} executions saw {', '.join(deletion.speakers)}; "
                "nothing was removed. Add --yes to remove them."
            )
            return
        note = remove_planned(opened, deletion)
    console.print(f"removed; the hashes of what it was: {note}")


def _print_deletion(root: Path, deletion: "Deletion") -> None:
    """Lists the artifacts that would be removed with a speaker."""
    for record in deletion.executions:
        for output in record.outputs:
            folder = root / output.uri
            gone = "" if folder.is_dir() else " (only its record is left)"
            console.print(f"{output.kind}: {folder}{gone}")
    for path in deletion.outside:
        gone = "" if path.is_dir() else " (no longer there)"
        others = "".join(f"; {other} published it as well" for other in deletion.publishers[path])
        console.print(f"outside the root: {path}{gone}{others}")
    for other in sorted({other.root for some in deletion.publishers.values() for other in some}):
        for speaker in deletion.speakers:
            console.print(
                f"{other} keeps what it made of {speaker}; look with: "
                f"ser lineage delete-speaker {other} {speaker}",
            )
