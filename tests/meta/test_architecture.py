"""The shape of the code, checked: imports are arrows, the core is pure, start-up is light, the front door is known."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).resolve().parents[2]
ORDER = [
    "errors",
    "values",
    "json_schema",
    "query",
    "outcomes",
    "machine",
    "states",
    "definition",
    "core",
    "rules",
    "telemetry",
    "step",
    "stores",
    "tasks",
    "runtime",
    "export",
    "service",
    "cli",
]
PURE = ORDER[: ORDER.index("telemetry")]
IMPURE_MODULES = {"time", "random", "os", "sys", "subprocess", "socket", "threading", "asyncio", "logging", "uuid"}
IMPURE_MODULES |= {"secrets", "sqlite3", "httpx", "boto3", "urllib", "http", "tempfile", "shutil"}
MAY = {
    # The one reader of files, and the generator behind `make generate`.
    "engine/definition/__init__.py": {"os"},
    "engine/definition/schema.py": {"os", "sys"},
    # random.Random seeded by ids, handed to expressions; never the module's own generator.
    "engine/query/__init__.py": {"random"},
    "engine/core/scope.py": {"random"},
    "engine/query/jsonpath/intrinsics.py": {"random", "uuid"},
    "engine/core/matching.py": {"random"},
}
HEAVY = (
    "boto3",
    "opentelemetry",
    "psycopg",
    "httpx",
    "jsonschema",
    "jsonschema_rs",
    "yaml",
    "jmespath",
    "jlens",
    "click",
    "sqlite3",
    "asyncio",
)
BACK = [
    # The door of the stores opens, late, one of those that are built on its types.
    ("engine.stores", "engine.stores.sqlite"),
    ("engine.stores", "engine.stores.postgres"),
]
"""The only imports that point back, (file, imported file): each with its reason."""
FILE_LINES, FUNCTION_LINES = 400, 50


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module


def module(path: Path) -> str:
    """The dotted name of a file; a package's is its folder's."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path: Path) -> Iterator[str]:
    """The files of ours that a file imports, late and for types alone too.

    `from package import name` is the file `name` where there is one, else the package.
    """
    for node, name in imports(path):
        if name.split(".")[0] not in ("engine", "steps"):
            continue
        names = [f"{name}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        files = [found for found in names if (ROOT / f"{found.replace('.', '/')}.py").exists()]
        yield from files
        if len(files) < len(names) or not names:
            yield name


def room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "engine" and len(parts) > 1 else None


def test_engine_modules_import_only_what_stands_left_of_them() -> None:
    wrong = []
    for path in sources("engine"):
        relative = path.relative_to(ROOT).with_suffix("").parts
        if len(relative) < 2 or relative[1] == "__init__":
            continue
        here = ORDER.index(relative[1])
        for _, name in imports(path):
            there = room(name)
            if there is not None and ORDER.index(there) > here:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    arrows = {module(path): set(imported_modules(path)) - {module(path)} for path in sources("engine", "steps")}
    for source, target in BACK:
        assert target in arrows[source], f"{source} no longer imports {target}: take it out of BACK"
        arrows[source].remove(target)
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as found:
        pytest.fail(f"a circle of imports: {' <- '.join(found.args[1])}")


def test_engine_never_imports_steps_and_steps_import_only_public_names() -> None:
    wrong = []
    for path in sources("engine"):
        wrong += [f"{path.relative_to(ROOT)}: {name}" for _, name in imports(path) if name.split(".")[0] == "steps"]
    for path in sources("steps"):
        for node, name in imports(path):
            if name.startswith("engine.") or name == "engine":
                public = isinstance(node, ast.ImportFrom) and name == "engine"
                if not public or any(alias.name not in engine.__all__ for alias in node.names):
                    wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []


def test_the_simulator_stands_alone() -> None:
    names = {name.split(".")[0] for path in sources("steps/simulator") for _, name in imports(path)}
    assert "engine" not in names


def test_every_branch_of_exactly_the_pure_rooms_is_asked_for() -> None:
    config = tomllib.loads((ROOT / "tests" / "coverage.toml").read_text(encoding="utf-8"))["tool"]["coverage"]
    rooms = {f"engine/{room}/*" if (ROOT / "engine" / room).is_dir() else f"engine/{room}.py" for room in PURE}
    assert set(config["run"]["include"]) == rooms
    assert (config["run"]["branch"], config["report"]["fail_under"]) == (True, 100)


def test_pure_rooms_have_no_clock_no_randomness_and_no_io() -> None:
    wrong = []
    for path in sources("engine"):
        relative = path.relative_to(ROOT)
        if relative.with_suffix("").parts[1] not in PURE:
            continue
        allowed = MAY.get(relative.as_posix(), set())
        for _, name in imports(path):
            if name.split(".")[0] in IMPURE_MODULES - allowed:
                wrong.append(f"{relative} imports {name}")
        if relative.name in ("schema.py", "reference.py"):
            continue  # generators of files: they print and write when run as a program
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("datetime.now", "open", "print", "input"):
                wrong.append(f"{relative}:{node.lineno} calls {ast.unparse(node.func)}")
    assert wrong == []


def test_imports_inside_functions_serve_heavy_packages_only() -> None:
    wrong = []
    for path in sources("engine", "steps"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("engine", "steps")):
                    target = (node.module or "").replace(".", "/")
                    text = (ROOT / f"{target}.py").read_text("utf-8") if (ROOT / f"{target}.py").exists() else ""
                    # A module of ours may be late when it is the door to a heavy package or a sub-command.
                    heavy = any(f"{word} {name}" in text for name in HEAVY for word in ("import", "from"))
                    if not heavy and "cli" not in path.parts:
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.module}")
    assert wrong == []


@pytest.mark.parametrize("folder", ["engine", "steps"])
def test_files_and_functions_stay_small(folder: str) -> None:
    wrong = []
    for path in sources(folder):
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > FILE_LINES:
            wrong.append(f"{path.relative_to(ROOT)} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines")
    assert wrong == []


@pytest.mark.parametrize("code", ["import engine", "from engine import step, StepError, Engine"])
def test_importing_the_engine_loads_nothing_heavy(code: str) -> None:
    heavy = ("boto3", "psycopg", "httpx", "jsonschema", "jsonschema_rs", "jlens", "jsonata2py", "click")
    check = f"{code}; import sys; print(sorted(set({heavy!r}) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_front_door_is_the_one_that_is_documented() -> None:
    documented = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert sorted(engine.__all__) == engine.__all__
    assert [name for name in engine.__all__ if f"`{name}`" not in documented] == []
    assert all(getattr(engine, name) is not None for name in engine.__all__)


def test_no_module_is_called_by_an_empty_word() -> None:
    empty = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "base"}
    assert [path for path in sources("engine", "steps") if path.stem in empty] == []
