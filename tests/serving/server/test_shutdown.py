import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_ends_at_a_signal_at_any_time(number):
    """Ten times, each at another moment after the handlers are there."""
    code = (
        "import signal, sys, threading, time\n"
        "from serving.server.shutdown import EndSignal\n"
        "main = threading.main_thread().ident\n"
        "for delay in range(10):\n"
        "    kill = lambda: signal.pthread_kill(main, int(sys.argv[1]))\n"
        "    signal.signal(int(sys.argv[1]), signal.SIG_IGN)\n"
        "    threading.Timer(0.05 + delay / 5000, kill).start()\n"
        "    EndSignal().wait()\n"
        "print('ended')\n"
    )
    command = [sys.executable, "-c", code, str(int(number))]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout) == (0, "ended\n"), ran.stderr
