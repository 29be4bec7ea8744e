"""``python -m steps.simulator``: run the simulator, alone or around a command.

Alone it prints its base URL, logs one line per call to standard error and ends with Ctrl-C or SIGTERM. With ``--
COMMAND`` it runs the command with TAXI_URL in its environment, passes signals on, and exits with the command's exit
code.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from threading import Event
from types import FrameType

from steps.simulator.catalogue import catalogue
from steps.simulator.plan import PlanError
from steps.simulator.server import Simulator

USAGE_ERROR = 2
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run with these command line arguments; the exit code."""
    own, command = _split(list(arguments))
    options = _parser().parse_args(own)
    if options.list_faults:
        for fault_id, entry in catalogue().items():
            print(f"{fault_id}  {entry['title']}")
        return 0
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    if command is None and not options.quiet:
        logging.getLogger("steps.simulator").setLevel(logging.INFO)
    port = options.port if options.port is not None else (8642 if command is None else 0)
    try:
        simulator = _simulator(options, port)
        simulator.start()
    except PlanError as error:
        print("\n".join(f"plan: {problem}" for problem in error.problems), file=sys.stderr)
        return USAGE_ERROR
    except OSError as error:
        print(f"cannot listen on {options.host}:{port}: {error.strerror or error}", file=sys.stderr)
        return USAGE_ERROR
    try:
        return _stand_alone(simulator) if command is None else _run(command, simulator.url)
    finally:
        simulator.stop()


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    if "--" not in arguments:
        return arguments, None
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.simulator",
        usage="%(prog)s [options] [-- COMMAND ARGS...]",
        description="A taxi company on this machine: it keeps the Global Taxi contract, and breaks it on request.",
        epilog="With -- COMMAND the simulator is up while the command runs; TAXI_URL tells the command where.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, help="0 takes a free one (default 8642; with a command 0)")
    parser.add_argument("--plan", metavar="FILE", help="plan file (YAML): faults, contract, clock ...")
    parser.add_argument("--fault", metavar="ID", action="append", default=[], help="play F01 ... F54; may be repeated")
    parser.add_argument("--list-faults", action="store_true", help="list the faults that --fault can play")
    parser.add_argument("--seed", type=int, help="for everything drawn by lot (default 42)")
    parser.add_argument(
        "--hang-s", type=float, metavar="S", help="real seconds that hangs last, whatever the plan says"
    )
    parser.add_argument("--webhook-url", metavar="URL", help="where ride events are posted (default: nowhere)")
    parser.add_argument(
        "--webhook-secret-env",
        metavar="NAME",
        default="TAXI_WEBHOOK_SECRET",
        help="variable with the secret (%(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="log no calls")
    return parser


def _simulator(options: argparse.Namespace, port: int) -> Simulator:
    return Simulator(
        options.plan,
        faults=options.fault,
        seed=options.seed,
        hang_s=options.hang_s,
        webhook_url=options.webhook_url,
        webhook_secret=os.environ.get(options.webhook_secret_env),
        host=options.host,
        port=port,
    )


def _stand_alone(simulator: Simulator) -> int:
    ended = Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    with _signals_go_to(end):
        print(
            f"Global Taxi simulator at {simulator.url} (TAXI_URL={simulator.url}); control at {simulator.control_url}",
            flush=True,
        )
        ended.wait()
    return 0


def _run(command: list[str], url: str) -> int:
    if not command:
        print("after -- comes the command to run", file=sys.stderr)
        return USAGE_ERROR
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        # the terminal's Ctrl-C reaches the command by itself
        if child is not None and not (number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty()):
            child.send_signal(number)

    with _signals_go_to(pass_on):
        try:
            child = subprocess.Popen(command, env={**os.environ, "TAXI_URL": url})
        except OSError as error:
            print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        code = child.wait()
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _signals_go_to(handler: signal._HANDLER) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
