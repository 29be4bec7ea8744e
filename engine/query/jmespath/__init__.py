"""The house language: JMESPath between `{%` and `%}`, with the functions that business rules need.

An expression sees one object: `states` with `input`, `result`, `errorOutput` and `context`, and every variable under
its own name. What is missing is null. See docs/house-language.md.
"""

from __future__ import annotations

from engine.query.jmespath.language import LANGUAGE

__all__ = ["LANGUAGE"]
