"""Keeps a warning of Beam's own out of every log."""

import logging


def quiet_beam() -> None:
    """Drops Beam 2.77's warning about Google Cloud clients, which nothing here uses.

    It is logged on import wherever the extra `gcp` is half installed; remove when it is gone.
    """
    logging.getLogger().addFilter(lambda record: "apitools not found" not in str(record.msg))
