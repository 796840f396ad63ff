"""Looks for new versions on the disk, again and again, in a thread of its own."""

import threading
import time
from collections.abc import Callable

# Loading a large model over a network takes minutes. A look that takes longer waits for a disk that
# does not answer, or for a request that never ends.
HANG_S = 600.0


class Watcher:
    """Calls a function at equal intervals; whatever it raises, the next call comes.

    Args:
        look: reads the disk, and loads and unloads what it asks for.
        pause_s: float. Time between two looks.
        log: called with a sentence when a look fails.
        hang_s: float. A look that takes longer counts as one that never ends.
    """

    def __init__(
        self,
        look: Callable[[], None],
        pause_s: float,
        log: Callable[[str], None],
        hang_s: float = HANG_S,
    ):
        self.log, self.hang_s = log, hang_s
        self._look, self._pause_s = look, pause_s
        self._stopping = threading.Event()
        self._problem = ""
        # Monotonic time at which the look that goes on began.
        self._began_s: float | None = None
        # Whether the log says that a look hangs.
        self._is_said_to_hang = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether it still looks, and the look that goes on is no older than `hang_s`."""
        return self._thread.is_alive() and not self._hangs

    @property
    def _hangs(self) -> bool:
        began_s = self._began_s
        return began_s is not None and time.monotonic() - began_s > self.hang_s

    def look(self) -> None:
        """Looks once; tells in the log what failed, once for each kind of failure."""
        self._began_s = time.monotonic()
        try:
            self._look()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if problem != self._problem:
                self.log(f"reading the disk failed, and is tried again: {problem}")
            self._problem = problem
        else:
            self._problem = ""
        finally:
            self._began_s = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def revive(self) -> None:
        """Starts the thread again if it has died; the log tells of that, and of a look that hangs.

        A look that hangs cannot be ended, and a second one would wait for it.
        """
        if not self._thread.is_alive() and not self._stopping.is_set():
            self.log("ERROR: the search for new versions ended, and is started again")
            self._began_s = None
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        hangs = self._hangs
        if hangs and not self._is_said_to_hang:
            self.log(
                f"ERROR: a search for new versions has taken more than {self.hang_s:g} s; until it "
                "ends, what is in memory goes on serving and new versions do not serve"
            )
        if self._is_said_to_hang and not hangs:
            self.log("the search for new versions goes on")
        self._is_said_to_hang = hangs

    def stop(self) -> None:
        """Lets the thread end after its present look; does not wait for it."""
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self.look()
