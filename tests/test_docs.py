"""README.md and docs/: examples do what the text says, and links lead on."""

import html
import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest

from holdfast.engines.urls import url_for
from holdfast.workflows.declarations import order_of, read_declaration
from tests.conftest import require_program
from tests.pages import ROOT, Page, Stage, examples
from tests.servers import redis_program


def check_readme_commands(stage: Stage) -> None:
    assert "3 found: 3 new" in stage.said["shell"]
    assert "proven with" in stage.said["shell"]
    assert (stage.root / "agents/director-agent.py").is_file()


def two_texts(stage: Stage) -> None:
    stage.make_workspace()
    (stage.root / "bees.txt").write_text("hum hum hum", encoding="utf-8")
    (stage.root / "wasps.txt").write_text("buzz", encoding="utf-8")


def check_readme_program(stage: Stage) -> None:
    for _ in range(2):  # the second time, the run is finished already
        assert stage.said["python"].strip() == "{'bees.txt': 3, 'wasps.txt': 1}"
        stage.play("README.md", "python")
    line = json.loads((stage.root / "logs/worker.log").read_text("utf-8").splitlines()[0])
    assert (line["message"], line["topic"]) == ("Working", "bees")


def two_keys(stage: Stage) -> None:
    from holdfast.vault.identities import generate_identity

    stage.make_workspace()
    (stage.home / "media").mkdir()
    for name in ("recipient", "colleague"):
        public = generate_identity(stage.home / "keys" / f"{name}.key")
        (stage.root / f"{name}.txt").write_text(public, encoding="utf-8")


def check_backups(stage: Stage) -> None:
    assert stage.said["key"].count("age1") == 2
    assert stage.said["destinations"].count("FAILED") == 0
    assert "1 were in disk before" in stage.said["sync"]
    assert "new data" in stage.said["recipients"]
    assert "every file compared" in stage.said["archives"]


def check_mcp(stage: Stage) -> None:
    assert "+ mcpServers.holdfast" in stage.said["mcp"]
    assert "code\tuser\tinstalled" in stage.said["mcp"]
    assert "- mcpServers.holdfast" in stage.said["mcp"]
    for path in (stage.home / ".claude.json", stage.root / ".mcp.json"):
        assert "holdfast" in json.loads(path.read_bytes())["mcpServers"], path


def check_install(stage: Stage) -> None:
    assert stage.said["version"].startswith("holdfast, version ")
    for name in (".bashrc", ".zshrc", ".config/fish/completions/holdfast.fish"):
        assert "_HOLDFAST_COMPLETE" in (stage.home / name).read_text(encoding="utf-8")


def check_settings(stage: Stage) -> None:
    lines = stage.said["settings"].splitlines()
    assert lines[1] == "60"
    assert "7" in lines
    assert json.loads((stage.root / "configs/holdfast.json").read_bytes())["undo"]["keepDays"] == 60


def a_workspace_to_search(stage: Stage) -> None:
    require_program("jq")
    stage.make_workspace()


def check_logs(stage: Stage) -> None:
    [counted, timed_out] = map(json.loads, stage.said["writing"].splitlines())
    assert counted["task_id"] == "survey-1:count"
    assert (counted["field"], counted["bees"]) == ("clover", 3)
    assert timed_out["message"] in stage.said["searching"]
    assert "Nobody said that" not in stage.said["transcripts"]
    assert stage.said["jq"] == '["Request timed out",30]\n'


def check_migration(stage: Stage) -> None:
    assert "holds 1 queues, 2 messages" in stage.said["migrate"]
    assert "queues.url is sqlite://" in stage.said["migrate"]
    assert "wasps" in stage.said["migrate"].splitlines()[-1]


def a_file_for_secrets(stage: Stage) -> None:
    require_program("sha256sum")
    stage.own["HOLDFAST_KEYRING"] = "file"
    a_git_identity(stage)
    stage.shell("holdfast history init")


def check_secrets(stage: Stage) -> None:
    said = stage.said["secrets"]
    assert ".env:1: GitHub token ghp_… (40 characters)" in said
    assert "GITHUB_TOKEN=${GITHUB_TOKEN}" in said
    assert "its length is 40" in said
    assert "calling with •••• (40 characters)" in said
    assert ".holdfast/points/" in said


def check_event_commands(stage: Stage) -> None:
    assert "deposited" in stage.said["commands"]
    assert "balances" in stage.said["project"]


def check_event_program(stage: Stage) -> None:
    assert stage.said["python"].splitlines() == [
        "{'account-7': 4}",
        "3 {'account-7': 4}",
        "1 {'amount': 5}",
        "3 {'amount': 1}",
    ]


def check_disk_space(stage: Stage) -> None:
    assert "python-cache" in stage.said["clean"]
    assert not list((stage.root / "agents").rglob("__pycache__"))


def a_git_identity(stage: Stage) -> None:
    stage.make_workspace_with_agents()
    stage.shell("git config --global user.name Ann")
    stage.shell("git config --global user.email ann@example.org")
    stage.shell("git init -q --bare ../remote.git")


def check_history(stage: Stage) -> None:
    assert "refs/heads/" in stage.shell("git ls-remote ../remote.git")
    assert "Teach the director to wait" in stage.said["back"]
    assert "Waits" not in (stage.root / "agents/director-agent.py").read_text(encoding="utf-8")


def check_queues(stage: Stage) -> None:
    assert "19" in stage.said["commands"]
    assert "orders@billing" in stage.said["commands"]


def a_watching_agent(stage: Stage) -> None:
    stage.make_workspace_with_agents()
    (stage.root / "requirements.txt").unlink()  # pip is tried in tests/recovery
    stage.shell("holdfast agents discover")


def check_services(stage: Stage) -> None:
    for agent in ("observatory-agent", "director-agent", "surveyor-agent"):
        assert f"{agent}\tready" in stage.said["services"]


def a_lost_agent(stage: Stage) -> None:
    """A snapshot, and then an agent less."""
    a_watching_agent(stage)
    stage.shell("git config --global user.name Ann")
    stage.play("docs/howto-services.md")
    stage.shell("holdfast workflows list; holdfast backup create")
    (stage.root / "agents/surveyor-agent.py").unlink()


def check_recovery(stage: Stage) -> None:
    assert f"Recovered {stage.root}" in stage.said["everything"]
    assert (stage.root / "agents/surveyor-agent.py").is_file()
    new = stage.home / "new/development"
    assert f"Recovered {new}" in stage.said["machine"]
    assert (new / "agents/director-agent.py").is_file()
    assert "name: Director" in stage.said["agent"]
    assert "Restored the workflows" in stage.said["store"]


def stop_services(stage: Stage) -> None:
    for place in (stage.root, stage.home / "new/development"):
        stage.shell(f"holdfast stop -w {place} || true")


def a_scheduler_of_its_own(stage: Stage) -> None:
    """What would be registered with the system is only written, into the stage's home."""
    stage.make_workspace()
    for word in ("schedule install", "schedule uninstall"):
        stage.words[word] = f"{word} --system systemd --no-start"


def check_schedule(stage: Stage) -> None:
    assert "run-due" in stage.said["install"]
    assert "*/30 * * * *" in stage.said["schedule"]
    assert "inventory: ok" in stage.said["schedule"]


def a_client_with_a_server(stage: Stage) -> None:
    stage.make_workspace()
    (stage.home / ".claude.json").write_text(
        '{"mcpServers": {"old": {"command": "echo"}}}', encoding="utf-8"
    )


def check_servers(stage: Stage) -> None:
    assert "+ mcpServers.hello" in stage.said["servers"]
    assert "nothing is missing" in stage.said["lost"]
    (stage.home / ".claude.json").write_text("{}", encoding="utf-8")
    stage.play("docs/howto-servers.md", "lost")
    written = json.loads((stage.home / ".claude.json").read_bytes())["mcpServers"]
    assert list(written) == ["old", "hello"]


def check_undo(stage: Stage) -> None:
    assert "bring back " in stage.said["undo"]
    assert "# Plan" in stage.said["undo"]
    assert "Bash: rm -rf shared/plan.md" in stage.said["undo"]


def a_run_to_look_at(stage: Stage) -> None:
    stage.make_workspace()
    stage.words["RUN"] = '"$(holdfast workflows list --json | jq -r .[0].id)"'
    require_program("jq")


def check_workflows(stage: Stage) -> None:
    """The same on the file queue, and where queues and workflows share a database."""
    assert stage.said["orders"] == "receipt of 7 0 1\n"
    assert stage.said["patched"] == "4\n"
    settings = {"queues": {"url": url_for("sqlite", stage.root / ".holdfast/state.db")}}
    (stage.root / "configs/holdfast.json").write_text(json.dumps(settings), encoding="utf-8")
    stage.play("docs/howto-workflows.md", "orders")
    assert stage.said["orders"] == "receipt of 7 0 1\n"


def the_workspace_of_the_demo(stage: Stage) -> None:
    for program in ("jq", "sqlite3"):
        require_program(program)
    told = json.loads(stage.shell("holdfast demo . --json"))
    assert told["held"]
    picture = html.unescape((ROOT / "docs/images/demo.svg").read_text(encoding="utf-8"))
    shown = picture.replace("\N{NO-BREAK SPACE}", " ")
    assert [claim["claim"] for claim in told["claims"] if claim["claim"] not in shown] == []


def check_stores(stage: Stage) -> None:
    assert "survey-demo|succeeded|shared/reports/survey-demo.md" in stage.said["workflows"]
    assert "assign-1|" in stage.said["workflows"]
    assert json.loads(stage.said["queues"].splitlines()[0])["folder"] == "agents"
    assert stage.said["logs"].splitlines().count("Survey published") == 1


def check_tutorial(stage: Stage) -> None:
    said = stage.said
    assert "3 found: 3 new" in said["discover"]
    assert "it died" in said["killed"]
    assert "interrupted" in said["killed"]
    assert "{'initialize.py': 8, 'verify-mcp-setup.py': 8}" in said["resumed"]
    assert said["resumed"].count('"Counting"') == 2
    assert "proven with" in said["backup"]
    assert "exit status 3" in said["torn"]
    assert "3 agents" in said["mended"]
    assert "-  agents/observatory-agent/main.py" in said["deleted"]
    assert "observatory-agent: 3 created" in said["deleted"]
    assert "surveyor-agent" in said["undone"].splitlines()[-1]
    assert f"Recovered {stage.root}" in said["everything"]
    assert "all as it was" in said["proof"]
    assert "just now (drill)" in said["proof"]


def registered_agents(stage: Stage) -> None:
    a_scheduler_of_its_own(stage)
    stage.words["ID"] = '"$(holdfast quarantine list --json | jq -r .[0].id)"'
    stage.make_workspace_with_agents()
    (stage.root / "requirements.txt").unlink()
    stage.shell("holdfast agents discover; python -m compileall -q agents")


def check_by_hand(stage: Stage) -> None:
    said = stage.said
    assert said["backup"].count("proven with") == 1
    assert "every file compared" in said["backup"]
    assert "all as it was" in said["backup"]
    assert "Begin" in stage.shell("git log --oneline")
    assert (stage.root / "agents/production/director-agent.py").is_file()
    assert (stage.root / "agents/surveyor-agent.py").is_file()
    assert "3 found: 0 new" in said["shorter"]
    assert "__pycache__" in said["clean"]
    assert "development" in said["usage"]


def check_architecture(stage: Stage) -> None:
    assert " passed" in stage.said["prove"]
    assert "MyEngine" in stage.said["prove"]


def nothing(_: Stage) -> None:
    """Neither before nor after."""


STORES = ("workflows", "queues", "logs")
EVENT_COMMANDS = ("commands", "projections.py", "project")
PAGES = [
    Page("README.md", nothing, check_readme_commands, only=("shell",)),
    Page("README.md", two_texts, check_readme_program, only=("python",)),
    Page("docs/architecture.md", nothing, check_architecture),
    Page("docs/by-hand.md", registered_agents, check_by_hand),
    Page("docs/howto-backups.md", two_keys, check_backups),
    Page("docs/howto-disk-space.md", registered_agents, check_disk_space),
    Page("docs/howto-events.md", Stage.make_workspace, check_event_program, only=("python",)),
    Page("docs/howto-events.md", Stage.make_workspace, check_event_commands, only=EVENT_COMMANDS),
    Page("docs/howto-git-history.md", a_git_identity, check_history),
    Page("docs/howto-install.md", a_scheduler_of_its_own, check_install),
    Page("docs/howto-logs.md", a_workspace_to_search, check_logs),
    Page("docs/howto-mcp.md", Stage.make_workspace, check_mcp),
    Page("docs/howto-migrate.md", nothing, check_migration),
    Page("docs/howto-queues.md", Stage.make_workspace, check_queues, only=("commands",)),
    Page("docs/howto-recover.md", a_lost_agent, check_recovery, clean_up=stop_services),
    Page("docs/howto-schedule.md", a_scheduler_of_its_own, check_schedule),
    Page("docs/howto-secrets.md", a_file_for_secrets, check_secrets),
    Page("docs/howto-servers.md", a_client_with_a_server, check_servers),
    Page("docs/howto-services.md", a_watching_agent, check_services, clean_up=stop_services),
    Page("docs/howto-settings.md", Stage.make_workspace, check_settings),
    Page("docs/howto-undo.md", Stage.make_workspace, check_undo),
    Page("docs/howto-workflows.md", a_run_to_look_at, check_workflows),
    Page("docs/tutorial.md", nothing, check_tutorial, clean_up=stop_services),
    Page("docs/stores.md", the_workspace_of_the_demo, check_stores, only=STORES),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "-".join([page.path, *page.only]))
def test_the_examples_of(page: Page, tmp_path: Path) -> None:
    if page.for_posix and sys.platform == "win32":
        pytest.skip("the commands are for a POSIX shell")
    stage = Stage(tmp_path)
    page.prepare(stage)
    try:
        stage.play(page.path, *page.only)
        page.check(stage)
    finally:
        page.clean_up(stage)


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a POSIX shell")
def test_what_readme_shows_of_an_undo_is_what_is_printed(tmp_path: Path) -> None:
    """README's session, after the same command of an agent; ids are another day's."""
    stage = Stage(tmp_path)
    stage.make_workspace_with_agents()
    (stage.root / "shared/plan.md").write_text("# Plan", encoding="utf-8")
    session = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert session is not None
    first, *shown = session[1].splitlines()
    command = shown[0].partition("Bash: ")[2]
    call = {"tool_name": "Bash", "tool_use_id": "1", "tool_input": {"command": command}}
    (stage.home / "call.json").write_text(json.dumps(call), encoding="utf-8")
    stage.shell('python -P -m holdfast.guard.hook "$PWD" before < ../call.json')
    printed = stage.shell(f"{command}\n{first.removeprefix('$ ')}")
    printed = printed.replace(str(stage.root), "/home/ann/development")
    point = re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{8,10}\b")
    told = [point.sub("POINT", line) for line in shown]
    assert [point.sub("POINT", line) for line in printed.splitlines()] == told


def test_the_program_about_topics(tmp_path: Path) -> None:
    program = examples("docs/howto-queues.md")["topics"].text
    place = url_for("sqlite", tmp_path / "state.db")
    output = Stage(tmp_path).python(program.replace("sqlite:////srv/shop/state.db", place))
    assert output.splitlines() == [
        "billing 2 18",
        "billing 1 17",
        "audit 2 18",
        "audit 1 17",
        "[18, 17]",
        "[('audit', 0), ('billing', 2)]",
    ]


def test_what_redis_holds_of_a_run(tmp_path: Path, redis_url: str) -> None:
    program = examples("docs/howto-workflows.md")["patched"].text
    stage = Stage(tmp_path, own={"HOLDFAST_WORKFLOWS_URL": redis_url})
    stage.make_workspace()
    stage.python(program.replace('start("bees")', 'start("bees", id="survey-demo")'))
    stage.words["redis-cli"] = f"{redis_program('redis-cli')} -u {redis_url}"
    stage.play("docs/stores.md", "redis")
    assert "succeeded" in stage.said["redis"]
    assert "check" in stage.said["redis"]


def test_the_declared_workflow_of_its_page(tmp_path: Path) -> None:
    text = examples("docs/howto-workflows.md")["declared"].text
    schema = (ROOT / "docs/schemas/workflow.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), json.loads(schema))
    path = tmp_path / "news.json"
    path.write_text(text, encoding="utf-8")
    declaration = read_declaration(path, tmp_path, lambda agent: [agent], lambda _: path)
    assert order_of(declaration) == ["collect", "note", "publish"]


ELSEWHERE = {("docs/howto-queues.md", "topics"), ("docs/stores.md", "redis")}  # tests of their own


def test_every_example_is_run() -> None:
    run = {(page.path, name) for page in PAGES for name in page.only or examples(page.path)}
    pages = [path.relative_to(ROOT).as_posix() for path in PAGES_TO_READ]
    assert {(page, name) for page in pages for name in examples(page)} - run == ELSEWHERE


PAGES_TO_READ = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + list((ROOT / "docs").rglob("*.md"))
)
PLACES = (ROOT, ROOT / "src/holdfast/workspace/templates/examples")  # what `init` writes as well
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")
PATH_IN_TEXT = re.compile(r"`((?:tests|src|scripts|benchmarks|docs)/[\w./-]*)`")


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def headings(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them from its headings."""
    lines = re.findall(r"^#+ (.+)$", without_code(path.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", line.strip().lower()) for line in lines)
    return {line.replace(" ", "-") for line in plain}


@pytest.mark.parametrize("page", PAGES_TO_READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = without_code(page.read_text(encoding="utf-8"))
    found = PATH_IN_TEXT.findall(text)
    lost = [path for path in found if not any((place / path).exists() for place in PLACES)]
    for target, anchor in LINK.findall(text):
        place = (page.parent / target).resolve() if target else page
        if not place.exists() or (anchor and anchor[1:] not in headings(place)):
            lost.append(f"{target}{anchor}")
    assert lost == []


NAMED_TEST = re.compile(r"\]\((tests/[\w/]+\.py)\): `(test_\w+)`")


def test_the_tests_behind_the_promises_are_there() -> None:
    named = NAMED_TEST.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_page_is_on_the_map() -> None:
    listed = LINK.findall((ROOT / "docs/index.md").read_text(encoding="utf-8"))
    known = {(ROOT / "docs" / target).resolve() for target, _ in listed}
    pages = set((ROOT / "docs").rglob("*.md")) - {ROOT / "docs/index.md"}
    assert pages - known == set()
