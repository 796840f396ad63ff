"""Checks the runner that options for Beam name, before anything is started on it."""

import argparse
import importlib.util
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import StandardOptions

from ser_keras.errors import ConfigError, unknown_name

DASK = "DaskRunner"
# Beam knows it by this name alone.
DASK_CLASS = "apache_beam.runners.dask.dask_runner.DaskRunner"
PARTS = ("--dask_partition_size", "--dask_npartitions")
CONNECT_S = 5.0


def with_checked_runner(beam_args: Sequence[str]) -> list[str]:
    """Returns options for Beam whose runner exists, is installed and can be reached.

    Beam would try for half a minute, or show a traceback.

    Args:
        beam_args: options for Beam. A runner may be named by its class, or as Beam's help does,
            with or without "Runner".

    Raises:
        ConfigError: there is no such runner (the nearest are suggested), its package is not
            installed, or nobody listens at its address.
    """
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--runner", default="")
    args = list(beam_args)
    given, others = options.parse_known_args(args)
    known = {_short(name): name for name in (DASK, *StandardOptions.KNOWN_RUNNER_NAMES)}
    # A dotted name is that of a class, which may be anybody's.
    if given.runner and "." not in given.runner and _short(given.runner) not in known:
        raise ConfigError(unknown_name("--runner", given.runner, known.values()))
    if known.get(_short(given.runner)) != DASK and given.runner != DASK_CLASS:
        return args
    _check_dask(others)
    # Beam makes parts of 128 elements otherwise, and one worker gets all shards.
    parts = () if any(arg.startswith(PARTS) for arg in others) else ("--dask_partition_size=1",)
    return [f"--runner={DASK_CLASS}", *parts, *others]


def _short(runner: str) -> str:
    return runner.lower().removesuffix("runner")


def _check_dask(beam_args: Sequence[str]) -> None:
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--dask_client_address")
    options.add_argument("--dask_scheduler_file", type=Path)
    given, _ = options.parse_known_args(beam_args)
    if importlib.util.find_spec("distributed") is None:
        raise ConfigError(
            f"--runner={DASK}: found no package dask.distributed, expected it here and on every "
            "worker. Install it with pip install 'ser-keras[dask]'."
        )
    if given.dask_scheduler_file is not None and not given.dask_scheduler_file.is_file():
        raise ConfigError(
            f"--dask_scheduler_file={given.dask_scheduler_file}: found no such file, expected the "
            "one that dask scheduler --scheduler-file writes. Start the scheduler, or correct the "
            "path."
        )
    if given.dask_client_address is not None:
        _check_listens(given.dask_client_address)


def _check_listens(address: str) -> None:
    option = f"--dask_client_address={address}"
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise ConfigError(
            f"{option}: found no host and port, expected an address such as tcp://10.0.0.5:8786. "
            "The scheduler prints its own when it starts."
        )
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        raise ConfigError(
            f"{option}: found nobody who listens there ({error.strerror or error}), expected a "
            "Dask scheduler. Start one with dask scheduler, or correct the address."
        ) from None
