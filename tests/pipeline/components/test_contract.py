import pytest

from pipeline.components import COMPONENTS, get_component
from pipeline.components.contract import Parameter


@pytest.mark.parametrize("name", list(COMPONENTS))
def test_every_component_keeps_its_contract(name):
    spec = get_component(name).spec
    assert spec.name == name
    assert spec.optional <= set(spec.inputs)
    assert spec.outputs
    for parameter in spec.parameters.values():
        assert parameter.required or parameter.accepts(parameter.default) or parameter.default == ()


@pytest.mark.parametrize(
    ("kind", "value", "accepted"),
    [
        (int, 3, True),
        (int, True, False),
        (int, 3.0, False),
        (float, 3, True),
        (float, "3", False),
        (bool, True, True),
        (bool, 1, False),
        (list, [1], True),
        (list, "ab", False),
        (str, None, True),
    ],
)
def test_a_parameter_accepts_its_own_kind(kind, value, accepted):
    assert Parameter(kind, "something").accepts(value) is accepted
