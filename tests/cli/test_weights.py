"""The verb `weights`: a public file becomes one that holds no program."""

import h5py
import numpy as np
import pytest

from tests.models.weights.weights_files import (
    caffe_layers,
    torch_tensors,
    write_legacy_pth,
    write_npy,
    write_pth,
)


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_torchvisions_alexnet_becomes_hdf5(ser, tmp_path, monkeypatch, container):
    source, target = tmp_path / "alexnet-owt.pth", tmp_path / "new" / "alexnet.h5"
    tensors = torch_tensors()
    if container == "legacy":
        write_legacy_pth(source, tensors, "first parameters")
    else:
        write_pth(source, tensors, monkeypatch)
    code, out, _ = ser("weights", "convert", source, "--output", target)
    assert (code, "plan torchvision" in out) == (0, True)
    with h5py.File(target) as file:
        assert file.attrs["plan"] == "torchvision"
        for number, layer in enumerate((0, 3, 6, 8, 10)):
            kernel, bias = (
                file[f"layers/split_conv2d{f'_{number}' if number else ''}/vars/{index}"][()]
                for index in (0, 1)
            )
            expected = tensors[f"features.{layer}.weight"].transpose(2, 3, 1, 0)
            np.testing.assert_array_equal(kernel, expected)
            np.testing.assert_array_equal(bias, tensors[f"features.{layer}.bias"])


def test_caffes_alexnet_becomes_hdf5(ser, tmp_path):
    source, target = tmp_path / "bvlc_alexnet.npy", tmp_path / "alexnet.weights.h5"
    write_npy(source, caffe_layers())
    code, out, _ = ser("weights", "convert", source, "--output", target)
    assert (code, "plan bvlc" in out) == (0, True)
    with h5py.File(target) as file:
        conv5 = file["layers/split_conv2d_4/vars/0"][()]
    np.testing.assert_array_equal(conv5, caffe_layers()["conv5"][0])


def test_a_file_that_cannot_be_read_says_what_to_do_and_leaves_nothing(ser, tmp_path):
    source, target = tmp_path / "half.pth", tmp_path / "alexnet.h5"
    write_legacy_pth(source, torch_tensors(), kind="HalfStorage")
    code, _, err = ser("weights", "convert", source, "--output", target)
    assert code == 7
    assert "torch.HalfStorage" in err
    assert "torch.save" in err
    assert list(tmp_path.iterdir()) == [source]


def test_a_target_that_cannot_be_written_is_a_sentence(ser, tmp_path):
    source, target = tmp_path / "bvlc_alexnet.npy", tmp_path / "taken.h5"
    write_npy(source, caffe_layers())
    target.mkdir()
    for output in (target, source / "alexnet.h5"):
        code, _, err = ser("weights", "convert", source, "--output", output)
        assert (code, f"{output}: cannot be written" in err) == (7, True), err
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_the_file_can_be_read_by_whom_others_can(ser, tmp_path):
    source, target = tmp_path / "bvlc_alexnet.npy", tmp_path / "alexnet.h5"
    write_npy(source, caffe_layers())
    ser("weights", "convert", source, "--output", target)
    assert target.stat().st_mode == source.stat().st_mode
