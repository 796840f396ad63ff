"""The kinds of features and the named specs: two tables, and the ways to get a spec from them."""

import importlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ser_keras.errors import ConfigError, unknown_name
from ser_keras.features.frames import FrameSpec

# Imported when a spec of the kind is made.
KINDS = {
    "logmel": "ser_keras.features.kinds.logmel:LogMelSpec",
    "mfcc": "ser_keras.features.kinds.mfcc:MfccSpec",
    "mfcc_windows": "ser_keras.features.kinds.mfcc_windows:MfccWindowsSpec",
    "opensmile": "ser_keras.features.kinds.opensmile:OpenSmileSpec",
    "prosody": "ser_keras.features.kinds.prosody:ProsodySpec",
    "spectrogram": "ser_keras.features.kinds.spectrogram:SpectrogramSpec",
}
# What `spec_from_dict` takes. Fields that are not named have the defaults of their kind.
SPECS: dict[str, dict[str, Any]] = {
    "compare": {"kind": "opensmile"},
    "egemaps": {"kind": "opensmile", "feature_set": "egemaps"},
    "logmel23": {"kind": "logmel", "num_mels": 23},
    "logmel40": {"kind": "logmel"},
    "logmel40-deltas": {"kind": "logmel", "num_deltas": 2},
    "mel64-prosody": {"kind": "prosody"},
    "mfcc40": {"kind": "mfcc"},
    "mfcc40-delta": {"kind": "mfcc", "num_deltas": 1},
    "mfcc40-windows": {"kind": "mfcc_windows"},
    "mfcc40-windows-std": {"kind": "mfcc_windows", "statistics": "mean_std"},
    "mfcc40-windows-frames": {"kind": "mfcc_windows", "statistics": "frames"},
    "mfcc40-windows-short": {"kind": "mfcc_windows", "window_s": 0.5, "window_hop_s": 0.25},
    "mfcc40-windows-short-std": {
        "kind": "mfcc_windows",
        "window_s": 0.5,
        "window_hop_s": 0.25,
        "statistics": "mean_std",
    },
    # librosa's default rate, frame and hop.
    "mfcc40-windows-22k": {
        "kind": "mfcc_windows",
        "sample_rate_hz": 22050,
        "frame_length_s": 2048 / 22050,
        "hop_s": 512 / 22050,
        "fft_points": 2048,
        "fmax_hz": 11025.0,
    },
    "spectrogram200": {"kind": "spectrogram"},
    "spectrogram400": {
        "kind": "spectrogram",
        "fft_points": 1600,
        "num_bins": 400,
        "scale": "magnitude",
    },
}


def get_spec(name: str, **overrides: Any) -> FrameSpec:
    """Returns the spec called `name`, with some of its fields changed.

    Raises:
        ConfigError: no such spec or field (the nearest are suggested), or a value that cannot be.

    Example:
        >>> get_spec("mfcc40", num_deltas=1, trim_db=35).dim
        80
    """
    if name not in SPECS:
        raise ConfigError(unknown_name("feature spec", name, SPECS))
    values = dict(SPECS[name])
    spec_class = class_of_kind(values.pop("kind"))
    _check_fields(spec_class, overrides)
    return spec_class(**(values | overrides))


def spec_from_dict(values: Mapping[str, Any]) -> FrameSpec:
    """Returns the spec that `to_dict` wrote down.

    Raises:
        ConfigError: unknown kind or field, or a value that cannot be.

    Example:
        >>> spec_from_dict(get_spec("mfcc40").to_dict()) == get_spec("mfcc40")
        True
    """
    options = dict(values)
    spec_class = class_of_kind(str(options.pop("kind", "(none)")))
    _check_fields(spec_class, options)
    return spec_class(**options)


def class_of_kind(kind: str) -> type[FrameSpec]:
    """Returns the class of a kind's specs.

    Raises:
        ConfigError: no such kind; the nearest names are suggested.
    """
    if kind not in KINDS:
        raise ConfigError(unknown_name("kind of feature", kind, KINDS))
    module, _, name = KINDS[kind].partition(":")
    spec_class: type[FrameSpec] = getattr(importlib.import_module(module), name)
    return spec_class


def name_of_spec(spec: FrameSpec) -> str:
    """Returns the name of a spec in `SPECS`, whatever its trimming; a hash where it has none.

    Example:
        >>> name_of_spec(get_spec("logmel40", trim_db=40))
        'logmel40'
        >>> name_of_spec(get_spec("logmel40", num_mels=41))
        'logmel-7214ea78'
    """
    untrimmed = replace(spec, trim_db=None)
    names = [name for name, values in SPECS.items() if values["kind"] == spec.kind]
    default = f"{spec.kind}-{untrimmed.sha256[:8]}"
    return next((name for name in names if get_spec(name) == untrimmed), default)


def _check_fields(spec_class: type[FrameSpec], options: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(spec_class)]
    for name in options:
        if name not in known:
            raise ConfigError(unknown_name(f"field of {spec_class.kind} features", name, known))
