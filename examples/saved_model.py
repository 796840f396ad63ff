"""Loads an export with TensorFlow alone: python examples/saved_model.py models/moma/1 a.wav."""

import sys

import tensorflow as tf

model = tf.saved_model.load(sys.argv[1]).signatures["wav_bytes"]
wav = tf.constant([tf.io.read_file(path).numpy() for path in sys.argv[2:]])
said = model(wav=wav)
for path, label, classes, values in zip(
    sys.argv[2:], said["label"], said["classes"], said["probabilities"], strict=True
):
    shares = ", ".join(
        f"{n.decode()} {v:.2f}" for n, v in zip(classes.numpy(), values, strict=True)
    )
    print(f"{path}: {label.numpy().decode()} ({shares})")
