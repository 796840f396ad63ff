"""Tests, in the order of the packages they test; `tests.reference` holds slow obvious oracles."""
