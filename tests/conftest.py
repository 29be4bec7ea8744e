"""What holds for every test."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs deaf to Ctrl-C, and children inherit that; tests of Ctrl-C need hearing ones.
    signal.signal(signal.SIGINT, signal.default_int_handler)
