"""docs/reference/settings.md: every key of the settings, from the types they are read with."""

import json
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from reference_text import code, markdown, table

from holdfast.schedule.jobs import DEFAULT_JOBS
from holdfast.workspace import layers
from holdfast.workspace.layers import Key, keys_of, look_up
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import DestinationEntry, Job, SettingsDocument, defaults

_EXAMPLE = Path("/home/ann/development")

_HEAD = f"""# Settings

`holdfast config show --origin` shows every value that holds and where it comes from;
`holdfast config set KEY VALUE` changes one; `holdfast config validate` checks the files. Their JSON
Schema is [holdfast.schema.json](../schemas/holdfast.schema.json): name it as `$schema` in the file,
and editors complete it. The defaults below are those of a workspace in `{_EXAMPLE}`.

## Keys

"""

_LAYERS = """
## Where a value comes from

The weakest first; each overrides those before it.

"""

_DESTINATIONS = """

## A destination of `backups`

A folder, an object, or a list of both. What the keys are for is told in
[Back up to several places](../howto-backups.md#destinations).

"""

_JOBS = """
## A job of `schedule`

Each key of `schedule` is the name of a job; what is left out of a default one stays as it is.

"""

_OTHERS = """
## Other environment variables

"""

VARIABLES = {
    "HOLDFAST_WORKSPACE": "the workspace of commands and `open_workspace()`, if none is named",
    "HOLDFAST_KEYRING": "`file`: secrets are kept encrypted in a file, not in the system's keyring",
    "HOLDFAST_PASSPHRASE": "the passphrase of encrypted backups; else it is asked for",
    "HOLDFAST_IDENTITY": "the file of the private key that reads encrypted backups",
    "HOLDFAST_SECRETS": "names of variables, by commas: their values never reach a log line",
    "HOLDFAST_TASK_ID": "given to what a step starts: the task id, which its log lines carry",
    "HOLDFAST_STOP_FILE": "given to services: when this file is there, it is time to end",
    "HOLDFAST_SERVICE_TOKEN": "given to services: how their supervisor recognises them",
    "HOLDFAST_FAULTS": "for tests: what fails, `<point>=<action>`; see `holdfast.durable.faults`",
    "HOLDFAST_FAULTS_TRACE": "for tests: the file that lists every fault point passed",
}


def settings_page() -> str:
    """The whole page."""
    layout = Layout(root=_EXAMPLE, home=_EXAMPLE.parent, name=_EXAMPLE.name, id="")
    values = defaults(layout)
    rows = [_row(key, look_up(values, key.name)) for key in keys_of(SettingsDocument)]
    variables = [(code(name), meaning) for name, meaning in VARIABLES.items()]
    parts = [
        _HEAD,
        table(["key", "type", "default", "meaning", "environment variable"], rows),
        _LAYERS,
        markdown(layers.__doc__).partition("\n\n")[2],
        _DESTINATIONS,
        _fields(DestinationEntry),
        _JOBS,
        _fields(Job),
        "\n",
        table(["default job", "`when`", "`run`"], map(_job, DEFAULT_JOBS)),
        _OTHERS,
        table(["variable", "meaning"], variables),
    ]
    return "".join(parts)


def _row(key: Key, default: Any) -> tuple[str, ...]:
    return code(key.name), _type(key.type), _value(default), key.meaning, code(key.variable)


def _fields(struct: type[msgspec.Struct]) -> str:
    return table(["key", "type", "default"], map(_field, msgspec.structs.fields(struct)))


def _field(field: msgspec.structs.FieldInfo) -> tuple[str, str, str]:
    default = "required" if field.required else _value(field.default)
    return code(field.encode_name), _type(field.type), default


def _job(name: str) -> tuple[str, str, str]:
    job = DEFAULT_JOBS[name]
    lines = [code(" ".join(line)) for line in job.run or ()]
    return code(name), code(job.when or ""), ", ".join(lines)


def _value(value: Any) -> str:
    if value is None or value == "":
        return "none"
    return code(value if isinstance(value, str) else json.dumps(value))


def _type(annotation: Any) -> str:
    """A type as people call it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(code(each) for each in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(each) for each in inner if each is not types.NoneType)
    if origin in (list, tuple):
        return f"list of {_plural(_type(inner[0]))}"
    if origin is dict:
        return "object"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return "object"
    return {str: "text", bool: "true or false", int: "whole number", float: "number"}[annotation]


def _plural(name: str) -> str:
    return re.sub(r"\b(text|object|list)\b", r"\1s", name)
