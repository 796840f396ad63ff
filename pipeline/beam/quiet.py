"""Keeps an irrelevant warning of Beam out of the logs."""

import logging


def quiet_beam() -> None:
    """Drops Beam 2.77's warning about Google Cloud clients, which nothing here uses.

    It is logged on import if the extra `gcp` is partly installed. Remove when Beam drops it.
    """
    logging.getLogger().addFilter(lambda record: "apitools not found" not in str(record.msg))
