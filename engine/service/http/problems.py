"""Problems (RFC 9457): every refusal is one entry of a catalogue, in the language that the caller reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.definition import read_document
from engine.errors import DefinitionError, Problem
from engine.service.http.messages import PROBLEM_TYPE, Request, Response, encode
from engine.values import JSON

OWN: Final = "problems.yaml"
ENGLISH: Final = "en"
FALLBACK: Final = "internal_error"
STANDARD: Final = ("type", "title", "status", "detail", "instance")
FIELDS: Final = ("code", "user_message", "retryable", "retry_after_s", "suggested_action")


class Refused(Exception):
    """A request is answered with the problem `code`; `members` are added to the entry of the catalogue, over it."""

    def __init__(
        self, code: str, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **members: JSON
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


class Catalogue:
    """What there is to refuse with: codes with status, title and words, and the errors of flows behind them.

    `codes`: code -> `{status, title, retryable, suggested_action, user_message, retry_after_s?}`. `errors`: error
    name -> code. `translations`: language -> code -> user_message.
    """

    def __init__(
        self,
        codes: Mapping[str, Mapping[str, Any]],
        errors: Mapping[str, str],
        translations: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.codes = codes
        self.errors = errors
        self.translations = translations

    def code_of(self, error: str | None) -> str:
        """The code of an error name; one that is not known is an error of ours."""
        return self.errors.get(error or "", FALLBACK)

    def entry(self, code: str) -> dict[str, Any]:
        """`{title, status, code, user_message, retryable, suggested_action}` of a code, of whatever is known of it."""
        known = self.codes.get(code, {})
        title = code.replace("_", " ").capitalize()
        return {"title": title, "status": 500, "retryable": False, "suggested_action": "NONE", **known, "code": code}

    def message(self, code: str, languages: Sequence[str]) -> str | None:
        """The user message of a code in the first of the languages that it is known in; None: keep English."""
        for language in languages:
            if language == ENGLISH:
                return None
            found = self.translations.get(language, {}).get(code)
            if found is not None:
                return found
        return None

    def told(self, value: JSON, languages: Sequence[str]) -> tuple[JSON, str | None]:
        """A value in which every object with a `code` and a `user_message` has the latter in the first of the languages
        that it is known in, and that language; None where all stayed English."""
        wanted = next((one for one in languages if one == ENGLISH or one in self.translations), ENGLISH)
        if wanted == ENGLISH:
            return value, None
        found = self._translated(value, languages)
        return found, None if found is value else wanted

    def _translated(self, value: Any, languages: Sequence[str]) -> Any:
        """The value itself where nothing in it was translated."""
        if isinstance(value, list):
            items = [self._translated(item, languages) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if not isinstance(value, dict):
            return value
        changed = {}
        for name, item in value.items():
            if (new := self._translated(item, languages)) is not item:
                changed[name] = new
        if "user_message" in value and (told := self.message(str(value.get("code")), languages)) is not None:
            changed["user_message"] = told
        return {**value, **changed} if changed else value

    def response(self, refused: Refused, request: Request, request_id: str) -> Response:
        """The problem as application/problem+json."""
        entry = self.entry(refused.code)
        body: dict[str, Any] = {"type": f"/problems/{refused.code}", **entry, **refused.members}
        body |= {"instance": f"urn:request:{request_id}", "request_id": request_id}
        if refused.detail:
            body["detail"] = refused.detail
        languages = accepted_languages(request.header("accept-language"))
        told = self.message(str(body["code"]), languages)
        if told is not None:
            body["user_message"] = told
        body["errors"] = self._translated(body.get("errors"), languages)
        body.setdefault("user_message", self.codes[FALLBACK]["user_message"])
        order = [*STANDARD, *FIELDS]
        shown = {name: body[name] for name in order if name in body}
        shown |= {name: value for name, value in body.items() if name not in shown and value is not None}
        headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store", **refused.headers}
        headers["Content-Language"] = _language(languages, self.translations) if told is not None else ENGLISH
        if body.get("retry_after_s"):
            headers.setdefault("Retry-After", str(body["retry_after_s"]))
        return Response(int(body["status"]), headers, encode(shown))


def accepted_languages(header: str | None) -> list[str]:
    """The primary languages of an Accept-Language header, the most wanted first; `*` and rubbish are left out."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate((header or "")[:200].split(",")):
        tag, _, quality = part.strip().partition(";")
        primary = tag.strip().split("-")[0].lower()
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if primary.isalpha() and 0 < weight <= 1:
            wanted.append((-weight, place, primary))
    return [primary for _, _, primary in sorted(wanted)]


def _language(languages: Sequence[str], translations: Mapping[str, Any]) -> str:
    return next((language for language in languages if language in translations), ENGLISH)


def read_catalogue(settings: Mapping[str, Any], folder: Path) -> Catalogue:
    """The catalogue of a service: its own file, the codes of its rule files, translations, and the engine's own codes.

    `settings`: `{problems: FILE?, rules: [FILE]?, languages: {language: FILE}?}`, files relative to `folder`. Raises
    DefinitionError.
    """
    codes: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name in settings.get("rules", ()):
        for rule in _read(folder / name)["rules"]:
            codes[rule["code"]] = {"status": rule["http"], "suggested_action": "CHANGE_REQUEST"}
    for path in [folder / settings["problems"]] if "problems" in settings else []:
        table = _read(path)
        errors |= table.get("errors", {})
        for code, entry in table.get("codes", {}).items():
            codes[code] = {**codes.get(code, {}), **entry}
    own = _read(Path(__file__).with_name(OWN))
    codes |= own["codes"]
    translations = {language: _read(folder / name) for language, name in settings.get("languages", {}).items()}
    return Catalogue(codes, {**own["errors"], **errors}, translations)


def _read(path: Path) -> dict[str, Any]:
    value = read_document(path).value
    if not isinstance(value, dict):
        raise DefinitionError([Problem("wrong-type", "This file must hold an object", file=str(path))])
    return value
