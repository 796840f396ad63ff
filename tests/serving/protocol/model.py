"""A model whose answers can be worked out in the head, with a signature for each type."""

from pathlib import Path

import tensorflow as tf

from serving.export.layout import new_version
from serving.export.trust.hashes import write_hashes

NAME = "protocol"
# A name that a path can only hold encoded.
ENCODED = "half plus (2)"
BROKEN = "broken"
# No version can have a label before it is loaded, so this is set once the server runs.
LABELS = 'version_labels { key: "stable" value: 1 }'


class HalfPlus(tf.Module):
    """y = x / 2 + 1 + version, and what else the cases ask for.

    Args:
        version: int.
    """

    def __init__(self, version: int):
        super().__init__()
        self.offset = tf.Variable(1.0 + version)
        self.ones = tf.Variable(tf.ones([2, 1]))

    def signatures(self) -> dict[str, object]:
        """Returns the signatures by name."""
        floats, shapeless = tf.TensorSpec([None], tf.float32), tf.TensorSpec(None, tf.float32)

        def half_plus(x):
            return {"y": x / 2 + self.offset}

        def pair(a, b):
            return {"sum": a + tf.cast(b, a.dtype), "difference": a - tf.cast(b, a.dtype)}

        def text(s):
            return {"upper": tf.strings.upper(s), "raw_bytes": tf.identity(s)}

        def matrix(m):
            return {"sums": m @ self.ones}

        def below_ten(x):
            with tf.control_dependencies(
                [tf.debugging.assert_less(x, 10.0, message="x must be below 10")]
            ):
                return {"y": tf.identity(x)}

        def echo(v):
            return {"v": tf.identity(v)}

        functions = {
            "serving_default": (half_plus, {"x": shapeless}),
            "pair": (pair, {"a": floats, "b": tf.TensorSpec([None], tf.int32)}),
            "text": (text, {"s": tf.TensorSpec(None, tf.string)}),
            "matrix": (matrix, {"m": tf.TensorSpec([None, 2], tf.float32)}),
            "below_ten": (below_ten, {"x": floats}),
            "total": (lambda x: {"total": tf.reduce_sum(x)}, {"x": floats}),
            "total_and_x": (lambda x: {"total": tf.reduce_sum(x), "x": x + 0.0}, {"x": floats}),
            "uneven": (lambda x: {"once": x + 0.0, "twice": tf.concat([x, x], 0)}, {"x": floats}),
        }
        for name, dtype in {
            "f32": tf.float32,
            "f64": tf.float64,
            "i32": tf.int32,
            "i64": tf.int64,
            "flag": tf.bool,
        }.items():
            functions[name] = (echo, {"v": tf.TensorSpec([None], dtype)})
        return {
            name: tf.function(function).get_concrete_function(
                **{key: tf.TensorSpec(s.shape, s.dtype, name=key) for key, s in inputs.items()}
            )
            for name, (function, inputs) in functions.items()
        }


def write_models(base: Path) -> Path:
    """Writes two versions of the model and one that is broken; returns their `models.config`.

    Args:
        base: folder of the models' folders.
    """
    for version in (1, 2):
        module = HalfPlus(version)
        with new_version(base / NAME, version) as (staged, _):
            tf.saved_model.save(module, str(staged), module.signatures())
            write_hashes(staged)
    (base / BROKEN / "1").mkdir(parents=True)
    (base / BROKEN / "1" / "saved_model.pb").write_bytes(b"no model")
    write_hashes(base / BROKEN / "1")
    config = base / "models.config"
    config.write_text(models_config(base), encoding="utf-8")
    return config


def models_config(base: Path, labels: str = "") -> str:
    """Returns the `models.config` of what `write_models` writes.

    Args:
        base: folder of the models' folders.
        labels: str. Of the model's versions, in text format.
    """
    entries = [
        _entry(NAME, base / NAME, labels),
        _entry(ENCODED, base / NAME),
        _entry(BROKEN, base / BROKEN),
    ]
    return f"model_config_list {{ {' '.join(entries)} }}"


def _entry(name: str, folder: Path, labels: str = "") -> str:
    return (
        f'config {{ name: "{name}" base_path: "{folder}" model_platform: "tensorflow" '
        f"model_version_policy {{ all {{ }} }} {labels} }}"
    )
