"""Weights files: what is loaded, what is refused, and that the network then computes the same."""

import hashlib
import os
import pickle
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

from ser_keras.errors import WeightsError
from ser_keras.models import build_model
from ser_keras.models.weights.alexnet import convert_weights, inspect_weights, load_weights
from tests.harness import batch_of
from tests.models.weights.weights_files import (
    LEGACY_STYLES,
    caffe_layers,
    torch_tensors,
    write_legacy_pth,
    write_npy,
    write_pth,
)
from tests.reference import alexnet_fcn as reference

DIM = 70
FEATURES = np.random.default_rng(4).uniform(size=(72, DIM)).astype("float32")


@pytest.fixture
def npy(tmp_path):
    path = tmp_path / "bvlc_alexnet.npy"
    write_npy(path, caffe_layers())
    return path


@pytest.fixture
def pth(tmp_path, monkeypatch):
    path = tmp_path / "alexnet-owt-test.pth"
    write_pth(path, torch_tensors(), monkeypatch)
    return path


def full_width(plan):
    return build_model("alexnet_fcn", num_classes=4, dim=DIM, plan=plan)


def encode(model):
    """Returns the map in front of the attention."""
    encoder = keras.Model(model.inputs, model.get_layer("pool5").output)
    return keras.ops.convert_to_numpy(encoder(batch_of([FEATURES])))[0]


def test_caffe_weights_give_caffes_activations(npy):
    model = full_width("bvlc")
    report = load_weights(model, npy)
    assert report["plan"] == inspect_weights(npy) == "bvlc"
    assert report["sha256"] == hashlib.sha256(npy.read_bytes()).hexdigest()
    weights = caffe_layers()
    grey = np.repeat(FEATURES.T[:, :, None], 3, axis=2).astype(float)
    bgr = grey * 255 - [104.00698793, 116.66876762, 122.67891434]
    np.testing.assert_allclose(encode(model), reference.encode(bgr, weights), atol=1e-4)


def check_torchvisions_activations(path):
    model = full_width("torchvision")
    report = load_weights(model, path)
    assert report["plan"] == inspect_weights(path) == "torchvision"
    tensors = torch_tensors()
    weights = {}
    for number, index in enumerate((0, 3, 6, 8, 10), start=1):
        kernel = tensors[f"features.{index}.weight"].transpose(2, 3, 1, 0)
        weights[f"conv{number}"] = (kernel, tensors[f"features.{index}.bias"])
    image = reference.image_of(FEATURES)
    expected = reference.encode(image, weights, plan="torchvision")
    np.testing.assert_allclose(encode(model), expected, atol=1e-4)


def test_torchvision_weights_give_torchvisions_activations(pth):
    check_torchvisions_activations(pth)


@pytest.mark.parametrize("style", LEGACY_STYLES)
def test_legacy_torch_files_give_torchvisions_activations(tmp_path, style):
    path = tmp_path / "alexnet-owt-test.pth"
    write_legacy_pth(path, torch_tensors(), style)
    check_torchvisions_activations(path)


@pytest.mark.parametrize("native", [False, True], ids=["load_weights", "keras"])
def test_converted_file_loads_the_convolutions_and_nothing_else(pth, tmp_path, native):
    target = tmp_path / "out" / "alexnet.weights.h5"
    assert convert_weights(pth, target)["plan"] == inspect_weights(target) == "torchvision"
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    direct, converted = full_width("torchvision"), full_width("torchvision")
    load_weights(direct, pth)
    head = [np.array(weight) for weight in converted.get_layer("attention").get_weights()]
    if native:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras names every layer the file leaves out
            converted.load_weights(target, skip_mismatch=True)
    else:
        load_weights(converted, target)
    for number in range(1, 6):
        for one, other in zip(
            direct.get_layer(f"conv{number}").get_weights(),
            converted.get_layer(f"conv{number}").get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(head, converted.get_layer("attention").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_python_2_pickles_are_read(tmp_path):
    """The published file was written by Python 2: arrays as text, in protocol 2."""
    header = b"\x93NUMPY\x01\x00" + (70).to_bytes(2, "little")
    header += b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(69) + b"\n"
    path = tmp_path / "old.npy"
    array = np.array(caffe_layers(), dtype=object)
    path.write_bytes(header + pickle.dumps(array, protocol=2))
    assert inspect_weights(path) == "bvlc"


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_program_inside_npy_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"
    write_npy(tmp_path / "bad.npy", {**caffe_layers(), "fc9": [Bomb(marker)]})
    with pytest.raises(WeightsError, match=r"asks for posix\.system"):
        inspect_weights(tmp_path / "bad.npy")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "numpy\nload", "torch\nload"])
def test_program_inside_pth_is_refused(tmp_path, name):
    path = tmp_path / "bad.pth"
    program = b"c" + name.encode() + b"\n(S'1'\ntR."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    with pytest.raises(WeightsError, match=name.replace("\n", r"\.")):
        inspect_weights(path)


def test_pickle_that_changes_a_function_is_refused(tmp_path):
    path = tmp_path / "bad.pth"
    program = b"ctorch\nFloatStorage\n}S'_make'\nI1\nsb."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    with pytest.raises(WeightsError, match="change a function"):
        inspect_weights(path)


def test_array_that_lies_about_its_size_is_refused(tmp_path):
    layers = caffe_layers()
    array = np.array(layers, dtype=object)
    path = tmp_path / "bad.npy"
    write_npy(path, layers)
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    changed = pickle.dumps(array, protocol=2).replace(b"K\x0bK\x0bK\x03K`", b"K\x0bK\x0bK\x03Ka")
    assert len(changed) == len(pickle.dumps(array, protocol=2))
    assert b"K\x0bK\x0bK\x03Ka" in changed
    path.write_bytes(data[:start] + changed)
    with pytest.raises(WeightsError, match="cannot be read as a pickled NumPy file"):
        inspect_weights(path)


def test_compressed_member_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pth"
    tensors = {"features.0.weight": np.zeros((64, 3, 11, 11), "float32")}
    write_pth(path, tensors, monkeypatch, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        inspect_weights(path)


@pytest.mark.parametrize("kind", ["npy", "pth"])
def test_wrong_shape_is_named(tmp_path, monkeypatch, kind):
    path = tmp_path / f"wrong.{kind}"
    if kind == "npy":
        layers = caffe_layers()
        layers["conv3"][0] = layers["conv3"][0][:, :, :-1]
        write_npy(path, layers)
    else:
        tensors = torch_tensors()
        tensors["features.6.weight"] = np.ascontiguousarray(tensors["features.6.weight"][:, :-1])
        write_pth(path, tensors, monkeypatch)
    with pytest.raises(WeightsError, match=r"conv3 has shapes .*expected .*\(3, 3, (256|192), 384"):
        inspect_weights(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no weights file known here"),
        (b"<html>not found</html>", "no weights file known here"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "cannot be read as a legacy torch file"),
        (b"\x93NUMPY\x01\x00", "cannot be read as a pickled NumPy file"),
        (b"PK\x03\x04 and no more", "cannot be read as a zipped torch file"),
        (b"\x89HDF\r\n\x1a\n and no more", "cannot be read as HDF5"),
    ],
)
def test_other_files_are_refused_with_the_remedy(tmp_path, content, message):
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        inspect_weights(path)
    assert str(path) in str(caught.value)
    assert "alexnet-owt-*.pth" in str(caught.value)


def test_truncated_file_is_refused(pth):
    data = pth.read_bytes()
    pth.write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="cannot be read as a zipped torch file"):
        inspect_weights(pth)


def test_missing_file_and_foreign_h5_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        inspect_weights(tmp_path / "none.npy")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    with pytest.raises(WeightsError, match="not a converted encoder"):
        inspect_weights(tmp_path / "foreign.h5")


def test_model_of_another_plan_is_refused(npy):
    with pytest.raises(WeightsError, match="plan='bvlc'"):
        load_weights(full_width("torchvision"), npy)


def test_converted_name_is_checked(npy, tmp_path):
    with pytest.raises(WeightsError, match=r"ending in \.h5 or \.weights\.h5"):
        convert_weights(npy, tmp_path / "alexnet.npz")


# === Legacy torch files that are not to be read ===


def legacy(tmp_path, **options):
    """Returns (path of a small legacy file, its bytes)."""
    path = tmp_path / "legacy.pth"
    tensors = {"features.0.bias": np.arange(6, dtype="float32"), "other": np.ones(3, "float32")}
    write_legacy_pth(path, tensors, **options)
    return path, path.read_bytes()


@pytest.mark.parametrize("cut", [1, 40, 60])
def test_truncated_legacy_file_is_refused(tmp_path, cut):
    path, data = legacy(tmp_path)
    path.write_bytes(data[:-cut])
    with pytest.raises(
        WeightsError, match=r"ends within storage 7|holds 0 values|truncated|Ran out of"
    ):
        inspect_weights(path)


def test_legacy_file_with_other_values_says_how_to_save_it_again(tmp_path):
    path, _ = legacy(tmp_path, kind="HalfStorage")
    with pytest.raises(WeightsError, match=r"torch\.HalfStorage.*torch\.save.*weights_only=True"):
        inspect_weights(path)


def test_legacy_file_of_a_big_endian_machine_says_how_to_save_it_again(tmp_path):
    path, data = legacy(tmp_path)
    path.write_bytes(data.replace(b"little_endian\x88", b"little_endian\x89"))
    with pytest.raises(WeightsError, match=r"big-endian machine.*torch\.save"):
        inspect_weights(path)


@pytest.mark.parametrize("count", [7, 1 << 30])
def test_legacy_storage_that_lies_about_its_size_is_refused(tmp_path, count):
    path, data = legacy(tmp_path)
    true, false = (b"J" + number.to_bytes(4, "little") + b"NtQ" for number in (6, count))
    assert data.count(true) == 1
    path.write_bytes(data.replace(true, false))
    message = "more than the file holds" if count > 7 else "holds 6 values, expected 7"
    with pytest.raises(WeightsError, match=message):
        inspect_weights(path)


@pytest.mark.parametrize("name", ["builtins\neval", "posix\nsystem", "torch.nn.parameter\nload"])
def test_program_inside_a_legacy_file_is_refused(tmp_path, name):
    path, data = legacy(tmp_path)
    known = b"ctorch._utils\n_rebuild_tensor_v2\n"
    path.write_bytes(data.replace(known, b"c" + name.encode() + b"\n"))
    with pytest.raises(WeightsError, match=f"asks for {name}".replace("\n", r"\.")):
        inspect_weights(path)


def test_legacy_pickle_that_changes_a_class_is_refused(tmp_path):
    path, data = legacy(tmp_path, style="first parameters")
    parameter = b"ctorch.nn.parameter\nParameter\n)\x81"
    assert parameter in data
    path.write_bytes(data.replace(parameter, b"ctorch.nn.parameter\nParameter\n"))
    with pytest.raises(WeightsError, match="cannot be read as a legacy torch file"):
        inspect_weights(path)
