"""Where executions live, who runs them, and what others want of them. A store writes a batch of decisions or nothing.

`open_store` takes `sqlite:///bookings.db` (a file, the default kind), `postgresql://…` (many machines), or `memory:`
(the SQLite store on a database that lives in this process, for tests and trials).

**Ownership.** Whoever drives executions is an *owner*: a row with an id, a lock that dies with its process, and for
workers a lease. An execution names its owner, or is free. Every commit names the version that it was decided on and its
owner; a process that has been given up for dead, and comes back, can write nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NamedTuple, Protocol

from engine.core.events import Decision, HistoryEvent
from engine.core.execution import Execution
from engine.errors import StoreUnavailable
from engine.step import Connection
from engine.values import JSON

CHANGED: Final = "execution {!r} was changed by somebody else in this moment; look with: engine show"
KEEP: Final = -1.0
"""As `Change.wakes`: go on owning the execution."""


class Stored(NamedTuple):
    """An execution as it was read. `key` and `version` go back into a Change; `definition` is a content hash."""

    key: int
    execution: Execution
    version: int
    definition: str


class Start(NamedTuple):
    """A new execution with its first decision. `owned`: by this store's owner, else free and due at once."""

    decision: Decision
    flow: str
    definition: str
    owned: bool


class Change(NamedTuple):
    """A decision on an execution that this store's owner holds.

    `wakes`: KEEP, or give the execution back until then (seconds since the epoch; None: until a signal comes). One that
    has ended is always given back. `signals`: the ids of the signals that the decision has answered. `parked`: of one
    that is given back, the paused steps that it stands before, with spaces between.
    """

    key: int
    version: int
    decision: Decision
    wakes: float | None = KEEP
    signals: Sequence[int] = ()
    parked: str | None = None


class Redrive(NamedTuple):
    """A decision by which an execution that has ended goes on, from now on with the definition of that hash."""

    key: int
    version: int
    decision: Decision
    definition: str


class Begun(NamedTuple):
    """What became of a Start: its key; None when the name is taken, by the very same input or by another one."""

    key: int | None
    same: bool = True


class Written(NamedTuple):
    """What became of a batch: one Begun for each start, and the keys of the changes that came too late."""

    begun: Sequence[Begun]
    late: frozenset[int]


class Claimed(NamedTuple):
    """Executions that have become this store's own, and when the next free one is due (None: none is)."""

    executions: Sequence[Stored]
    due: float | None


class Signal(NamedTuple):
    """What somebody wants of an execution: an event as JSON, to be deleted by the Change that answers it."""

    id: int
    key: int
    event: dict[str, JSON]


class Definition(NamedTuple):
    """A flow as JSON, and the file that it came from."""

    source: JSON
    file: str | None


class Summary(NamedTuple):
    """One line of a list of executions. Times in seconds since the epoch; `state` of the root while it runs; `paused`:
    since when it is; `parked`: the paused steps that it stands before, with spaces between; `parent`: the execution
    that has started it."""

    name: str
    flow: str
    status: str
    started: float
    stopped: float | None
    error: str | None
    state: str | None
    paused: float | None = None
    parked: str | None = None
    parent: str | None = None


class Wanted(NamedTuple):
    """Which executions to list: by status, that began at `since` or later, at most `limit`; by the state that the root
    of a running one is in, by flow; `paused`: only those that are paused (True), or that are not (False); `map_of`: the
    children of map runs of that execution, which are left out otherwise."""

    status: str | None = None
    since: float = 0.0
    limit: int = 100
    state: str | None = None
    flow: str | None = None
    paused: bool | None = None
    map_of: str | None = None


EVERYTHING: Final = Wanted()


class Store(Protocol):
    """The contract of a store.

    A store belongs to one thread at a time (`aside` excepted). Every method is one transaction, or joins the one that
    `transaction()` opened. Times are seconds since the epoch: `now` is the engine's clock; leases run on the store's
    own. Trouble of the database raises StoreUnavailable with what to do.
    """

    url: str
    owner: int | None
    apart: bool
    """Whether the work of a commit is done elsewhere (by a server), so that others can be decided meanwhile."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Everything inside is committed together at its end, or not at all when it raises. One inside another is a
        savepoint: when it raises, only what it wrote is undone."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read from, in the transaction that is open if one is. Whoever writes is not held up."""

    def aside(self, *, reading: bool = False) -> AbstractContextManager[Connection]:
        """A transaction that has nothing to do with any other one, from any thread. `reading`: it writes nothing, and
        so waits for nobody who does."""

    def enter(self, lease: float | None) -> int:
        """Become an owner; again only after LeaseLost. `lease`: seconds that others wait for a sign of life (`beat`)
        while the lock is held; None: as long as it is. Answers the owner's id."""

    def beat(self) -> int:
        """Extend the lease, and free what belonged to owners that are gone. Answers how many executions that freed.

        Raises LeaseLost when others have given this owner up.
        """

    def put_definition(self, digest: str, source: JSON, file: str | None) -> None:
        """Keep a flow under its content hash."""

    def knows(self, digest: str) -> bool:
        """Whether it is known without asking that a flow of that content hash is kept."""

    def definition(self, digest: str) -> Definition:
        """The flow of that content hash."""

    def create(self, starts: Sequence[Start]) -> Sequence[Begun]:
        """Write new executions. Raises LeaseLost when there are owned ones and this owner was given up."""

    def commit(self, changes: Sequence[Change]) -> frozenset[int]:
        """Write a batch. Answers the keys of the changes that came too late, since the execution has another owner by
        now: nothing is written of those. Raises LeaseLost when this owner was given up; then nothing is written."""

    def reopen(self, redrive: Redrive) -> None:
        """Let an execution that has ended go on: it is free and due at once. Raises Conflict when somebody else was
        quicker."""

    def write(self, starts: Sequence[Start], changes: Sequence[Change]) -> Written:
        """`create` and `commit` in one transaction."""

    def claim(self, now: float, limit: int) -> Claimed:
        """Own up to `limit` free executions that are due, those that have waited longest first.

        It counts as one of the execution's `runs`, durably; `Stored.execution.runs` is as it was before. Raises
        LeaseLost.
        """

    def take(self, name: str) -> Stored:
        """Own this execution if it is free or its owner is gone; one that has ended is only read. Counts as `claim`.

        Raises ExecutionNotFound, ExecutionBusy, LeaseLost.
        """

    def post(self, name: str, event: dict[str, JSON]) -> None:
        """Leave a signal for whoever owns the execution, or is the next to. Raises ExecutionNotFound."""

    def tell(self, messages: Sequence[tuple[str, dict[str, JSON]]]) -> None:
        """Leave signals as `post` does, each for the execution of that name; for one that is not there, or has ended,
        nothing happens."""

    def signals(self) -> Sequence[Signal]:
        """Every signal for the executions that this store's owner holds, oldest first."""

    def load(self, name: str) -> Stored:
        """Read an execution with its frames. Raises ExecutionNotFound."""

    def history(self, name: str) -> list[HistoryEvent]:
        """Every history event, oldest first. Raises ExecutionNotFound."""

    def list(self, wanted: Wanted = EVERYTHING) -> Sequence[Summary]:
        """Executions, the youngest first."""

    def announce(self, db: Connection | None = None) -> None:
        """Have those that listen look at what the transaction that is open has written; `db`: the one of `aside`."""

    def changed(self) -> bool:
        """Whether somebody else may have written since the last call; cheap enough to be asked a hundred times a
        second."""

    def close(self) -> None:
        """Give everything back: what is owned becomes free and due at once."""


def open_store(url: str) -> Store:
    """Open a store by its URL, creating it or bringing its tables up to date if need be.

    Raises StoreUnavailable, StoreTooNew, MigrationFailed.
    """
    if url.startswith("sqlite:///") or url in ("memory:", "sqlite:"):
        from engine.stores.sqlite import SqliteStore  # sqlite3 costs start-up time that a simulation need not pay

        return SqliteStore(url)
    if url.startswith(("postgresql://", "postgres://")):
        with psycopg_wanted():
            from engine.stores.postgres import PostgresStore  # psycopg is heavy, and an extra
        return PostgresStore(url)
    raise StoreUnavailable(
        f"{url!r} is no store: write sqlite:///path/to/file.db, postgresql://user@host/database or memory:"
    )


@contextmanager
def psycopg_wanted() -> Iterator[None]:
    """Say how to get psycopg when it is not there. Raises StoreUnavailable."""
    try:
        yield
    except ImportError as problem:
        text = f"{problem}; install it with: pip install 'booking-orchestrator[postgres]'"
        raise StoreUnavailable(f"the store on PostgreSQL needs psycopg: {text}") from problem
