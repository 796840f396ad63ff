"""What visitors send to the page: its folder, how much it may hold, and what a dead page left."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = "ser-web-"


@contextmanager
def upload_folder() -> Iterator[Path]:
    """Gives an empty folder that is removed when the block ends.

    What an earlier page left behind because it was killed is removed before. The folder of a living
    page is locked, and the kernel ends the lock with its process.
    """
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent)
    while True:
        with TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as name:
            lock = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
            try:
                # Another page that starts now may take the new folder for one that was left.
                if _try_lock(lock) and os.path.isdir(name):
                    yield Path(name)
                    return
            finally:
                os.close(lock)


def remove_leftovers(parent: Path) -> None:
    """Removes the folders of this user's pages whose process has ended."""
    for path in parent.glob(f"{PREFIX}*"):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if os.fstat(lock).st_uid == os.getuid() and _try_lock(lock):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Quota:
    """How much of a disk all uploads together may take.

    Args:
        folder: Path of the uploads, and of what the page makes of them.
        most_bytes: int. The quota.
    """

    def __init__(self, folder: Path, most_bytes: int):
        self.folder, self.most_bytes = folder, most_bytes
        self._arriving_bytes = 0

    def has_room_for(self, num_bytes: int) -> bool:
        """Tells whether one more upload fits beside what is stored and what is arriving."""
        return self.stored_bytes() + self._arriving_bytes + num_bytes <= self.most_bytes

    @contextmanager
    def arriving(self, num_bytes: int) -> Iterator[None]:
        """Counts an upload with its whole size until the block ends; its file grows meanwhile."""
        self._arriving_bytes += num_bytes
        try:
            yield
        finally:
            self._arriving_bytes -= num_bytes

    def stored_bytes(self) -> int:
        """Returns the size of all files in the folder."""
        sizes = []
        for parent, _, names in os.walk(self.folder):
            for name in names:
                try:
                    sizes.append(os.lstat(os.path.join(parent, name)).st_size)
                except FileNotFoundError:
                    # It was deleted meanwhile.
                    continue
        return sum(sizes)
