"""Component: scores a trained model by slice and decides whether it is good enough."""

from pipeline.components.contract import Component, ComponentResult, ComponentSpec, Parameter, Task
from pipeline.gates.blessing import reasons_against
from ser_keras.errors import ConfigError

SPEC = ComponentSpec(
    name="evaluator",
    about="Scores a model by corpus, gender, speaker and duration; blesses it above the limits.",
    parameters={
        "lowest": Parameter(
            dict, "lowest scores by slice (all, corpus, gender, speaker, duration): {all: {ua: .5}}"
        ),
        "largest_drop": Parameter(
            dict, "largest allowed drop below the last blessed model's scores, by slice"
        ),
        "min_utterances": Parameter(int, "smaller slices are reported but not judged", 20),
    },
    inputs={"model": "Model", "features": "Features", "baseline": "Evaluation"},
    outputs={"evaluation": "Evaluation"},
    optional=frozenset({"baseline"}),
)


def execute(task: Task) -> ComponentResult:
    """Evaluates and judges a model; refuses if it is not blessed.

    Inputs: `model`, a finished run; `features`; `baseline`, the last blessed evaluation. Outputs:
    `evaluation`, with evaluation.json and BLESSED or NOT_BLESSED.
    """
    from pipeline.gates.evaluation import evaluate, load_evaluation, write_evaluation
    from pipeline.gates.thresholds import judge

    baseline = task.inputs.get("baseline")
    if baseline is not None and reasons_against(baseline):
        raise ConfigError(
            f"evaluator: found a baseline that is not blessed ({baseline}), expected a blessed "
            "one, or none."
        )
    evaluation = evaluate(task.inputs["model"], task.inputs["features"])
    verdict = judge(
        evaluation,
        task.parameters["lowest"] or {},
        task.parameters["largest_drop"] or {},
        load_evaluation(baseline) if baseline is not None else None,
        task.parameters["min_utterances"],
    )
    write_evaluation(task.outputs["evaluation"], evaluation, verdict)
    scores = evaluation["slices"]["all"]["all"]
    facts = {
        "blessed": not verdict.reasons,
        "ua": scores["ua"],
        "wa": scores["wa"],
        "notes": verdict.notes,
    }
    return ComponentResult(facts, "; ".join(verdict.reasons))


COMPONENT = Component(SPEC, execute)
