"""The example servers do what they say, for the real client and the real Inspector as well."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import open_workspace
from holdfast.services.verification import verify_servers
from holdfast.workspace.creation import create
from holdfast.workspace.layout import Layout
from tests.clients import node, npm

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    home = tmp_path_factory.mktemp("home")
    return create(home / "development", home=home, examples=True).layout


@pytest.fixture(scope="module")
def financial(layout: Layout) -> Layout:
    """The workspace, once npm has installed what the financial server needs."""
    node()
    npm("install", "--no-audit", "--no-fund", cwd=layout.servers / "financial")
    workspace = open_workspace(layout.root)
    workspace.servers.update("financial", status="active", command=node())
    return layout


def ask(layout: Layout, server: str, calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """The answers to several calls: what the tool returned, or the text of its error."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters

    settings = open_workspace(layout.root).servers.get(server).settings
    program = [str(layout.root / each) for each in settings["args"]]
    parameters = StdioServerParameters(command=settings["command"], args=program)

    async def talk() -> list[Any]:
        async with Client(parameters) as client:
            answers = []
            for name, arguments in calls:
                result = await client.call_tool(name, arguments)
                text = "".join(getattr(each, "text", "") for each in result.content)
                if result.is_error:
                    answers.append(f"error: {text}")
                elif result.structured_content is not None:
                    found = result.structured_content
                    answers.append(found.get("result", found))
                else:
                    answers.append(json.loads(text))
            return answers

    return asyncio.run(talk())


def test_the_utilities(layout: Layout, tmp_path: Path) -> None:
    (layout.root / "notes.txt").write_text("first\nthe needle\n", encoding="utf-8")
    secret = layout.home / "secret.txt"
    secret.write_text("the needle", encoding="utf-8")
    outside = ["../secret.txt", str(secret), "logs/../../secret.txt"]
    if sys.platform != "win32":
        (layout.root / "link.txt").symlink_to(secret)
        outside.append("link.txt")
    answers = ask(
        layout,
        "utilities",
        [
            ("hash_text", {"text": "bees"}),
            ("hash_file", {"path": "notes.txt", "algorithm": "sha1"}),
            ("convert_time", {"moment": "2026-11-25T12:00:00", "zone": "UTC"}),
            ("convert_time", {"moment": "noon", "zone": "UTC"}),
            ("current_time", {"zone": "Nowhere/At_All"}),
            ("format_json", {"text": '{"b":1,"a":[]}', "sort_keys": True}),
            ("format_json", {"text": '{"b":'}),
            ("json_value", {"text": '{"a/b":[1,{"c":2}]}', "pointer": "/a~1b/1/c"}),
            ("count_text", {"text": "ä b\nc"}),
            ("compare_texts", {"before": "a", "after": "a"}),
            ("find_files", {"pattern": "notes.*"}),
            ("search_text", {"pattern": "ne+dle"}),
            *(("hash_file", {"path": path}) for path in outside),
        ],
    )
    assert answers[0] == hashlib.sha256(b"bees").hexdigest()
    assert answers[1] == hashlib.sha1((layout.root / "notes.txt").read_bytes()).hexdigest()
    assert answers[2] == "2026-11-25T12:00:00+00:00"
    assert "no ISO 8601 moment" in answers[3]
    assert "no time zone" in answers[4]
    assert list(json.loads(answers[5])) == ["a", "b"]
    assert "line 1" in answers[6]
    assert answers[7] == 2
    assert answers[8] == {"lines": 2, "words": 3, "characters": 5, "bytes": 6}
    assert answers[9] == ""
    assert answers[10] == ["notes.txt"]
    assert answers[11] == [{"path": "notes.txt", "line": 2, "text": "the needle"}]
    assert all("outside of the workspace" in each for each in answers[12:])


def test_the_ledger(financial: Layout) -> None:
    root = financial.root
    (root / "statement.csv").write_text(
        'Date;Amount;Payee\n01.11.2026;-1.234,56;"Rent; November"\n02.11.2026;100,00;x\n'
        "02.11.2026;100,00;x\n",
        encoding="utf-8",
    )
    (root / "statement.ofx").write_text(
        "OFXHEADER:100\n\n<OFX><BANKTRANLIST><STMTTRN><TRNTYPE>DEBIT\n<DTPOSTED>20261203120000\n"
        "<TRNAMT>-0.10\n<FITID>1\n<NAME>A &amp; B\n</STMTTRN><STMTTRN><DTPOSTED>20261204\n"
        "<TRNAMT>0.30<FITID>2</STMTTRN></BANKTRANLIST></OFX>",
        encoding="utf-8",
    )
    (root / "broken.csv").write_text("Date,Amount\n2026-11-01,1\n2026-11-31,2\n", encoding="utf-8")
    imports = [
        ("import_statement", {"account": "giro", "path": name})
        for name in ("statement.csv", "statement.csv", "statement.ofx", "broken.csv", "../x.csv")
    ]
    answers = ask(
        financial,
        "financial",
        [
            ("balance", {"account": "giro"}),
            ("open_account", {"account": "giro", "currency": "EUR"}),
            *imports,
            ("add_entry", {"account": "giro", "date": "2026-12-05", "amount": "0.005"}),
            ("cash_flow", {"account": "giro"}),
            ("balance", {"account": "giro", "on": "2026-11-30"}),
            ("list_entries", {"account": "giro", "from": "2026-12-01"}),
        ],
    )
    assert "there is no account" in answers[0]
    assert answers[2] == {"found": 3, "added": 3, "known": 0}
    assert answers[3] == {"found": 3, "added": 0, "known": 3}, "nothing is imported twice"
    assert answers[4]["added"] == 2
    assert "row 3" in answers[5], "no entry of a broken statement is taken"
    assert answers[6].startswith("error")
    assert "fractions of a cent" in answers[7]
    assert answers[8] == [
        {"month": "2026-11", "income": "200.00", "expenses": "-1234.56", "net": "-1034.56"},
        {"month": "2026-12", "income": "0.30", "expenses": "-0.10", "net": "0.20"},
    ]
    assert answers[9]["balance"] == "-1034.56"
    assert [each["description"] for each in answers[10]] == ["A & B", ""]
    [total] = ask(financial, "financial", [("list_accounts", {})])[0]
    assert (total["entries"], total["balance"]) == (5, "-1034.36"), "it is on disk"


def test_loans_and_values_are_exact(financial: Layout) -> None:
    loan, free, value, wrong = ask(
        financial,
        "financial",
        [
            ("loan_schedule", {"principal": "200000", "yearly_percent": "3.75", "months": 360}),
            ("loan_schedule", {"principal": "100", "yearly_percent": "0", "months": 3}),
            ("net_present_value", {"yearly_percent": "10", "flows": ["-1000", *["500"] * 3]}),
            ("loan_schedule", {"principal": "-1", "yearly_percent": "1", "months": 3}),
        ],
    )
    assert loan["payment"] == "926.23"
    assert loan["rows"][0] == {
        "month": 1,
        "payment": "926.23",
        "interest": "625.00",
        "principal": "301.23",
        "balance": "199698.77",
    }
    assert loan["rows"][-1]["balance"] == "0.00"
    assert [row["payment"] for row in free["rows"]] == ["33.33", "33.33", "33.34"]
    assert value == "243.43"
    assert wrong.startswith("error")


def test_both_pass_verify(financial: Layout) -> None:
    found = {each.name: each for each in verify_servers(open_workspace(financial.root))}
    assert found["utilities"].healthy, found
    assert found["financial"].healthy, found
    assert (found["utilities"].tools, found["financial"].tools) == (10, 9)


@pytest.mark.slow
def test_both_pass_the_inspector(
    financial: Layout, inspector_command: list[str], tmp_path: Path
) -> None:
    from holdfast.registry.clients.syncing import sync_servers

    sync_servers(open_workspace(financial.root).servers, financial)
    config = financial.server_registry.with_name("claude-code-updated.json")
    for server, tool in (("utilities", "hash_text"), ("financial", "loan_schedule")):
        arguments = ["--cli", "--config", str(config), "--server", server, "--method", "tools/list"]
        done = subprocess.run(
            [*inspector_command, *arguments],
            env={**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert tool in [each["name"] for each in json.loads(done.stdout)["tools"]]
