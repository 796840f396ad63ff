"""Tests of `ser_keras.features`."""
