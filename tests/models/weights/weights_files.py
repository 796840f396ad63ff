"""Writes weights files as NumPy, torch and Keras lay them out, with random values, no torch."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import h5py
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


# === The legacy container of torch, opcode by opcode ===

LEGACY_STYLES = ("tensors", "first tensors", "first parameters")


def write_legacy_pth(path, tensors, style="tensors", kind="FloatStorage"):
    """Writes tensors as torch did before 1.6: five pickles, then counts and values.

    The styles are those of torch 0.4 ("tensors", a storage for each), and of the first versions:
    tensors in one storage together, and parameters whose tensor is the first of their state.
    """
    arrays = [np.ascontiguousarray(array, "<f4") for array in tensors.values()]
    if style == "first tensors":
        storages = {"70": np.concatenate([array.ravel() for array in arrays])}
        offsets = np.cumsum([0, *(array.size for array in arrays)]).tolist()
        places = [("70", offset) for offset in offsets[: len(arrays)]]
    else:
        storages = {str(71 + number): array.ravel() for number, array in enumerate(arrays)}
        places = [(key, 0) for key in storages]
    pairs = b"".join(
        _text(name) + _legacy_value(array, storages[key].size, key, offset, style, kind)
        for (name, array), (key, offset) in zip(tensors.items(), places, strict=True)
    )
    magic = b"\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
    machine = _mapping(_text("protocol_version") + _whole(1001) + _text("little_endian") + b"\x88")
    # Attributes hang on the dict of torch 0.4.
    attributes = _mapping(_text("_metadata") + _EMPTY_DICT) + b"b" if style == "tensors" else b""
    state = _EMPTY_DICT + b"(" + pairs + b"u" + attributes
    keys = b"](" + b"".join(map(_text, storages)) + b"e"
    with open(path, "wb") as file:
        for program in (magic, _whole(1001), machine, state, keys):
            file.write(b"\x80\x02" + program + b".")
        for values in storages.values():
            file.write(values.size.to_bytes(8, "little") + values.tobytes())


def _legacy_value(array, count, key, offset, style, kind):
    reference = _text("storage") + _name("torch", kind) + _text(key) + _text("cpu")
    storage = b"(" + reference + _whole(count) + b"NtQ"
    strides = [step // array.itemsize for step in array.strides]
    sizes = b"".join(
        b"(" + b"".join(map(_whole, numbers)) + b"t" for numbers in (array.shape, strides)
    )
    where = b"(" + storage + _whole(offset) + sizes
    if style == "tensors":
        return _name("torch._utils", "_rebuild_tensor_v2") + where + b"\x89" + _EMPTY_DICT + b"tR"
    tensor = _name("torch._utils", "_rebuild_tensor") + where + b"tR"
    if style == "first tensors":
        return tensor
    parameter = _name("torch.nn.parameter", "Parameter") + b")\x81"
    return parameter + b"(" + tensor + b"N" + _EMPTY_DICT + b"\x88\x89tb"


def _text(text):
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def _whole(number):
    return b"J" + number.to_bytes(4, "little")


def _name(module, name):
    return f"c{module}\n{name}\n".encode()


def _mapping(pairs):
    return b"}(" + pairs + b"u"


_EMPTY_DICT = b"ccollections\nOrderedDict\n)R"


# === The files of keras.applications.VGG16 ===


def vgg_weights(seed=0):
    """Returns kernel and bias of each of VGG-16's convolutions, by Keras's names."""
    rng, channels, layers = np.random.default_rng(seed), 3, {}
    for block, (count, filters) in enumerate(
        ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1
    ):
        for number in range(1, count + 1):
            scale = np.sqrt(2 / (9 * channels)) / (60 if channels == 3 else 1)
            kernel = rng.normal(size=(3, 3, channels, filters), scale=scale)
            bias = rng.normal(size=filters, scale=0.1)
            layers[f"block{block}_conv{number}"] = [
                array.astype("float32") for array in (kernel, bias)
            ]
            channels = filters
    return layers


def write_vgg(path, layers):
    """Writes layers as the published file has them: a group each, which lists its weights."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in ("input_1", *layers)]
        file.create_group("input_1").attrs["weight_names"] = []
        for name, arrays in layers.items():
            group = file.create_group(name)
            keys = [f"{name}_W_1:0", f"{name}_b_1:0"]
            group.attrs["weight_names"] = [key.encode() for key in keys]
            for key, array in zip(keys, arrays, strict=True):
                group[key] = array


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
