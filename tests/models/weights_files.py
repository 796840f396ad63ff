"""Writes weights files as NumPy and torch lay them out, with random values and without torch."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np

CAFFE_SHAPES = {
    "conv1": (11, 11, 3, 96),
    "conv2": (5, 5, 48, 256),
    "conv3": (3, 3, 256, 384),
    "conv4": (3, 3, 192, 384),
    "conv5": (3, 3, 192, 256),
}
TORCH_SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
}


def caffe_layers(seed=0):
    """Returns what bvlc_alexnet.npy holds; one dense layer stands for the three."""
    rng = np.random.default_rng(seed)
    layers = {}
    for name, shape in {**CAFFE_SHAPES, "fc8": (4096, 10)}.items():
        kernel = rng.normal(size=shape, scale=np.sqrt(2 / np.prod(shape[:-1])))
        layers[name] = [kernel.astype("float32"), rng.normal(size=shape[-1]).astype("float32")]
    layers["conv1"][0] /= 60  # its inputs go to 255
    return layers


def write_npy(path, content):
    """Writes `content` as one object array, pickled, as `np.save` does for a dict."""
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


def torch_tensors(seed=0):
    """Returns the state dict of torchvision's AlexNet; one dense layer stands for the three."""
    rng = np.random.default_rng(seed)
    tensors = OrderedDict()
    for name, shape in {**TORCH_SHAPES, "classifier.6": (10, 64)}.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        tensors[f"{name}.weight"] = rng.normal(size=shape, scale=scale).astype("float32")
        tensors[f"{name}.bias"] = rng.normal(size=shape[0]).astype("float32")
    return tensors


def write_pth(path, tensors, monkeypatch, root="archive", compression=zipfile.ZIP_STORED):
    """Writes tensors as `torch.save` does: a pickle that names storages, and one file for each."""
    names = _torch_names()
    for module in names:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    stream = io.BytesIO()
    pickler = _TorchPickler(stream, names)
    pickler.dump(OrderedDict((name, _Tensor(array)) for name, array in tensors.items()))
    for module in names:
        monkeypatch.delitem(sys.modules, module.__name__)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", stream.getvalue())
        archive.writestr(f"{root}/byteorder", "little")
        for key, array in enumerate(pickler.storages):
            archive.writestr(f"{root}/data/{key}", array.astype("<f4").tobytes())
        archive.writestr(f"{root}/version", "3\n")


class _Tensor:
    def __init__(self, array):
        self.array = array


class _Storage:
    def __init__(self, key, array):
        self.key = key
        self.array = array


def _torch_names():
    """Returns modules that carry the three names a state dict refers to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def _rebuild_tensor_v2(*_):
        raise NotImplementedError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = utils
    return torch, utils


class _TorchPickler(pickle.Pickler):
    def __init__(self, stream, names):
        super().__init__(stream, protocol=2)
        self.torch, self.utils = names
        self.storages = []

    def persistent_id(self, thing):
        if not isinstance(thing, _Storage):
            return None
        kind = self.torch.FloatStorage
        return ("storage", kind, str(thing.key), "cpu", thing.array.size)

    def reducer_override(self, thing):
        if not isinstance(thing, _Tensor):
            return NotImplemented
        array = thing.array
        storage = _Storage(len(self.storages), array)
        self.storages.append(array)
        strides = tuple(step // array.itemsize for step in array.strides)
        arguments = (storage, 0, array.shape, strides, False, OrderedDict())
        return self.utils._rebuild_tensor_v2, arguments
