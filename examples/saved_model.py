"""Loads an export with TensorFlow alone: python examples/saved_model.py models/moma/1 a.wav."""

import sys

import tensorflow as tf

model = tf.saved_model.load(sys.argv[1]).signatures["wav_bytes"]
wav = tf.constant([tf.io.read_file(path).numpy() for path in sys.argv[2:]])
outputs = model(wav=wav)
for path, label, classes, probabilities in zip(
    sys.argv[2:], outputs["label"], outputs["classes"], outputs["probabilities"], strict=True
):
    rows = zip(classes.numpy(), probabilities, strict=True)
    shares = ", ".join(f"{name.decode()} {probability:.2f}" for name, probability in rows)
    print(f"{path}: {label.numpy().decode()} ({shares})")
