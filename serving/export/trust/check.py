"""The checks of a version before TensorFlow reads it."""

from pathlib import Path

from serving.export.trust.hashes import check_hashes, check_kinds
from serving.export.trust.operations import check_operations


def check_export(folder: Path, *, trust: bool = False) -> None:
    """Checks the folder of a version before TensorFlow reads it.

    Args:
        folder: of the version.
        trust: bool. Whether the user vouches for the model. Then only that is checked on which
            loading it could hang.

    Raises:
        ConfigError: the folder holds no export of `ser export`, its files were damaged or changed,
            or its graph has operations that are not listed.
    """
    check_kinds(folder)
    if not trust:
        check_hashes(folder)
        check_operations(folder)
