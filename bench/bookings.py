"""`POST /v1/bookings` until CONFIRMED: `engine serve` over HTTP, a taxi company that answers at once, many members."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from bench.databases import database
from bench.programs.protocol import ROOT, Loop, loop, side_by_side
from bench.settings import Settings
from bench.table import Figure

CLIENTS = (1, 16, 64)
TARGET = 150.0
P99_AT_16 = 250.0
AUDIENCE = "bench"
MOST_PER_SECOND = 400
"""Members are made for so many bookings a second: each books once, so that neither overlap nor a rate limit refuses."""
WARM = 20
PATIENCE = 60.0


class Booked(NamedTuple):
    """What the clients saw: the loop over confirmed bookings, and how often which other answer came; and what the
    serving process used meanwhile: `cpu`, milliseconds of processor time a confirmed booking."""

    loop: Loop
    others: Counter[str]
    count: int
    cpu: float | None = None


def measure(settings: Settings) -> Iterator[Figure]:
    """Bookings a second and latencies at each number of clients, on a fresh database each."""
    with issuer() as (url, token):
        members = [f"mem_bench_{number}" for number in range(WARM + int(MOST_PER_SECOND * settings.seconds))]
        tokens = [token(member) for member in members]
        for kind in settings.stores:
            for clients in CLIENTS:
                yield from _figures(kind, clients, run(kind, clients, url, members, tokens, settings))


def _figures(kind: str, clients: int, found: Booked) -> Iterator[Figure]:
    rate, p50, p99 = found.loop
    note = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    if found.others:
        note += "; not confirmed: " + ", ".join(f"{count} x {what}" for what, count in found.others.most_common(3))
    yield Figure(f"{kind}, {clients} clients", rate, "bookings/s", TARGET if clients > 1 else None, note=note)
    if clients == 16:
        yield Figure(f"{kind}, {clients} clients, p99", p99, "ms", P99_AT_16, most=True)
    if found.cpu is not None:
        yield Figure(f"{kind}, {clients} clients, processor", found.cpu, "ms/booking", 1000 / TARGET, most=True)


def run(
    kind: str, clients: int, issuer_url: str, members: Sequence[str], tokens: Sequence[str], settings: Settings
) -> Booked:
    """Let that many clients book, one ride after the other, each for a member of its own."""
    with database(kind, settings.folder) as store, simulator() as taxi:
        reference = settings.folder / f"reference-{kind}-{clients}"
        shutil.copytree(ROOT / "flows/reference", reference)
        (reference / "members.yaml").write_text(json.dumps({member: _member(member) for member in members}))
        environment = {
            "REFERENCE_DIR": str(reference),
            "EVENT_LOG": str(reference / "events.jsonl"),
            "MEMBER_REF_KEY": "key-of-the-bench",
            "JWT_ISSUER": issuer_url,
            "JWT_AUDIENCE": AUDIENCE,
        }
        with served(store, taxi, environment) as (url, process):
            address = url.removeprefix("http://")
            waiting = iter(enumerate(tokens))
            book(address, waiting, 1, 1e9, most=settings.size(WARM))
            before = processor_time(process)
            found = book(address, waiting, clients, settings.seconds)
            after = processor_time(process)
            used = None if before is None or after is None else 1000 * (after - before) / found.count
            return found._replace(cpu=used)


def book(
    address: str, waiting: Iterator[tuple[int, str]], clients: int, seconds: float, *, most: int = sys.maxsize
) -> Booked:
    """Book, each client at least once, until the time is over, each has booked `most`, or no member is left."""
    wish = json.loads((ROOT / "flows/examples/booking.json").read_text(encoding="utf-8"))["request"]
    body = json.dumps(wish).encode()
    times: list[float] = []
    others: Counter[str] = Counter()
    guard = threading.Lock()
    until = time.perf_counter() + seconds

    def work() -> None:
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        for turn in range(most):
            with guard:
                number, token = next(waiting, (-1, ""))
            if number < 0 or (turn and time.perf_counter() >= until):
                break
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Idempotency-Key": f"bench-booking-{number:08}",
            }
            start = time.perf_counter()
            connection.request("POST", "/v1/bookings", body, headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            took = time.perf_counter() - start
            with guard:
                if (response.status, answer.get("status")) == (201, "CONFIRMED"):
                    times.append(took)
                else:
                    others[f"{response.status} {answer.get('code', answer.get('status'))}"] += 1
        connection.close()

    took = side_by_side(work, clients)
    if not times:
        raise RuntimeError(f"nothing was booked: {dict(others)}")
    return Booked(loop(times, took), others, len(times))


def _member(name: str) -> dict[str, Any]:
    return {
        "member": {"id": name, "blocked": False, "adult": True, "outstanding_minor": 0},
        "membership": {"status": "ACTIVE", "valid_to": "2099-12-31T23:59:59Z", "tier": "PRESTIGE"},
        "usage": {"rides_in_period": 0},
    }


def processor_time(process: int) -> float | None:
    """Seconds of processor time that a process has used; None where the system does not tell (Linux does)."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(store: str, taxi: str, settings: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The URL and process id of `engine serve`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI", "JWT", "ENGINE"))}
    command = [sys.executable, "-m", "engine.cli", "serve", "--port", "0", "--store", store, "--taxi", taxi]
    process = subprocess.Popen(command, cwd=ROOT, env={**kept, **settings}, stderr=subprocess.PIPE, text=True)
    with _until_ended(process, process.stderr, r"(http://127\.0\.0\.1:\d+) answers") as url:
        yield url, process.pid


@contextmanager
def simulator() -> Iterator[str]:
    """The URL of a taxi company that answers at once, in a process of its own."""
    command = [sys.executable, "-m", "steps.simulator", "--port", "0", "--quiet"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with _until_ended(process, process.stdout, r"TAXI_URL=([^)]+)\)") as url:
        yield url


@contextmanager
def _until_ended(process: subprocess.Popen[str], said: Any, pattern: str) -> Iterator[str]:
    """What a process says of itself by that pattern; it ends with the block."""
    heard, rest = "", threading.Thread(target=said.read)
    try:
        for line in said:
            heard += line
            if found := re.search(pattern, line):
                rest.start()  # or it would wait for a reader some day
                yield found[1]
                return
        raise RuntimeError(f"{process.args!r} ended: {heard}")
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if rest.is_alive():
            rest.join()
        said.close()


@contextmanager
def issuer() -> Iterator[tuple[str, Any]]:
    """The URL of an issuer of tokens, and a function that makes one for a member."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    public = {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "RS256"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = {"jwks_uri": f"{url}/keys"} if "openid" in self.path else {"keys": [public]}
            body = json.dumps(wanted).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def token(member: str) -> str:
        claims = {"iss": url, "aud": AUDIENCE, "sub": member, "scope": "bookings:read bookings:write"}
        now = int(time.time())
        return jwt.encode({**claims, "iat": now, "exp": now + 3600}, key, algorithm="RS256", headers={"kid": "k1"})

    try:
        yield url, token
    finally:
        server.shutdown()
        server.server_close()
