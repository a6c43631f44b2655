"""Where the files of Claude Code and Claude Desktop are.

Everything is derived from a home, so that nothing is looked for beside it. The environment
(``CLAUDE_CONFIG_DIR``, ``APPDATA``, …) counts only for the real home of whoever runs this.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from holdfast.durable.names import same_path

Platform = Literal["win32", "darwin", "linux"]

_DESKTOP = "claude_desktop_config.json"
_MANAGED: dict[str, str] = {
    "win32": "C:\\Program Files\\ClaudeCode",
    "darwin": "/Library/Application Support/ClaudeCode",
    "linux": "/etc/claude-code",
}


@dataclass(frozen=True)
class ClaudePlaces:
    """The places of one home. Only `desktop_configs` looks at the disk.

    `config_folder` is what ``CLAUDE_CONFIG_DIR`` names, or None.
    """

    home: Path
    config_folder: Path | None
    roaming: Path
    local: Path
    platform: Platform

    @property
    def user_config(self) -> Path:
        """``.claude.json``: the servers of the user scope, and of each project's local scope."""
        return (self.config_folder or self.home) / ".claude.json"

    @property
    def folder(self) -> Path:
        """``.claude/``, which holds the rest."""
        return self.config_folder or self.home / ".claude"

    @property
    def user_settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def managed_settings(self) -> Path:
        """Settings that an administrator imposes; they are stronger than all others."""
        return Path(_MANAGED[self.platform]) / "managed-settings.json"

    @property
    def instructions(self) -> Path:
        return self.folder / "CLAUDE.md"

    @property
    def credentials(self) -> Path:
        """Never backed up in clear."""
        return self.folder / ".credentials.json"

    @property
    def transcripts(self) -> Path:
        """``<slug>/<session>.jsonl``: what was said in each session."""
        return self.folder / "projects"

    @property
    def prompts(self) -> Path:
        """``history.jsonl``: what the user typed."""
        return self.folder / "history.jsonl"

    @property
    def backups(self) -> Path:
        """The client's own copies of ``.claude.json``, also of corrupted ones."""
        return self.folder / "backups"

    @property
    def shell_snapshots(self) -> Path:
        return self.folder / "shell-snapshots"

    def desktop_configs(self) -> list[Path]:
        """Claude Desktop's configuration; on Windows there may be two, the current one first.

        That of the package counts once the package is installed, the classic one if it is there
        or no other is.
        """
        classic = self._classic_desktop
        if self.platform != "win32":
            return [classic]
        packages = sorted((self.local / "Packages").glob("Claude_*"))
        inside = Path("LocalCache", "Roaming", "Claude", _DESKTOP)
        found = [package / inside for package in packages]
        return [*found, classic] if os.path.lexists(classic) or not found else found

    @property
    def _classic_desktop(self) -> Path:
        if self.platform == "win32":
            return self.roaming / "Claude" / _DESKTOP
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support" / "Claude" / _DESKTOP
        return self.home / ".config" / "Claude" / _DESKTOP


def claude_places(
    home: Path,
    *,
    environment: Mapping[str, str] | None = None,
    platform: Platform | None = None,
) -> ClaudePlaces:
    """The places of `home`.

    Without `environment`, that of this process counts if `home` is the real one, else none.
    """
    if environment is None:
        environment = os.environ if same_path(home, Path.home()) else {}
    config = environment.get("CLAUDE_CONFIG_DIR")
    return ClaudePlaces(
        home=home,
        config_folder=home / config if config else None,
        roaming=Path(environment.get("APPDATA") or home / "AppData" / "Roaming"),
        local=Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local"),
        platform=platform or _this_platform(),
    )


def project_servers(project: Path) -> Path:
    """``.mcp.json``: the servers that a project shares through git."""
    return project / ".mcp.json"


def project_settings(project: Path) -> list[Path]:
    """The settings of a project, strongest first: local ones, then those shared through git."""
    folder = project / ".claude"
    return [folder / "settings.local.json", folder / "settings.json"]


def _this_platform() -> Platform:
    if sys.platform == "win32":
        return "win32"
    return "darwin" if sys.platform == "darwin" else "linux"
