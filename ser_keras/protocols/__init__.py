"""Protocols: named ways of dividing a corpus into training, validation and test, as data.

A protocol is built from rows that say who speaks what, holds nothing but keys, and is saved with
its own hash. Building a fold refuses speakers shared between its parts unless the protocol's name
says `speaker-dependent`.
"""

from ser_keras.protocols.build import build_protocol, protocol_names
from ser_keras.protocols.builders import PROTOCOLS, RAVDESS_ACTORS
from ser_keras.protocols.folds import PARTS, Fold, Protocol, choose_folds, make_fold

__all__ = [
    "PARTS",
    "PROTOCOLS",
    "RAVDESS_ACTORS",
    "Fold",
    "Protocol",
    "build_protocol",
    "choose_folds",
    "make_fold",
    "protocol_names",
]
