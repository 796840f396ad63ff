import copy
import re

import pytest
import yaml

from pipeline.orchestration.pipeline_file import example_names, load_pipeline
from ser_keras.errors import ConfigError
from tests.pipeline.toy_pipeline import NODES

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def load(tmp_path):
    """Returns a function that loads a pipeline of toys, changed by a function."""

    def run(change=lambda values: None, **options):
        nodes = copy.deepcopy(NODES)
        nodes["source"]["parameters"] = {"file": "input.txt"}
        values = {"name": "toys", "root": "root", "nodes": nodes}
        change(values)
        path = tmp_path / "pipeline.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_pipeline(path, **options)

    return run


def names(pipeline):
    return [node.name for node in pipeline.nodes]


def test_every_node_stands_behind_those_that_it_needs(load):
    def reverse(values):
        values["nodes"] = dict(reversed(values["nodes"].items()))

    for order in (names(load()), names(load(reverse))):
        assert order.index("source") < order.index("shout") < order.index("join")
        assert order.index("join") < order.index("check") < order.index("guarded")


def test_an_input_finds_the_output_of_its_kind(load):
    (join, check) = (node for node in load().nodes if node.name in ("join", "check"))
    assert join.inputs["left"].output == "text"
    assert (check.inputs["text"].node, check.inputs["text"].output) == ("join", "text")


def test_an_import_starts_at_the_pipeline_s_file(load, tmp_path):
    def change(values):
        values["nodes"]["join"]["inputs"]["right"] = {"import": "a/text"}

    (join,) = (node for node in load(change).nodes if node.name == "join")
    assert join.inputs["right"].path == tmp_path / "a/text"


def put(*keys, value):
    """Returns a change of one value of the file."""

    def change(values):
        for key in keys[:-1]:
            values = values.setdefault(key, {})
        values[keys[-1]] = value

    return change


def drop(*keys):
    """Returns a change that removes one value of the file."""

    def change(values):
        for key in keys[:-1]:
            values = values[key]
        del values[keys[-1]]

    return change


MISTAKES = {
    "an unknown key": (put("nods", value=1), "unknown key 'nods'; did you mean 'nodes'"),
    "no root": (drop("root"), "root is missing"),
    "no nodes": (put("nodes", value={}), "expected a name and what it does"),
    "a name that is no folder": (put("nodes", "a/b", value={}), "found the name 'a/b'"),
    "a node that is no mapping": (put("nodes", "shout", value=3), "node shout: found 3"),
    "an unknown key of a node": (
        put("nodes", "shout", "input", value={}),
        "node shout: unknown key 'input'; did you mean 'inputs'",
    ),
    "no component": (drop("nodes", "shout", "component"), "node shout: component is missing"),
    "an unknown component": (
        put("nodes", "shout", "component", value="shoot"),
        "node shout: unknown component 'shoot'; did you mean 'shout'",
    ),
    "an unknown parameter": (
        put("nodes", "shout", "parameters", "ent", value=""),
        "node shout: unknown parameter of shout 'ent'; did you mean 'end'",
    ),
    "a parameter of another kind": (
        put("nodes", "steps", "parameters", "steps", value="x"),
        "node steps: found steps: 'x', expected a int",
    ),
    "a missing parameter": (drop("nodes", "source", "parameters"), "node source: file is missing"),
    "an unknown input": (
        put("nodes", "shout", "inputs", "txt", value="source"),
        "node shout: unknown input of shout 'txt'; did you mean 'text'",
    ),
    "a missing input": (drop("nodes", "shout", "inputs", "text"), "node shout: the input text"),
    "an unknown node": (
        put("nodes", "shout", "inputs", "text", value="sourse"),
        "node shout, input text: unknown node 'sourse'; did you mean 'source'",
    ),
    "an unknown output": (
        put("nodes", "guarded", "inputs", "text", value="join.txt"),
        "node guarded, input text: unknown output 'txt'; did you mean 'text'",
    ),
    "an artifact of another kind": (
        put("nodes", "guarded", "inputs", "text", value="join.size"),
        "node guarded, input text: join makes Size, expected Text",
    ),
    "a node without such an artifact": (
        put("nodes", "guarded", "inputs", "text", value="check"),
        "node guarded, input text: check makes Verdict, expected Text",
    ),
    "an input that is nothing": (
        put("nodes", "shout", "inputs", "text", value={"from": "source"}),
        "node shout, input text: found {'from': 'source'}",
    ),
    "something earlier that is needed the first time": (
        put("nodes", "shout", "inputs", "text", value={"last": "source"}),
        "which it cannot do without",
    ),
    "an unknown node to wait for": (
        put("nodes", "shout", "after", value=["sorce"]),
        "node shout: unknown node 'sorce'",
    ),
    "something to wait for that is no list": (
        put("nodes", "shout", "after", value="source"),
        "node shout: found after: 'source'",
    ),
    "a circle": (
        put("nodes", "shout", "inputs", "text", value="guarded"),
        "found a circle of nodes, ",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named_with_its_node(load, what):
    change, sentence = MISTAKES[what]
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load(change)


def test_a_circle_is_named_in_its_own_direction(load):
    with pytest.raises(ConfigError) as raised:
        load(put("nodes", "shout", "inputs", "text", value="guarded"))
    circle = re.search("circle of nodes, (.*), expected", str(raised.value))[1]
    assert "shout -> join" in circle


@pytest.mark.parametrize("text", ["nodes: [", "3", "\x00"])
def test_a_file_that_is_no_pipeline_is_named(tmp_path, text):
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        load_pipeline(path)


def test_an_unknown_pipeline_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'demo'"):
        load_pipeline("dmo")


def test_a_node_that_others_can_do_without_is_left_out(load):
    def change(values):
        values["nodes"]["twice"] = {"component": "shout", "inputs": {"text": "source"}}
        values["nodes"]["join"]["inputs"]["right"] = "twice"

    loaded = load(change, without=["twice"])
    (join,) = (node for node in loaded.nodes if node.name == "join")
    assert "twice" not in names(loaded)
    assert set(join.inputs) == {"left"}


def test_a_node_that_others_need_is_not_left_out(load):
    with pytest.raises(ConfigError, match="node join: cannot do without shout, its input left"):
        load(without=["shout"])


def test_leaving_out_what_is_only_waited_for_frees_those_that_wait(load):
    assert load(without=["check"]).nodes[-1].after == ()


@pytest.mark.parametrize("name", example_names())
def test_every_pipeline_that_comes_with_the_project_is_one(name):
    loaded = load_pipeline(name)
    assert loaded.name == name
    sources = [source for node in loaded.nodes for source in node.inputs.values()]
    assert all(source.path.is_file() for source in sources if source.path)
