"""Settings: every value, where it comes from, what it means; changed with care."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import msgspec
from starlette.routing import Route

from holdfast.claude.masking import mask_everywhere
from holdfast.errors import HoldfastError, UsageError
from holdfast.upkeep.configuration import (
    Value,
    change_setting,
    check_settings,
    find_key,
    value_from,
    value_of,
    values_of,
)
from holdfast.web.page import Asked, Done, Page, act_unopened, show_unopened
from holdfast.workspace.layers import Key, files_of, keys_of, look_up
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import SettingsDocument, defaults

PAGE = Page("Settings", "/settings", "settings")

_FILES = ("workspace", "home")


def routes() -> Sequence[Route]:
    # They are there for settings that cannot be read, too: here these are mended.
    return [
        show_unopened("/settings", "settings.html", settings),
        act_unopened("/settings/{name}", change),
    ]


def settings(layout: Layout, asked: Asked) -> dict[str, Any]:
    """Every setting; ``key`` and ``value`` are what somebody tried to set, and could not."""
    problems = check_settings(layout)
    values: dict[str, Value] = {}
    try:
        values = {value.key.name: value for value in values_of(layout, asked.settings)}
    except HoldfastError as error:
        if str(error) not in map(str, problems):
            problems.append(error)
    rows = [_row(layout, key, values.get(key.name), asked) for key in keys_of(SettingsDocument)]
    return {
        "problems": [problem.as_dict() for problem in problems],
        "groups": [(name, list(each)) for name, each in groupby(rows, lambda row: row["group"])],
        "files": [(name, path, path.is_file()) for name, path in files_of(layout).items()],
        "choices": _FILES,
    }


def change(layout: Layout, asked: Asked) -> Done:
    """Set one value in the file of the workspace or of the home."""
    name, text = asked.path["name"], asked.fields.get("value", "").strip()
    file = asked.fields.get("file", "workspace")
    if file not in _FILES:
        raise UsageError(f"settings are not written to {file!r}", hint=" or ".join(_FILES))
    find_key(name)
    try:
        value_from(layout, name, text)
    except UsageError:
        if mask_everywhere(text) != text:
            raise  # an address is no place for a secret
        tried = urlencode({"key": name, "value": text, "file": file})
        return Done(f"/settings?{tried}#{name}")
    path = change_setting(layout, name, text, in_home=file == "home")
    return Done(f"/settings#{name}", _told(layout, name, path, asked))


def _told(layout: Layout, name: str, path: Path, asked: Asked) -> str:
    try:
        layer = value_of(layout, name, asked.settings).layer
    except HoldfastError:
        return f"{name} is written to {path}"
    if layer.place == str(path):
        return f"{name} is set in {path}"
    return f"{name} is written to {path}, but {layer.name} ({layer.place}) is stronger"


def _row(layout: Layout, key: Key, value: Value | None, asked: Asked) -> dict[str, Any]:
    text = "" if value is None else value.text
    hidden = value is not None and (value.shown != value.data or mask_everywhere(text) != text)
    typed, problem = _tried(layout, key, asked)
    return {
        "group": key.name.partition(".")[0],
        "name": key.name,
        "meaning": key.meaning,
        "variable": key.variable,
        "text": text,
        "layer": None if value is None else value.layer,
        "default": _as_text(look_up(defaults(layout), key.path)),
        "choices": [each for each in get_args(key.type) if isinstance(each, str)],
        "is_long": not isinstance(value.data if value else None, str | int | float | None),
        "typed": typed if problem else ("" if hidden else text),
        "hidden": hidden,
        "problem": problem,
    }


def _tried(layout: Layout, key: Key, asked: Asked) -> tuple[str, HoldfastError | None]:
    """What somebody tried to set the setting to, and why that could not be."""
    text = asked.fields.get("value", "")
    if asked.text("key") == key.name:
        try:
            value_from(layout, key.name, text)
        except UsageError as error:
            return text, error
    return text, None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
