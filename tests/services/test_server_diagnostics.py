"""What can be told of a server's settings without starting it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.services.server_diagnostics import diagnose


def told(root: Path, server: Any, name: str = "x", platform: str = "linux") -> list[str]:
    found = diagnose(
        name, server, root=root, environment={"PATH": str(root), "SET": "1"}, platform=platform
    )
    return [f"{each.problem} ({each.hint}){'' if each.blocks else ' note'}" for each in found]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ([], "an object is expected"),
        ({"type": "carrier"}, "the type 'carrier' is unknown"),
        ({"url": "http://x/"}, 'has a "url" but no "type"'),
        ({"type": "http", "url": "x"}, "url: an address"),
        ({"type": "http", "url": "http://x", "headers": []}, "headers: an object"),
        ({"type": "sse"}, 'no "url"'),
        ({"command": ""}, 'neither a "command" nor a "url"'),
        ({"command": sys.executable, "args": "-m x"}, "args: an array of strings"),
        ({"command": sys.executable, "args": [1]}, "args: an array of strings"),
        ({"command": sys.executable, "env": {"PORT": 80}}, "env.PORT: a string"),
        ({"command": "nowhere"}, "the command 'nowhere' is not found"),
        ({"command": "python server.py"}, "the command and its arguments are separate"),
        ({"command": "${NOT_SET}"}, "missing environment variables: NOT_SET"),
        ({"command": sys.executable, "args": ["${A}", "${B:-b}", "${SET}"]}, "variables: A ("),
        ({"command": sys.executable, "args": ["-m", "no_such_module_x"]}, "no_such_module_x"),
        ({"command": sys.executable, "args": ["gone.py"]}, "'gone.py' is not there"),
        ({"command": sys.executable, "args": ["here.py"]}, "is a relative path"),
        ({"command": sys.executable, "env": {"API_KEY": "abcdef123456"}}, "${API_KEY}"),
        (
            {"command": sys.executable, "args": ["--token=abcdef123456"]},
            "args.0 is a literal secret",
        ),
    ],
)
def test_each_fault_is_named(tmp_path: Path, server: Any, expected: str) -> None:
    (tmp_path / "here.py").touch()
    found = told(tmp_path, server)
    assert len(found) == 1, found
    assert expected in found[0]
    assert "abcdef123456" not in found[0]


@pytest.mark.parametrize("name", ["a b", "workspace", "ä"])
def test_names(tmp_path: Path, name: str) -> None:
    assert "name" in told(tmp_path, {"command": sys.executable}, name)[0]


def test_sound_settings(tmp_path: Path) -> None:
    script = tmp_path / "here.py"
    script.touch()
    assert told(tmp_path, {"command": sys.executable, "args": [str(script), "--x"]}) == []
    assert told(tmp_path, {"command": sys.executable, "env": {"API_KEY": "${SET}"}}) == []
    assert told(tmp_path, {"type": "http", "url": "http://127.0.0.1:1/mcp"}) == []


def test_node_needs_its_modules(tmp_path: Path) -> None:
    node = tmp_path / ("node.exe" if sys.platform == "win32" else "node")
    node.touch(mode=0o755)
    script = tmp_path / "s" / "index.js"
    script.parent.mkdir()
    script.touch()
    package = script.with_name("package.json")
    package.write_text('{"dependencies": {"x": "1"}}', encoding="utf-8")
    server = {"command": str(node), "args": [str(script)]}
    [found] = told(tmp_path, server)
    assert "node_modules is missing" in found
    assert "npm install" in found
    (script.parent / "node_modules").mkdir()
    assert told(tmp_path, server) == []


def test_bare_npx_on_windows(tmp_path: Path) -> None:
    for name in ("npx", "npx.cmd"):
        (tmp_path / name).touch(mode=0o755)
    server = {"command": "npx", "args": ["-y", "thing"]}
    assert told(tmp_path, server) == []
    assert '"cmd", "args": ["/c", "npx"' in told(tmp_path, server, platform="win32")[0]
