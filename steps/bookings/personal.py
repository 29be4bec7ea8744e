"""Personal data at rest: encrypted with a key of each booking, unreadable for good once that key is destroyed.

`Vault` seals and opens within one transaction. What is sealed: the personal part of a booking (`booking_pii`), stored
replies (`idempotency_keys.body`), and the requests in the inputs of executions, which the engine's history keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine import Connection
from steps.bookings import identifiers, keys
from steps.bookings.keys import Keyring
from steps.bookings.sql import statements

PARTS = ("request", "changes")
"""Members of an execution's input that may hold names, phone numbers, addresses."""
WORDS = ("reason",)
"""Members of the input of an execution about a booking that are somebody's own words: they may say anything."""
MEMBER_REF_KEY = "MEMBER_REF_KEY"
DEMO_KEY = "demo-member-ref-key"
PERSONAL = "personal"
"""What the personal part of a booking is sealed as."""
SEALED, DATA = "sealed", "data"


class Vault:
    """The data keys, within one transaction. `now` is the stored form of the transaction's moment.

    An `owner` is a booking's id or, before it has one, the name of its execution; `purpose` says what is sealed, and
    nothing opens as something else. Raises keys.WrongKeys when the deployment's keys do not fit the store.
    """

    def __init__(self, db: Connection, now: str, settings: Mapping[str, str]) -> None:
        self.db = db
        self.now = now
        self._keyring = Keyring.of(settings)
        self._sql = statements("personal.sql")
        self._known: dict[str, tuple[str, bytes]] = {}

    def seal(self, owner: str, purpose: str, value: Any) -> str:
        """A JSON value as text that only this vault reads; the owner gets a key when it has none."""
        name, key = self._key(owner) or self._new_key(owner)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return keys.encrypt(key, text, [name, purpose])

    def open(self, owner: str, purpose: str, text: str) -> Any:
        """The JSON value again. Raises keys.Sealed when the key was destroyed, or the text is not what was sealed."""
        found = self._key(owner)
        if found is None:
            raise keys.Sealed("the key of this data has been destroyed")
        name, key = found
        return json.loads(keys.decrypt(key, text, [name, purpose]))

    def give(self, owner: str, booking_id: str) -> str:
        """The owner's key becomes the booking's; a booking without a request that was sealed gets a new one. Answers
        the key's name."""
        given = self._sql["give_data_key"].run(self.db, owner=owner, booking_id=booking_id)
        if given and owner in self._known:
            self._known[booking_id] = self._known[owner]
        found = self._key(booking_id)
        if found is None:
            found = self._new_key(booking_id)
            self._sql["give_data_key"].run(self.db, owner=booking_id, booking_id=booking_id)
        return found[0]

    def destroy(self, booking_id: str) -> bool:
        """Make everything unreadable that was sealed for the booking; whether there was a key."""
        self._known.clear()
        return self._sql["destroy_data_key"].run(self.db, booking_id=booking_id) > 0

    def know(self, owner: str, name: str, key_id: str, wrapped: str) -> None:
        """The owner's key, read already together with something else."""
        self._known[owner] = (name, self._keyring.unwrap(key_id, wrapped))

    def rewrap(self, limit: int) -> int:
        """Encrypt up to `limit` data keys anew that are wrapped with a key of the deployment other than the present
        one. When none is left, the old key may go from the settings."""
        present = self._keyring.present
        rows = self._sql["wrapped_with_others"].rows(self.db, key_id=present, limit=limit)
        for row in rows:
            wrapped = self._keyring.wrap(self._keyring.unwrap(row["key_id"], row["wrapped"]))
            self._sql["rewrap_data_key"].run(self.db, owner=row["owner"], key_id=present, wrapped=wrapped)
        return len(rows)

    def encrypt_first_version(self) -> int:
        """Encrypt the personal parts that the first version left as they were; how many."""
        rows = self._sql["unencrypted"].rows(self.db)
        for row in rows:
            booking_id, text = row["booking_id"], row["ciphertext"]
            name = self.give(booking_id, booking_id)
            sealed = self.seal(booking_id, PERSONAL, json.loads(text)) if text else None
            self._sql["encrypted"].run(self.db, booking_id=booking_id, key_id=name, ciphertext=sealed)
        return len(rows)

    def _key(self, owner: str) -> tuple[str, bytes] | None:
        if owner not in self._known:
            row = self._sql["data_key"].row(self.db, owner=owner)
            if row is None:
                return None
            self.know(owner, row["owner"], row["key_id"], row["wrapped"])
        return self._known[owner]

    def _new_key(self, owner: str) -> tuple[str, bytes]:
        key, present = keys.new_data_key(), self._keyring.present
        made = self._sql["insert_data_key"].run(
            self.db, owner=owner, key_id=present, wrapped=self._keyring.wrap(key), now=self.now
        )
        if made:
            self._known[owner] = (owner, key)
        found = self._key(owner)  # not the one just made, if another process was first
        assert found is not None
        return found


def seal_input(vault: Vault, name: str, input: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """The input of the execution `name` as it may be stored: requests and words sealed, the member under a pseudonym.

    `{member_id, request, …}` becomes `{member_id: pseudonym, request: {sealed, data}, …}`; the member's id goes into
    the sealed part. The same input under the same name gives the same answer, and sealing again changes nothing.
    """
    booking_id, member = input.get("booking_id"), input.get("member_id")
    known = isinstance(booking_id, str) and identifiers.BOOKING_ID.fullmatch(booking_id) is not None
    owner = str(booking_id) if known else name
    kept = dict(input)
    for part in (*PARTS, *(WORDS if known else ())):
        value = kept.get(part)
        if isinstance(value, str if part in WORDS else dict) and value and not _is_sealed(value):
            data = vault.seal(owner, part, {"member_id": member, part: value})
            kept[part] = {SEALED: owner, DATA: data}
    if isinstance(member, str) and member:
        kept["member_id"] = identifiers.provable_ref(member, member_ref_key(settings))
    return kept


def opened(vault: Vault, payload: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The payload with `part` as it was given, and the member's own id when that was sealed with it.

    Raises keys.Sealed when the key was destroyed.
    """
    value = payload.get(part)
    if not isinstance(value, dict) or not _is_sealed(value):
        return dict(payload)
    found = vault.open(value[SEALED], part, value[DATA])
    return {**payload, **{key: found[key] for key in ("member_id", part) if found.get(key) is not None}}


def sealed_with(payload: Mapping[str, Any], part: str) -> str | None:
    """The owner of the key that the part is sealed with, if it is."""
    value = payload.get(part)
    return str(value[SEALED]) if isinstance(value, dict) and _is_sealed(value) else None


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {SEALED, DATA} and all(isinstance(v, str) for v in value.values())


def member_ref_key(settings: Mapping[str, str]) -> str:
    """The key of the members' pseudonyms; a demonstration key when none is set."""
    return settings.get(MEMBER_REF_KEY) or DEMO_KEY
