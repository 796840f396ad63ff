"""Output units for the classes that only joint corpora have, beside those of an experiment."""

import keras


def with_other_classes(model: keras.Model, count: int) -> keras.Model:
    """Returns a model with the same variables, and logits for further classes.

    Both classifiers see the same vector, so that together they are one linear layer over the union
    of the classes. `model` itself, with its own classes alone, is what is saved.

    Args:
        model: keras.Model of `ser_keras.models`, whose layer "classifier" makes its logits.
        count: int. Number of further classes.

    Returns:
        keras.Model with the further output "other_logits", float32 (batch, count); `model` itself
        where `count` is 0.
    """
    if not count:
        return model
    vector = model.get_layer("classifier").input
    logits = keras.layers.Dense(count, dtype="float32", name="other_classifier")(vector)
    return keras.Model(model.input, {**model.output, "other_logits": logits}, name=model.name)
