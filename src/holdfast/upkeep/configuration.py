"""What people do with settings: look at them with their origin, change one, check the files."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from holdfast.claude.guest_file import GuestFile, Put
from holdfast.durable.documents import position_in
from holdfast.durable.files import make_folder
from holdfast.engines.urls import without_password
from holdfast.errors import HoldfastError, NotFoundError, UnreadableError
from holdfast.workspace.layers import (
    Key,
    Layer,
    convert_layers,
    files_of,
    keys_of,
    look_up,
    merge,
    read_file,
    unknown_keys,
)
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import (
    SettingsDocument,
    defaults,
    read_settings,
    settings_layers,
)


class Value(NamedTuple):
    """A setting as it stands: what it is, and the layer it comes from."""

    key: Key
    data: Any
    layer: Layer

    @property
    def shown(self) -> Any:
        """The value as it may be shown: passwords in URLs are not."""
        return without_password(self.data) if isinstance(self.data, str) else self.data

    @property
    def text(self) -> str:
        """The value in a line: a text as it is, all else as JSON."""
        shown = self.shown
        return shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()


def values_of(layout: Layout, assignments: tuple[str, ...] = ()) -> list[Value]:
    """Every setting. Raises `UnreadableError`, `UsageError`."""
    layers = settings_layers(layout, assignments)
    convert_layers(layers, SettingsDocument)
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.data)
    found = ((key, look_up(merged, key.name)) for key in keys_of(SettingsDocument))
    return [Value(key, data, _origin(layers, key)) for key, data in found if data is not None]


def _origin(layers: list[Layer], key: Key) -> Layer:
    """The strongest layer that says something of the setting."""
    said = [layer for layer in layers if look_up(layer.data, key.name) is not None]
    return said[-1]


def value_of(layout: Layout, name: str, assignments: tuple[str, ...] = ()) -> Value:
    """One setting. Raises `NotFoundError` for one that does not exist."""
    key = find_key(name)
    return next(value for value in values_of(layout, assignments) if value.key == key)


def find_key(name: str) -> Key:
    """The setting called `name`. Raises `NotFoundError`, with what was probably meant."""
    keys = {key.name: key for key in keys_of(SettingsDocument)}
    if name in keys:
        return keys[name]
    hint = _meant(name, list(keys)) or "see: holdfast config show"
    raise NotFoundError(f"there is no setting {name!r}", hint=hint)


def change_setting(layout: Layout, name: str, text: str, *, in_home: bool = False) -> Path:
    """Set one value in ``configs/holdfast.json``, or for all workspaces in the home's file.

    All else in the file stays byte for byte. Returns the file. Raises `NotFoundError` for an
    unknown setting, `UsageError` for a value that cannot be, `UnreadableError` for a file that
    cannot be read; then nothing is changed.
    """
    value = value_from(layout, name, text)
    path = files_of(layout)["home" if in_home else "workspace"]
    if read_file("", path) is None:
        make_folder(path.parent)
    GuestFile(path, lock="none").edit([Put(tuple(name.split(".")), value)])
    return path


def value_from(layout: Layout, name: str, text: str) -> Any:
    """The value that `text` means for the setting `name`.

    Raises `NotFoundError` for an unknown setting; `UsageError` for a value of the wrong type, or
    one with which the settings could not be read any more.
    """
    value = find_key(name).read(text)
    try:
        read_settings(layout, (f"{name}={text}",))
    except HoldfastError:
        if _is_readable(layout):  # else it may be mended bit by bit
            raise
    return value


def _is_readable(layout: Layout) -> bool:
    try:
        read_settings(layout)
    except HoldfastError:
        return False
    return True


def check_settings(layout: Layout) -> list[HoldfastError]:
    """What is wrong with the files of settings: unreadable, of a wrong type, an unknown key."""
    problems: list[HoldfastError] = []
    for name, path in files_of(layout).items():
        try:
            layer = read_file(name, path)
            if layer is None:
                continue
            convert_layers([Layer("default", defaults(layout)), layer], SettingsDocument)
        except HoldfastError as error:
            problems.append(error)
            continue
        problems += [_unknown(layer, key) for key in unknown_keys(layer, SettingsDocument)]
    if not problems:
        try:
            read_settings(layout)
        except HoldfastError as error:
            problems.append(error)  # of right types, and yet no engine or place there is
    return problems


def _unknown(layer: Layer, name: str) -> UnreadableError:
    assert layer.document is not None
    at = position_in(layer.document, tuple(name.split(".")))
    return UnreadableError(
        f"there is no setting {name!r}",
        path=layer.place,
        hint=_meant(name, [key.name for key in keys_of(SettingsDocument)]),
        line=at.line,
        column=at.column,
    )


def _meant(name: str, known: list[str]) -> str | None:
    close = get_close_matches(name, known, 1)
    return f"perhaps {close[0]!r} is meant" if close else None
