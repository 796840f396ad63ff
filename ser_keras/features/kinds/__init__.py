"""The kinds of features, one module each: a spec with its `compute`."""
