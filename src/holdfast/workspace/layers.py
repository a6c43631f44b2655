"""Where a setting comes from: layers of documents, each of which overrides those before it.

::

    default         built in
    home            <home>/.holdfast.json           for all workspaces of the person
    claude          <home>/.claude/holdfast.json    beside the person's settings of Claude
    workspace       configs/holdfast.json
    environment     HOLDFAST_QUEUES_URL=…           the key in capitals
    command line    --set queues.url=…

Objects are merged key by key; any other value replaces the weaker one. ``$schema`` and
``$comment`` may stand anywhere and mean nothing.
"""

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from holdfast.durable.documents import FORMAT_KEY, Document, convert, read_document
from holdfast.errors import NotFoundError, UsageError
from holdfast.workspace.layout import Layout

Schema = TypeVar("Schema")

_PREFIX = "HOLDFAST_"
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MARKS = ("$schema", "$comment")


class Key(NamedTuple):
    """A setting that exists: its dotted name, its type and what it means.

    `within` is the name of the object of which it is one item, as in ``space.budgets.logs``.
    """

    name: str
    type: Any
    meaning: str
    within: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """The keys that lead to it. An item's own may contain dots."""
        if not self.within:
            return tuple(self.name.split("."))
        return *self.within.split("."), self.name[len(self.within) + 1 :]

    @property
    def variable(self) -> str:
        """The environment variable that sets it, e.g. ``HOLDFAST_QUEUES_URL``."""
        return _PREFIX + _HUMP.sub("_", self.name).replace(".", "_").upper()

    def read(self, text: str) -> Any:
        """The value that `text` means: JSON if that is of the right type, else the text itself.

        Raises `UsageError` when neither is.
        """
        for value in _readings(text):
            try:
                msgspec.convert(value, self.type)
            except msgspec.ValidationError as error:
                # People are helped by what the setting means, not by a regular expression.
                problem, _, pattern = str(error).partition(" matching regex ")
                problem = "it is not of the right form" if pattern else problem
            else:
                return value
        raise UsageError(f"{self.name} cannot be {text!r}: {problem}", hint=self.meaning or None)


class Layer(NamedTuple):
    """One source of values; `document` is None for one that is no file."""

    name: str
    data: dict[str, Any]
    place: str = ""
    document: Document | None = None


def files_of(layout: Layout) -> dict[str, Path]:
    """The files that may hold settings, by the name of their layer, the weakest first."""
    return {
        "home": layout.home / ".holdfast.json",
        "claude": layout.home / ".claude" / "holdfast.json",
        "workspace": layout.settings,
    }


def read_layers(
    layout: Layout,
    schema: type[msgspec.Struct],
    default: dict[str, Any],
    assignments: Sequence[str] = (),
) -> list[Layer]:
    """All layers that say something, the weakest first; `assignments` are ``KEY=VALUE`` texts.

    Raises `UnreadableError` for a file that cannot be read, `UsageError` for a wrong assignment.
    """
    keys = {key.name: key for key in keys_of(schema)}
    files = (read_file(name, path) for name, path in files_of(layout).items())
    return [
        Layer("default", default),
        *(layer for layer in files if layer is not None),
        *_environment(keys),
        *_command_line(keys, assignments),
    ]


def read_file(name: str, path: Path) -> Layer | None:
    """The layer of one file, None when there is none. Raises `UnreadableError`."""
    try:
        document = read_document(path)
    except NotFoundError:
        return None
    return Layer(name, _without_marks(document.data), str(path), document)


def convert_layers(layers: list[Layer], schema: type[Schema]) -> Schema:
    """The layers as one typed value. Raises `UnreadableError` with file, line and key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer.data)
        if layer.document is not None:
            # The weaker layers were in order, so what is wrong now is wrong in this file.
            convert(dataclasses.replace(layer.document, data=merged), schema)
    return msgspec.convert(merged, schema)


def merge(weaker: dict[str, Any], stronger: dict[str, Any]) -> dict[str, Any]:
    """Both together; where both say something that is no object, the stronger one."""
    merged = dict(weaker)
    for key, value in stronger.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = merge(below, value)
        merged[key] = value
    return merged


def look_up(data: dict[str, Any], path: Sequence[str]) -> Any:
    """What the setting of that `path` has in `data`; None when it is not there."""
    value: Any = data
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def leaves(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no object, by its dotted name."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def keys_of(schema: type[msgspec.Struct], prefix: str = "") -> Iterator[Key]:
    """Every setting that `schema` declares, sections followed into."""
    for field in msgspec.structs.fields(schema):
        if field.encode_name == FORMAT_KEY:
            continue  # of the file, not of the workspace
        name = f"{prefix}{field.encode_name}"
        inner, meaning = described(field.type)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from keys_of(inner, f"{name}.")
        else:
            yield Key(name, inner, meaning)


def item_of(keys: Iterable[Key], name: str) -> Key | None:
    """The item called `name` (dotted) of one of `keys` that are objects of any items."""
    for key in keys:
        if get_origin(key.type) is not dict or not name.startswith(f"{key.name}."):
            continue
        item, meaning = get_args(key.type)[1], key.meaning
        if not (isinstance(item, type) and issubclass(item, msgspec.Struct)):
            return Key(name, item, meaning, within=key.name)
        above = ".".join(name.split(".")[: key.name.count(".") + 2])
        if above == name:
            return Key(name, item, meaning)
        return next((each for each in keys_of(item, f"{above}.") if each.name == name), None)
    return None


def unknown_keys(layer: Layer, schema: type[msgspec.Struct]) -> list[str]:
    """The dotted names in `layer` that no setting has, e.g. misspelt ones."""
    known = {key.name for key in keys_of(schema)}
    return [
        name
        for name, _ in leaves(layer.data)
        if name != FORMAT_KEY
        and not any(name == key or name.startswith(f"{key}.") for key in known)
    ]


def _environment(keys: dict[str, Key]) -> Iterator[Layer]:
    for key in keys.values():
        text = os.environ.get(key.variable)
        if text is not None:
            yield Layer("environment", _nested(key.path, key.read(text)), key.variable)


def _command_line(keys: dict[str, Key], assignments: Sequence[str]) -> Iterator[Layer]:
    for text in assignments:
        name, mark, value = text.partition("=")
        key = keys.get(name) or item_of(keys.values(), name)
        if not mark or key is None:
            hint = "give KEY=VALUE; the keys are in: holdfast config show"
            raise UsageError(f"--set {text!r} sets nothing", hint=hint)
        yield Layer("command line", _nested(key.path, key.read(value)), "--set")


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def _readings(text: str) -> Iterator[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        yield text
        return
    yield value
    if not isinstance(value, (list, dict)):  # a list of wrong things is not meant as a name
        yield text


def _without_marks(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_marks(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if key not in _MARKS
    }


def described(annotation: Any) -> tuple[Any, str]:
    """The type without what is noted beside it, and the description that was noted."""
    if get_origin(annotation) is not Annotated:
        return annotation, ""
    inner, *notes = get_args(annotation)
    texts = (note.description for note in notes if isinstance(note, msgspec.Meta))
    return inner, next(filter(None, texts), "")
