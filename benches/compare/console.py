"""What a run says while it goes on, and how it is interrupted."""

import signal
import sys
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(words):
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def heed_signals(handler):
    for name in SIGNALS:
        signal.signal(name, handler)


def interrupted(*_):
    """The first signal ends the run; what is then taken away is not to be interrupted."""
    heed_signals(signal.SIG_IGN)
    raise KeyboardInterrupt
