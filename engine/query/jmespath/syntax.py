"""Text to syntax tree: the grammar of the jmespath package, made strict, with positions and limits.

Added: `$`, the root of the scope (JMESPath Community's JEP-17), because a filter has to compare an item with a
variable. Refused although the package lets them pass: the retired literal `` `text` `` without quotes, NaN and
Infinity, missing commas, a field named twice in one `{…}`, a slice step of zero, and `&expr` anywhere but as an
argument made for it. Functions are checked here: an unknown name or a wrong number of arguments never reaches a run.

Nodes are the package's dicts (`type`, `value`, `children`); fields and functions have `start`, their place in the text.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from jmespath.exceptions import EmptyExpressionError, IncompleteExpressionError, LexerError, ParseError
from jmespath.lexer import Lexer
from jmespath.parser import Parser

from engine.errors import ExpressionSyntaxError
from engine.query.jmespath.functions import FUNCTIONS
from engine.query.jmespath.registry import Function
from engine.values import check_json

MAX_LENGTH = 8_192
"""Longest expression, in characters."""

MAX_DEPTH = 64
"""Deepest nesting of a syntax tree."""

SyntaxNode = dict[str, Any]

_WORDS = {"and": "write '&&'", "or": "write '||'", "not": "write '!'", "in": "use one_of(value, list)"}


def parse(text: str) -> SyntaxNode:
    """The syntax tree of an expression. Raises ExpressionSyntaxError with the offset into `text`."""
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"the expression is longer than {MAX_LENGTH:,} characters", MAX_LENGTH)
    try:
        tree = _StrictParser().tree(text)
    except ExpressionSyntaxError:
        raise
    except RecursionError:
        _too_deep()
    except Exception as failure:  # the package leaks TypeError, ValueError and more on malformed text
        raise _translated(failure, text) from failure
    _check_depth(tree)
    return tree


def similar(name: str, known: Iterable[str]) -> str | None:
    """`did you mean 'x'?` for the closest known name, else None."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean '{close[0]}'?" if close else None


def walk(tree: SyntaxNode) -> Iterator[tuple[SyntaxNode, int]]:
    """Every node with its depth, without recursion."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        if node["type"] != "slice":
            waiting.extend((child, depth + 1) for child in node["children"])


def _check_depth(tree: SyntaxNode) -> None:
    if any(depth > MAX_DEPTH for _, depth in walk(tree)):
        _too_deep()


def _too_deep() -> NoReturn:
    raise ExpressionSyntaxError(
        f"the expression is nested deeper than {MAX_DEPTH} levels",
        hint="keep a part of it in a variable with Assign, or in a fact",
    ) from None


def _translated(failure: Exception, text: str) -> ExpressionSyntaxError:
    if isinstance(failure, EmptyExpressionError):
        return ExpressionSyntaxError("the expression is empty")
    if isinstance(failure, IncompleteExpressionError):
        return ExpressionSyntaxError("the expression ends too early", len(text))
    if isinstance(failure, LexerError):
        return ExpressionSyntaxError(
            _lowered(failure.message), failure.lexer_position, _hint(text, failure.lexer_position)
        )
    if isinstance(failure, ParseError):
        if failure.token_type == "EOF":
            return ExpressionSyntaxError("the expression ends too early", len(text))
        hint = _WORDS.get(failure.token_value)
        return ExpressionSyntaxError(f"'{failure.token_value}' is not expected here", failure.lex_position, hint)
    return ExpressionSyntaxError(f"not a JMESPath expression: {failure}")


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _hint(text: str, offset: int) -> str | None:
    if text[offset : offset + 1] == "=":
        return "compare with '=='"
    if text[offset : offset + 1] in ("+", "-", "/", "%"):
        return "arithmetic is done by functions: add, subtract, multiply, divide"
    return None


class _StrictLexer(Lexer):  # type: ignore[misc]
    SIMPLE_TOKENS = {**Lexer.SIMPLE_TOKENS, "$": "root"}  # noqa: RUF012

    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        text = self._consume_until("`").replace("\\`", "`")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            hint = f"a text is written '{text}'" if text.isidentifier() else "between backticks stands JSON"
            raise ExpressionSyntaxError("the literal is not JSON", start, hint) from None
        problem = check_json(value)
        if problem:
            raise ExpressionSyntaxError(f"the literal is not JSON: {problem}", start)
        return {"type": "literal", "value": value, "start": start, "end": self._position}


class _StrictParser(Parser):  # type: ignore[misc]
    BINDING_POWER = {**Parser.BINDING_POWER, "root": 0}  # noqa: RUF012

    def tree(self, text: str) -> SyntaxNode:
        self._tokens = list(_StrictLexer().tokenize(text))
        self._index = 0
        found: SyntaxNode = self._expression()
        if self._current_token() != "eof":
            self._unexpected()
        return found

    def _unexpected(self) -> NoReturn:
        token = self._lookahead_token(0)
        raise ParseError(token["start"], token["value"], token["type"])

    def _match(self, token_type: str | None = None) -> None:
        if self._current_token() != token_type:
            self._unexpected()
        self._advance()

    def _token_nud_root(self, token: dict[str, Any]) -> SyntaxNode:
        return {"type": "root", "children": [], "start": token["start"]}

    def _token_nud_current(self, token: dict[str, Any]) -> SyntaxNode:
        return {"type": "current", "children": [], "start": token["start"]}

    def _token_nud_unquoted_identifier(self, token: dict[str, Any]) -> SyntaxNode:
        return {"type": "field", "children": [], "value": token["value"], "start": token["start"]}

    def _token_nud_quoted_identifier(self, token: dict[str, Any]) -> SyntaxNode:
        if self._current_token() == "lparen":
            raise ExpressionSyntaxError("the name of a function stands without quotes", token["start"])
        return self._token_nud_unquoted_identifier(token)

    def _token_led_lparen(self, left: SyntaxNode) -> SyntaxNode:
        name = self._lookahead_token(-2)
        if left["type"] != "field" or name["type"] != "unquoted_identifier":
            opening = self._lookahead_token(-1)
            raise ParseError(opening["start"], opening["value"], opening["type"])
        arguments: list[SyntaxNode] = []
        while self._current_token() != "rparen":
            if arguments:
                self._match("comma")
            arguments.append(self._expression())
        self._match("rparen")
        _check_call(name["value"], arguments, name["start"])
        return {"type": "function_expression", "children": arguments, "value": name["value"], "start": name["start"]}

    def _token_nud_expref(self, token: dict[str, Any]) -> SyntaxNode:
        return {**super()._token_nud_expref(token), "start": token["start"]}

    def _parse_slice_expression(self) -> SyntaxNode:
        start = self._lookahead_token(0)["start"]
        node: SyntaxNode = super()._parse_slice_expression()
        if node["children"][2] == 0:
            raise ExpressionSyntaxError("the step of a slice cannot be 0", start)
        return node

    def _parse_multi_select_hash(self) -> SyntaxNode:
        pairs: dict[str, SyntaxNode] = {}
        while True:
            key = self._lookahead_token(0)
            self._match_multiple_tokens(["quoted_identifier", "unquoted_identifier"])
            if key["value"] in pairs:
                raise ExpressionSyntaxError(f"the field '{key['value']}' is named twice", key["start"])
            self._match("colon")
            pairs[key["value"]] = {"type": "key_val_pair", "value": key["value"], "children": [self._expression()]}
            if self._current_token() == "rbrace":
                break
            self._match("comma")
        self._match("rbrace")
        return {"type": "multi_select_dict", "children": list(pairs.values())}


def _check_call(name: str, arguments: list[SyntaxNode], start: int) -> None:
    function = FUNCTIONS.get(name)
    if function is None:
        raise ExpressionSyntaxError(f"there is no function {name}()", start, similar(name, FUNCTIONS))
    if not function.least <= len(arguments) <= function.most:
        raise ExpressionSyntaxError(
            f"{name}() takes {_arity(function)}, not {len(arguments)}", start, function.signature
        )
    for position, argument in enumerate(arguments):
        parameter = function.parameter(position)
        wants = "expression" in parameter.types
        if wants != (argument["type"] == "expref"):
            says = "must be an expression: &…" if wants else "cannot be an expression with '&'"
            raise ExpressionSyntaxError(f"{name}(): the argument '{parameter.name}' {says}", start, function.signature)


def _arity(function: Function) -> str:
    if function.most == function.least:
        return f"{function.least} argument{'s' if function.least != 1 else ''}"
    if function.most == float("inf"):
        return f"at least {function.least} argument{'s' if function.least != 1 else ''}"
    return f"{function.least} to {function.most} arguments"
