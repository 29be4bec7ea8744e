"""The commands, run in this process: what they print where, and how they exit."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click
import pytest

from engine.cli import COMMANDS, cli
from engine.cli.reference import cli_page
from tests.cli.conftest import Project

ROOT = Path(__file__).resolve().parents[2]


# -- run -------------------------------------------------------------------------------------------------------


def test_run_prints_the_output_on_stdout_and_everything_for_people_on_stderr(project: Project) -> None:
    done = project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"order": 7}
    lines = done.stderr.splitlines()
    assert lines[0] == "o1  order.yaml"
    marks = [line.split()[:2] for line in lines[1:-2] if not line.startswith("…")]
    assert marks == [["✓", "Check"], ["▸", "Both"], ["✓", "[0]"], ["✓", "[1]"], ["✓", "Both"]]
    assert lines[1].endswith("3 rules passed")
    assert lines[-2].startswith("✓ SUCCEEDED in ")
    assert lines[-1] == "look closer: engine show o1   engine history o1"


def test_run_with_json_prints_one_document_and_nothing_else(project: Project) -> None:
    done = project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1", "--json")
    assert json.loads(done.stdout) == {"name": "o1", "status": "SUCCEEDED", "output": {"order": 7}}
    assert done.stderr == ""
    failed = project("run", "order.yaml", "--input", '{"closed": true}', "--name", "o2", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout) == {
        "name": "o2",
        "status": "FAILED",
        "error": "Shop.Closed",
        "cause": "come back later",
    }


def test_run_quiet_prints_the_output_or_the_failure(project: Project) -> None:
    assert project("run", "order.yaml", "-q", "--input", '{"id": 7}').stderr == ""
    failed = project("run", "order.yaml", "-q", "--input", '{"closed": true}')
    assert (failed.exit_code, failed.stdout) == (1, "")
    (line,) = failed.stderr.splitlines()
    assert line.startswith("✗ FAILED after")
    assert line.endswith("Shop.Closed: come back later (in Check)")


@pytest.mark.parametrize(
    ("given", "stdin", "text"),
    [
        ("order.json", None, '{"id": 1}'),
        ("order.yml", None, "id: 1 # one"),
        ("-", '{"id": 1}', ""),
        (" {id: 1}", None, ""),
    ],
)
def test_run_takes_its_input_from_a_file_from_stdin_or_as_text(
    project: Project, given: str, stdin: str | None, text: str
) -> None:
    if text:
        (project.folder / given).write_text(text, encoding="utf-8")
    done = project("run", "order.yaml", "--input", given, stdin=stdin)
    if given == " {id: 1}":
        assert done.exit_code == 2
        assert "--input:1:3: error bad-syntax" in done.stderr
    else:
        assert json.loads(done.stdout) == {"order": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "none.yaml"], "none.yaml cannot be read: No such file or directory"),
        (["run", "."], ". is a folder; name its files, as in ./*.yaml"),
        (["run", "order.yaml", "--input", "none.json"], "there is no file 'none.json'"),
        (["run", "order.yaml", "--input", '{"a": [1,}'], '    {"a": [1,}\n             ^'),
        (["run", "order.yaml", "--name", "a b"], "'a b' is no execution name"),
        (["run", "wrong.yaml"], "error unknown-step: There is no step 'shop.chek'"),
        (["run", "wrong.yaml"], "did you mean 'shop.check'?"),
        (["run", "wrong.yaml"], "Error: 2 mistakes found, nothing was run"),
        (["run", "order.yaml", "--steps", "none"], "the steps package 'none' cannot be imported"),
        (["run", "order.yaml", "--store", "mysql://x"], "'mysql://x' is no store"),
        (["run", "order.yaml", "--store", "sqlite:///none/x.db"], "Create the folder, or choose another file"),
        (["run"], "Missing argument 'FLOW'"),
        (["runn", "order.yaml"], "There is no command 'runn'; did you mean 'run'?"),
        (["fly"], "There is no command 'fly'; there are: run, start, "),
        (["show", "o1"], "there is no store sqlite:///bookings.db yet; run a flow first"),
        (["resume", "o1", "--all"], "give either NAME or --all"),
        (["steps", "shop.chek"], "there is no step 'shop.chek'; did you mean 'shop.check'?"),
        (["validate", "."], ". is a folder"),
        (["list", "--since", "yesterday"], "'yesterday' is no moment; write 90s, 15m, 1h, 2d"),
        (["list", "--since", "99999999w"], "is no moment"),
        (["list", "--status", "GONE"], "'GONE' is not one of"),
    ],
)
def test_every_mistake_gets_one_message_and_exit_code_2(project: Project, arguments: list[str], said: str) -> None:
    done = project(*arguments)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")
    assert not (project.folder / "bookings.db").exists() or arguments[0] == "run"


def test_the_same_name_with_the_same_input_answers_the_first_and_with_another_is_refused(project: Project) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    again = project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    assert json.loads(again.stdout) == {"order": 7}
    assert again.stderr.splitlines()[0] == "o1  order.yaml  has ended before"
    assert "Check" not in again.stderr
    other = project("run", "order.yaml", "--input", '{"id": 8}', "--name", "o1")
    assert other.exit_code == 2
    assert "execution 'o1' exists with another input" in other.stderr


def test_an_execution_that_only_an_answer_can_move_on_is_running_and_no_failure(project: Project) -> None:
    done = project("run", "ask.yaml", "--name", "a1")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "… Ask                                          waits for a callback" in done.stderr
    assert "it waits for an answer from outside" in done.stderr
    assert json.loads(project("resume", "a1", "--json").stdout) == {"name": "a1", "status": "RUNNING"}
    assert "waits for a callback" in project("show", "a1").stdout


def test_flows_and_what_they_lack_when_there_is_no_steps_package(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENGINE_STEPS")
    (project.folder / "elsewhere").mkdir()
    monkeypatch.chdir(project.folder / "elsewhere")
    assert "no steps are known: there is no package 'steps' in this folder" in project("run", "../order.yaml").stderr
    assert "no steps are known" in project("steps").stderr
    checked = project("validate", "../order.yaml")
    assert checked.exit_code == 0
    assert "steps were not checked" in checked.stderr
    assert project("run", "../warned.yaml", "--store", "memory:").exit_code == 0


def test_a_step_that_crashes_fails_its_execution_and_is_traced_only_with_debug(project: Project) -> None:
    plain = project("run", "crash.yaml")
    assert plain.exit_code == 1
    assert "ValueError: step shop.crash raised ValueError at all.py:" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "a secret" not in plain.stderr
    traced = project("run", "crash.yaml", "--debug")
    assert "DEBUG engine: step shop.crash raised\nTraceback" in traced.stderr
    assert logging.getLogger("engine").handlers == []


@pytest.mark.parametrize("code", ["raise RuntimeError('odd')", "this is no Python"])
def test_a_steps_package_that_breaks_on_import_is_named(project: Project, code: str) -> None:
    (project.folder / "shop" / "__init__.py").write_text(code, encoding="utf-8")
    done = project("steps")
    assert done.exit_code == 2
    assert "Error: the steps package 'shop' cannot be imported: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_defect_is_one_line_and_exit_code_70(project: Project) -> None:
    hook = "from engine import on_open\n\n\n@on_open\ndef broken(host):\n    raise KeyError('odd')\n"
    (project.folder / "shop" / "all.py").write_text(hook, encoding="utf-8")
    done = project("run", "nap.yaml")
    assert (done.exit_code, done.stdout) == (70, "")
    assert done.stderr == "Error: unexpected KeyError: 'odd'; run it again with --debug to see where\n"
    assert "Traceback" in project("run", "nap.yaml", "--debug").stderr


def test_the_log_has_one_plain_line_for_each_warning(project: Project) -> None:
    hook = "from engine import on_idle\n\n\n@on_idle\ndef relay(host):\n    raise OSError('out of\\nreach')\n"
    (project.folder / "shop" / "all.py").write_text(hook, encoding="utf-8")
    done = project("run", "warned.yaml", "--json")
    assert done.exit_code == 0
    assert done.stderr == "WARNING engine: hook relay failed: out of reach\n"


# -- looking ---------------------------------------------------------------------------------------------------


def test_show_prints_the_tree_and_the_output(project: Project) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    lines = project("show", "o1").stdout.splitlines()
    assert lines[0].startswith("o1  order.yaml  began 20")
    states = [line.split()[1:4] for line in lines[2:6]]
    assert [line[:2] for line in states] == [["✓", "Check"], ["✓", "Both"], ["✓", "[0]"], ["✓", "[1]"]]
    assert lines[7].startswith("✓ SUCCEEDED in ")
    assert json.loads("\n".join(lines[8:])) == {"order": 7}


def test_show_json_has_the_description_and_the_states(project: Project) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    shown = json.loads(project("show", "o1", "--json").stdout)
    assert (shown["name"], shown["status"], shown["input"]) == ("o1", "SUCCEEDED", {"id": 7})
    check, both = shown["states"]
    assert (check["name"], check["type"], check["status"]) == ("Check", "Task", "SUCCEEDED")
    assert check["tries"][0]["note"] == "3 rules passed"
    assert [[state["name"] for state in branch] for branch in both["tries"][0]["branches"]] == [["Left"], ["Right"]]


def test_show_cuts_a_long_output_unless_all_of_it_is_asked_for(project: Project) -> None:
    (project.folder / "wide.yaml").write_text(
        "StartAt: 'A'\nStates: {'A': {Type: Pass, End: true}}\n", encoding="utf-8"
    )
    project("run", "wide.yaml", "--input", json.dumps(list(range(50))), "--name", "w1")
    assert project("show", "w1").stdout.splitlines()[-1] == "… 32 more lines; --full shows all"
    assert project("show", "w1", "--full").stdout.splitlines()[-1] == "]"


def test_history_prints_one_line_for_each_event_and_json_in_the_shape_of_aws(project: Project) -> None:
    project("run", "crash.yaml", "--name", "c1")
    lines = project("history", "c1").stdout.splitlines()
    assert [line.split()[-1].split("=")[0] for line in lines[:2]] == ["input", "input"]
    assert "TaskFailed" in lines[4]
    events = json.loads(project("history", "c1", "--json").stdout)["events"]
    assert len(events) == len(lines) == 6
    assert (events[0]["id"], events[0]["previousEventId"], events[0]["type"]) == (1, 0, "ExecutionStarted")
    assert events[0]["executionStartedEventDetails"]["input"] == "{}"
    assert events[0]["timestamp"].endswith("Z")


def test_list_shows_the_youngest_first_and_can_be_narrowed(project: Project) -> None:
    assert project("list").stderr == "no executions in sqlite:///bookings.db\n"
    assert json.loads(project("list", "--json").stdout) == {"executions": []}
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    project("run", "crash.yaml", "--name", "c1")
    head, first, second = project("list").stdout.splitlines()
    assert head.split() == ["NAME", "FLOW", "STATUS", "STARTED", "TOOK"]
    assert first.split()[:4] == ["✗", "c1", "crash", "FAILED"]
    assert first.endswith("ValueError")
    assert second.split()[:4] == ["✓", "o1", "order", "SUCCEEDED"]
    assert len(project("list", "--status", "failed").stdout.splitlines()) == 2
    assert len(project("list", "--since", "1h", "--limit", "1").stdout.splitlines()) == 2
    assert project("list", "--since", "2999-01-01").stderr == "no executions in sqlite:///bookings.db match\n"
    (found,) = json.loads(project("list", "--status", "FAILED", "--json").stdout)["executions"]
    assert (found["name"], found["error"]) == ("c1", "ValueError")


def nested(project: Project, child: str) -> None:
    """A flow that starts another one."""
    text = f"StartAt: Go\nStates:\n  Go: {{Type: Task, Resource: 'flow:{child}', End: true}}\n"
    (project.folder / "trip.yaml").write_text(text, encoding="utf-8")


def test_show_names_the_parent_and_the_child_of_a_nested_execution(project: Project) -> None:
    nested(project, "order")
    project("run", "trip.yaml", "--input", '{"id": 7}', "--name", "t1")
    (child,) = [line.split()[1] for line in project("list").stdout.splitlines() if "t1-order" in line]
    shown = project("show", "t1").stdout
    assert f"execution {child}" in shown
    assert "started by" not in shown
    assert "started by execution t1\n" in project("show", child).stdout
    (go,) = json.loads(project("show", "t1", "--json").stdout)["states"]
    assert [attempt["child"] for attempt in go["tries"]] == [child]


def test_show_says_for_which_execution_a_running_one_waits(project: Project) -> None:
    nested(project, "ask")
    project("run", "trip.yaml", "--name", "t1")
    (child,) = [line.split()[1] for line in project("list").stdout.splitlines() if "t1-ask" in line]
    assert f"waits for execution {child}\n" in project("show", "t1").stdout
    assert "waits for a callback\n" in project("show", child).stdout


def test_list_shows_children_below_their_parent_or_names_it(project: Project) -> None:
    nested(project, "order")
    project("run", "trip.yaml", "--input", '{"id": 7}', "--name", "t1")
    project("run", "crash.yaml", "--name", "c1")
    _, crashed, parent, child = project("list").stdout.splitlines()
    assert (crashed[:5], parent[:5]) == ("✗ c1 ", "✓ t1 ")
    assert child.startswith("✓   t1-order-")
    (alone,) = project("list", "--flow", "order").stdout.splitlines()[1:]
    assert alone.startswith("✓ t1-order-")
    assert alone.endswith("(started by t1)")
    found = json.loads(project("list", "--json").stdout)["executions"]
    assert {summary["flow"]: summary["parent"] for summary in found} == {"crash": None, "trip": None, "order": "t1"}


@pytest.mark.parametrize("command", ["show", "history", "stop", "resume"])
def test_an_unknown_name_gets_the_closest_one_there_is(project: Project, command: str) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "order-42")
    done = project(command, "order-24")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no execution 'order-24' in sqlite:///bookings.db" in done.stderr
    assert "did you mean 'order-42'?" in done.stderr


def test_stop_ends_a_running_execution_once(project: Project) -> None:
    project("run", "ask.yaml", "--name", "a1")
    assert project("stop", "a1", "--error", "Operator.Cancelled").stdout == "a1 is ABORTED\n"
    assert project("stop", "a1").stdout == "a1 had ended before: ABORTED\n"
    assert "∅ ABORTED after" in project("show", "a1").stdout
    assert project("resume", "a1").exit_code == 1


def test_resume_lists_what_there_is_and_takes_up_all_of_it(project: Project) -> None:
    assert project("resume").stderr == "nothing to resume: no execution is RUNNING\n"
    assert project("resume", "--all").exit_code == 0
    project("run", "ask.yaml", "--name", "a1")
    project("run", "ask.yaml", "--name", "a2")
    listed = project("resume")
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["FLOW", "a2", "a1"]
    assert "engine resume --all" in listed.stderr
    assert [found["name"] for found in json.loads(project("resume", "--json").stdout)["executions"]] == ["a1", "a2"]
    every = project("resume", "--all", "--json")
    assert every.exit_code == 0
    assert json.loads(every.stdout) == {
        "executions": [{"name": "a1", "status": "RUNNING"}, {"name": "a2", "status": "RUNNING"}]
    }


# -- checking --------------------------------------------------------------------------------------------------


def test_validate_prints_every_problem_of_every_file(project: Project) -> None:
    done = project("validate", "order.yaml", "wrong.yaml", "none.yaml")
    assert done.exit_code == 2
    assert "wrong.yaml:1:10: error unknown-state" in done.stdout
    assert "    StartAt: Chek\n             ^" in done.stdout
    assert "none.yaml: error unreadable-file" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("✗ 3 files: ")
    found = json.loads(project("validate", "wrong.yaml", "--json").stdout)
    assert not found["valid"]
    assert {problem["code"] for problem in found["problems"]} >= {"unknown-state", "unknown-step"}


def test_validate_allows_warnings_unless_it_is_strict(project: Project) -> None:
    assert project("validate", "order.yaml").stdout == "✓ 1 file: no problems\n"
    done = project("validate", "warned.yaml")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "✓ 1 file: 1 warning"
    strict = project("validate", "--strict", "warned.yaml")
    assert strict.exit_code == 2
    assert strict.stdout.splitlines()[-1] == "✗ 1 file: 1 warning"


def test_validate_knows_rule_files_by_their_rules(project: Project) -> None:
    (project.folder / "rules.yaml").write_text("version: 1\ncontext: []\nphases: [a]\nrules: []\nfats: {}\n", "utf-8")
    done = project("validate", "rules.yaml")
    assert done.exit_code == 2
    assert "rules.yaml:5:1: error unknown-field" in done.stdout


RULES = """
version: 1
phases: [ask]
context: [guest]
rules:
- {id: R1, code: too_young, phase: ask, http: 403, assert: guest.age >= `18`, message: Come back later.}
- {id: R2, code: too_late, phase: ask, http: 403, assert: guest.late == `false`, message: We are closed.}
"""
CASES = """
now: "2026-05-04T09:00:00Z"
context: {guest: {age: 20, late: false}}
cases:
- {name: a grown-up, phase: ask}
- {name: a child, phase: ask, change: {guest.age: 7}, fails: [R1]}
- {name: late at night, phase: ask, change: {guest.late: true}, fails: [R2]}
"""


def test_validate_runs_the_cases_of_a_rule_file(project: Project) -> None:
    (project.folder / "rules.yaml").write_text(RULES, "utf-8")
    cases = project.folder / "rules.test.yaml"
    cases.write_text(CASES, "utf-8")
    assert project("validate", "rules.yaml", "rules.test.yaml").stdout == "✓ 2 files: no problems\n"
    cases.write_text(CASES.replace("7", "70"), "utf-8")
    done = project("validate", "rules.test.yaml")
    assert done.exit_code == 2
    assert 'a child: the list of failed rules should be ["R1"], but is []' in done.stdout
    cases.write_text("cases: 5\n", "utf-8")
    assert "the cases cannot be read" in project("validate", "rules.test.yaml").stdout
    cases.rename(project.folder / "other.yaml")
    assert "limits.test.yaml" in project("validate", "other.yaml").stdout


def test_steps_lists_them_and_tells_all_about_one(project: Project) -> None:
    lines = project("steps").stdout.splitlines()
    assert lines[0].split() == ["NAME", "IDEMPOTENCY", "TRANSACTIONAL", "ERRORS", "WHAT", "IT", "DOES"]
    assert lines[2].split() == ["shop.check", "natural", "-", "Shop.Closed", "Check", "the", "order."]
    one = project("steps", "step:shop.check").stdout
    assert "    Shop.Closed  nobody is there" in one
    assert "  It is closed when asked to be." in one
    assert '      "type": "object"' in project("steps", "shop.crash").stdout
    assert json.loads(project("steps", "shop.crash", "--json").stdout)["input"] == {"type": "object"}
    assert len(json.loads(project("steps", "--json").stdout)["steps"]) == 4


# -- help ------------------------------------------------------------------------------------------------------


def test_the_first_line_of_help_is_the_one_that_is_known_without_importing(project: Project) -> None:
    context = click.Context(cli)
    for name, (_, short) in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert (command.name, (command.help or "").splitlines()[0]) == (name, short)
        assert "Examples:" in (command.help or "")
        assert f"  {name} " in project("--help").stdout


def test_every_command_has_a_json_form_and_the_common_options(project: Project) -> None:
    context = click.Context(cli)
    words = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        words += [(name, below) for below in command.commands] if isinstance(command, click.Group) else [(name,)]
    for name in words:
        text = project(*name, "--help").stdout
        # These have no result that a machine could read: they answer nothing until they are told to end.
        assert "--json" in text or name in (("worker",), ("serve",))
        assert all(option in text for option in ("--debug", "--color / --no-color"))


def test_the_reference_page_is_fresh() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert page == cli_page(), "docs/reference/cli.md is stale: run make generate"


def test_colours_come_when_asked_for_and_never_into_json(project: Project) -> None:
    project("run", "order.yaml", "--input", '{"id": 7}', "--name", "o1")
    assert "\x1b[" not in project("show", "o1").stdout
    assert "\x1b[32m✓\x1b[0m" in project("show", "o1", "--color").stdout
    assert "\x1b[32m" in project("show", "o1", "--color", NO_COLOR="1").stdout
    assert "\x1b[" not in project("show", "o1", "--color", "--json").stdout
