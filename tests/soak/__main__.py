"""`python -m tests.soak`: run a soak and print its report; 0 when every invariant holds."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Soak
from tests.stores.servers import postgres, schema


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--bookings", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.05, help="probability of every fault, per call (%(default)s)")
    parser.add_argument("--kill-every", type=float, default=30.0, metavar="SECONDS", help="(%(default)s)")
    parser.add_argument("--clients", type=int, default=16, help="how many ask at a time (%(default)s)")
    parser.add_argument(
        "--resolve-s",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="longest wait for a pending ride (%(default)s)",
    )
    parser.add_argument("--patience", type=float, default=1800.0, metavar="SECONDS", help="longest wait for quiet")
    parser.add_argument(
        "--longest", type=float, default=float("inf"), metavar="SECONDS", help="nobody begins after that"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes of a soak end with it
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"logs are in {folder}", file=sys.stderr)
    with postgres() as server, schema(server) as url:
        soak = Soak(url, folder, **vars(options))
        try:
            report = soak.run()
        finally:
            soak.close()
    (folder / "report.json").write_text(report.text())
    print(report.text())
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
