"""Which SavedModels are loaded: those that `ser export` made, that are whole and only compute."""

import shutil
import subprocess

import pytest
import tensorflow as tf

from ser_keras.errors import ConfigError
from serving.export.trust.check import check_export
from serving.export.trust.hashes import SUMS, write_hashes
from serving.export.trust.operations import foreign_operations, read_graph
from serving.ready import ready_model
from serving.server.errors import RequestError
from serving.server.session import LoadedModel
from tests.serving.double import INPUTS, ROW, Double, write_double


@pytest.fixture
def version(tmp_path):
    return write_double(tmp_path / "double" / "1")


def refusal(folder):
    with pytest.raises(ConfigError) as caught:
        check_export(folder)
    return str(caught.value)


def test_a_whole_version_is_loaded_and_sha256sum_agrees(version):
    check_export(version)
    done = subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=version, check=False)
    assert done.returncode == 0


def test_the_ready_model_is_trusted():
    check_export(ready_model() / "1")


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "variables/variables.index", "assets.extra/tf_serving_warmup_requests"],
)
def test_a_file_that_was_changed_is_named(version, name):
    content = bytearray((version / name).read_bytes())
    content[len(content) // 2] ^= 1
    (version / name).write_bytes(content)
    assert refusal(version).startswith(f"{version}: holds another {name}, unlike the files that")


def test_a_file_that_is_missing_is_named(version):
    (version / "variables" / "variables.index").unlink()
    assert "lacks variables/variables.index" in refusal(version)


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "variables/more", "assets/words.txt"])
def test_a_file_that_was_added_is_named(version, name):
    (version / name).parent.mkdir(exist_ok=True)
    (version / name).touch()
    assert f"has {name} as well" in refusal(version)


def test_warm_up_requests_that_were_added_are_named(version):
    warm_up = version / "assets.extra" / "tf_serving_warmup_requests"
    content = warm_up.read_bytes()
    warm_up.unlink()
    write_hashes(version)
    check_export(version)
    warm_up.write_bytes(content)
    assert "has assets.extra/tf_serving_warmup_requests as well" in refusal(version)


def test_a_card_may_be_corrected_and_hidden_files_and_notes_are_none_of_the_model(version):
    extra = version / "assets.extra"
    for path in (extra / "model_card.md", extra / "notes.txt", version / ".nfs0001"):
        path.write_text("new")
    check_export(version)


def test_a_model_without_hashes_is_refused_with_what_to_do(version):
    (version / SUMS).unlink()
    text = refusal(version)
    assert "A stranger or an earlier version of ser export made this model." in text
    assert "Export it again, or, if you trust whoever made it, pass --trust." in text
    check_export(version, trust=True)


@pytest.mark.parametrize("text", ["", "nothing", f"{'0' * 64}  ../saved_model.pb\n"])
def test_hashes_that_are_none_are_refused(version, text):
    (version / SUMS).write_text(text)
    assert str(version / SUMS) in refusal(version)


def test_a_pipe_is_not_waited_for_even_with_trust(version):
    import os

    (version / "saved_model.pb").unlink()
    os.mkfifo(version / "saved_model.pb")
    with pytest.raises(ConfigError, match="found no regular file"):
        check_export(version, trust=True)


class Reads(Double):
    """Answers with a file of the server."""

    @tf.function(input_signature=[ROW])
    def run(self, x):
        return {"y": self.factor * x, "secret": tf.fill(tf.shape(x), tf.io.read_file("/etc/hosts"))}


class Writes(Double):
    """Writes a file, inside of a condition inside of a loop."""

    path = "written"

    @tf.function(input_signature=[ROW])
    def run(self, x):
        for _ in tf.range(2):
            if tf.reduce_sum(x) > 1:
                tf.io.write_file(self.path, "text")
        return {"y": self.factor * x}


class Prints(Double):
    """Prints to a file."""

    @tf.function(input_signature=[ROW])
    def run(self, x):
        tf.print(x, output_stream="file:///tmp/printed")
        return {"y": self.factor * x}


class LooksUp(Double):
    """Has a table that is filled from a file when the model is loaded."""

    def __init__(self):
        super().__init__()
        text = tf.lookup.TextFileInitializer(
            *("/etc/hosts", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
        )
        self.table = tf.lookup.StaticHashTable(text, -1)


class Python(Double):
    """Calls Python."""

    @tf.function(input_signature=[ROW])
    def run(self, x):
        return {"y": tf.ensure_shape(tf.numpy_function(lambda x: 2 * x, [x], tf.float32), [None])}


class Globs(Double):
    """Lists files."""

    @tf.function(input_signature=[ROW])
    def run(self, x):
        file_count = tf.size(tf.io.matching_files("/etc/*"))
        return {"y": self.factor * x * tf.cast(file_count, tf.float32)}


@pytest.mark.parametrize(
    ("module", "operations"),
    [
        (Reads, "ReadFile"),
        (Writes, "WriteFile"),
        (Prints, "PrintV2"),
        (LooksUp, "HashTableV2, InitializeTableFromTextFileV2"),
        (Python, "PyFunc"),
        (Globs, "MatchingFiles"),
    ],
)
def test_operations_that_reach_out_are_named(tmp_path, module, operations):
    folder = write_double(tmp_path / "1", module())
    assert f"found {operations} in the graph" in refusal(folder)
    with pytest.raises(RequestError, match=f"found {operations} in the graph"):
        LoadedModel(folder)


def test_a_refused_model_leaves_no_trace_and_a_trusted_one_does(tmp_path):
    module = Writes()
    module.path = str(tmp_path / "written")
    folder = write_double(tmp_path / "1", module)
    with pytest.raises(RequestError):
        LoadedModel(folder)
    assert not (tmp_path / "written").exists()
    model = LoadedModel(folder, trust=True)
    assert model.run("serving_default", INPUTS)["y"].tolist() == [3.0]
    assert (tmp_path / "written").read_text() == "text"
    model.close()


def test_saving_and_restoring_are_the_loaders_alone(version):
    saved = read_graph(version)
    assert foreign_operations(saved) == []
    (meta,) = saved.meta_graphs
    operations = {node.op for f in meta.graph_def.library.function for node in f.node_def}
    assert {"SaveV2", "RestoreV2"} <= operations
    # As the initialisation of the model, and in place of the restored weights.
    meta.collection_def["saved_model_main_op"].node_list.value[:] = [
        meta.saver_def.save_tensor_name.split(":")[0]
    ]
    assert foreign_operations(saved) == ["MergeV2Checkpoints", "SaveV2", "ShardedFilename"]
    del meta.collection_def["saved_model_main_op"]
    assert foreign_operations(saved) == []
    meta.saver_def.restore_op_name = meta.saver_def.save_tensor_name.split(":")[0]
    assert "SaveV2" in foreign_operations(saved)


def test_an_operation_hides_behind_no_other_of_its_name(version):
    saved = read_graph(version)
    graph = saved.meta_graphs[0].graph_def
    first = graph.node[0]
    hidden = graph.node.add(name=first.name, op="ReadFile")
    graph.node.add().CopyFrom(first)
    assert hidden.name == graph.node[-1].name
    assert foreign_operations(saved) == ["ReadFile"]


def test_weights_are_restored_from_no_other_file(version):
    saved = read_graph(version)
    (meta,) = saved.meta_graphs
    for function in meta.graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2":
                node.input[0] = node.input[1]
    assert foreign_operations(saved) == ["RestoreV2"]


def test_a_copy_under_another_number_is_the_same_model(version, tmp_path):
    shutil.copytree(version, tmp_path / "0002")
    check_export(tmp_path / "0002")
