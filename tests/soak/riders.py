"""The clients of a soak: they book, change and cancel over HTTP, and ask again under the same key until answered."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx

from tests.soak.plan import Wish, member

SETTLED: Final = ("CONFIRMED", "REJECTED", "FAILED", "CANCELLED", "COMPLETED", "NO_SHOW")
WAIT_S: Final = 4
TURNS, LONGEST_PAUSE_S = 4, 15.0
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)


class Riders:
    """Clients that work off wishes side by side.

    `bases`: where the service is; `token`: a member's bearer token. What was answered is counted in `outcomes`, what
    must not be stands in `wrong`: different bookings, or different words, for one key (I15), and what somebody sees of
    another's booking (I18).
    """

    def __init__(self, bases: Sequence[str], token: Callable[[str], str], seed: int, patience: float) -> None:
        self.bases = bases
        self.token = token
        self.seed = seed
        self.patience = patience
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.done = 0
        self._guard = threading.Lock()

    def work(self, wishes: Sequence[Wish], clients: int, longest: float, told: Callable[[int], None]) -> int:
        """Work off the wishes; how many were, when no more are begun after `longest` seconds."""
        waiting: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        for wish in wishes:
            waiting.put(wish)
        until = time.monotonic() + longest

        def run() -> None:
            with httpx.Client(timeout=WAIT_S + 15) as http:
                while time.monotonic() < until:
                    try:
                        wish = waiting.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        _Rider(self, http, wish).live()
                    except Exception as problem:
                        self.note_wrong(f"booking {wish.number}: {type(problem).__name__}: {problem}")
                    with self._guard:
                        self.done += 1
                        told(self.done)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.done

    def count(self, what: str) -> None:
        with self._guard:
            self.outcomes[what] += 1

    def note_wrong(self, what: str) -> None:
        with self._guard:
            self.wrong.append(what)


class _Rider:
    """One wish, from the first request to the last."""

    def __init__(self, riders: Riders, http: httpx.Client, wish: Wish) -> None:
        self.riders = riders
        self.http = http
        self.wish = wish
        self.lot = random.Random(f"{riders.seed}/{wish.number}")

    def live(self) -> None:
        booking_id = self.book()
        if booking_id is None:
            return
        path = f"/v1/bookings/{booking_id}"
        if self.wish.pries:
            self.pry(path)
        if self.wish.changes:
            self.change(path)
        if self.wish.cancels:
            self.cancel(path)

    def book(self) -> str | None:
        """Book; when the taxi company cannot be reached, come again later, with another key: it is another booking."""
        for turn in range(TURNS):
            key = f"{self.wish.key}-{turn}"
            answer = self.ask("book", "POST", "/v1/bookings", self.wish.request, key=key)
            booking_id = _booking_id(answer)
            if self.wish.repeats:
                self.repeat(key, answer, booking_id)
            if answer.status_code != 503:
                return booking_id
            time.sleep(min(LONGEST_PAUSE_S, float(answer.headers.get("retry-after", 0))))
        return booking_id

    def repeat(self, key: str, first: httpx.Response, booking_id: str | None) -> None:
        """The app lost the answer, and asks again."""
        again = self.ask("repeat", "POST", "/v1/bookings", self.wish.request, key=key)
        if booking_id is not None and _booking_id(again) not in (None, booking_id):
            self.riders.note_wrong(f"I15 one key, two bookings: {booking_id} and {_booking_id(again)}")
        replayed = again.headers.get("idempotent-replayed") == "true"
        if replayed and first.status_code != 202 and booking_id is not None and first.content != again.content:
            self.riders.note_wrong(f"I15 a replayed answer has other words: {booking_id}")

    def pry(self, path: str) -> None:
        """Somebody else asks."""
        other = member(self.wish.number + 1_000_000)
        for method, place, body in (
            ("GET", path, None),
            ("GET", f"{path}/tracking", None),
            ("POST", f"{path}/cancellation", {"reason": "curious"}),
        ):
            answer = self.ask("pry", method, place, body, key=f"{self.wish.key}-pry" if body else None, who=other)
            if answer.status_code != 404:
                self.riders.note_wrong(f"I18 {method} {place} by another member: {answer.status_code}")

    def change(self, path: str) -> None:
        """One passenger more, once it is confirmed."""
        for turn in range(3):
            found = self.settled(path)
            if found["status"] != "CONFIRMED":
                return
            answer = self.ask(
                "change",
                "PATCH",
                path,
                {"passengers": {"adults": 2}},
                key=f"{self.wish.key}-change-{turn}",
                **{"If-Match": f'"v{found["version"]}"', "Content-Type": "application/merge-patch+json"},
            )
            if answer.status_code != 412:
                return

    def cancel(self, path: str) -> None:
        """At some moment, whatever has become of it; a fee is accepted when it has been shown."""
        time.sleep(self.lot.choice((0.0, 0.0, 1.0, 5.0)))
        for turn in range(3):
            fee = self.ask("fee", "GET", f"{path}/cancellation", None)
            body: dict[str, Any] = {"reason": "plans changed"}
            if fee.status_code == 200:
                body["accept_fee"] = fee.json()["fee"]
            answer = self.ask("cancel", "POST", f"{path}/cancellation", body, key=f"{self.wish.key}-cancel-{turn}")
            if _code(answer) != "cancellation_fee_not_accepted":
                return

    def settled(self, path: str) -> dict[str, Any]:
        """The booking, once it is decided or patience is over."""
        until = time.monotonic() + 90
        while True:
            found: dict[str, Any] = self.ask("read", "GET", path, None).json()
            if found.get("status") in SETTLED or time.monotonic() > until:
                return found
            time.sleep(2)

    def ask(
        self,
        what: str,
        method: str,
        path: str,
        body: Any,
        *,
        key: str | None = None,
        who: str | None = None,
        **more: str,
    ) -> httpx.Response:
        """Ask one of the services, and again under the same key while there is no answer or it says to come again."""
        until = time.monotonic() + self.riders.patience
        for turn in range(10_000):
            headers = {"Authorization": f"Bearer {self.riders.token(who or self.wish.member)}", **more}
            if key is not None:
                headers |= {"Idempotency-Key": key, "Prefer": f"wait={WAIT_S}"}
            try:
                url = self.lot.choice(self.riders.bases) + path
                answer = self.http.request(method, url, json=body, headers=headers)
            except httpx.HTTPError as problem:
                self.riders.count(f"{what} no answer ({type(problem).__name__})")
                if time.monotonic() > until:
                    raise
            else:
                if not _come_again(answer) or time.monotonic() > until:
                    self.riders.count(f"{what} {answer.status_code} {_code(answer)}".rstrip())
                    return answer
                self.riders.count(f"{what} again ({answer.status_code} {_code(answer)})")
            time.sleep(self.lot.uniform(0.5, 1.0) * PAUSES_S[min(turn, len(PAUSES_S) - 1)])
        raise AssertionError("patience is shorter than that")


def _come_again(answer: httpx.Response) -> bool:
    """Whether it is about the service at this moment, and not about the booking."""
    code = _code(answer)
    if code == "request_in_progress" or (answer.status_code == 429 and code == "rate_limited"):
        return True
    return answer.status_code == 503 and _booking_id(answer) is None


def _code(answer: httpx.Response) -> str:
    if answer.status_code < 400:
        return ""
    try:
        return str(answer.json().get("code", ""))
    except ValueError:
        return "no problem document"


def _booking_id(answer: httpx.Response) -> str | None:
    try:
        found = answer.json().get("booking_id") if answer.content else None
    except ValueError:
        return None
    return str(found) if found else None
