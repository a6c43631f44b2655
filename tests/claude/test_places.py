"""Where the client's files are, on each system, without touching the real home."""

from pathlib import Path

import pytest

from holdfast.claude.places import claude_places, project_servers, project_settings


def test_the_files_below_a_home(tmp_path: Path) -> None:
    places = claude_places(tmp_path, platform="linux")
    assert places.user_config == tmp_path / ".claude.json"
    assert places.user_settings == tmp_path / ".claude" / "settings.json"
    assert places.transcripts == tmp_path / ".claude" / "projects"
    assert places.backups == tmp_path / ".claude" / "backups"
    assert places.desktop_configs() == [tmp_path / ".config/Claude/claude_desktop_config.json"]
    assert project_servers(tmp_path) == tmp_path / ".mcp.json"
    assert project_settings(tmp_path)[0].name == "settings.local.json"


def test_the_configuration_folder_moves_everything(tmp_path: Path) -> None:
    places = claude_places(tmp_path, environment={"CLAUDE_CONFIG_DIR": str(tmp_path / "d")})
    assert places.user_config == tmp_path / "d" / ".claude.json"
    assert places.user_settings == tmp_path / "d" / "settings.json"
    assert places.transcripts == tmp_path / "d" / "projects"


def test_the_environment_is_that_of_the_real_home_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "d"))
    assert claude_places(tmp_path).config_folder is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert claude_places(tmp_path).config_folder == tmp_path / "d"


def test_desktop_has_two_places_on_windows(tmp_path: Path) -> None:
    places = claude_places(tmp_path, platform="win32")
    classic = tmp_path / "AppData" / "Roaming" / "Claude" / "claude_desktop_config.json"
    assert places.desktop_configs() == [classic]
    package = tmp_path / "AppData" / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc"
    (package / "x").mkdir(parents=True)
    current = package / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json"
    assert places.desktop_configs() == [current]
    classic.parent.mkdir(parents=True)
    classic.write_text("{}", encoding="utf-8")
    assert places.desktop_configs() == [current, classic]


def test_desktop_on_a_mac(tmp_path: Path) -> None:
    [path] = claude_places(tmp_path, platform="darwin").desktop_configs()
    expected = "Library/Application Support/Claude/claude_desktop_config.json"
    assert path.relative_to(tmp_path).as_posix() == expected
