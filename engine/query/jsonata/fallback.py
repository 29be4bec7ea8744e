"""JSONata on jsonata2py, a library in plain Python, for systems that jlens has no wheel for.

Selected by `engine.query.LANGUAGES["JSONata"] = "engine.query.jsonata.fallback"` before a flow is loaded. It gives the
same values for ordinary expressions; docs/decisions/0007 lists what it cannot do.
"""

from __future__ import annotations

from typing import Final

from engine.query.jsonata.language import JSONata

LANGUAGE: Final = JSONata("jsonata2py")
