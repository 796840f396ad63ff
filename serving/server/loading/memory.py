"""What models in memory cost the process beside their bytes."""

import gc


def exempt_from_garbage_collection() -> None:
    """Exempts all objects in memory from Python's garbage collector.

    TensorFlow and a graph are 400,000 objects. Under load the collector would traverse all of them
    every half minute; that takes a quarter of a second without answers, and makes requests late.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
