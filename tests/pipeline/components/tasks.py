"""Runs a component by itself: folders in, folders out."""

from pipeline.components.contract import Task


def run(component, inputs, root, **parameters):
    """Returns (the component's result, its outputs' folders), with its defaults and checks."""
    spec = component.spec
    outputs = {key: root / "outputs" / key for key in spec.outputs}
    for folder in outputs.values():
        folder.mkdir(parents=True)
    assert set(spec.inputs) - spec.optional <= set(inputs) <= set(spec.inputs)
    task = Task(inputs, outputs, spec.resolve(parameters, spec.name))
    return component.execute(task), outputs
