"""The settings of a workspace: every one of them, with its type, its meaning and its default.

This is the one place that declares them: `config show`, the JSON Schema and the reference are made
from it. Where values come from is `holdfast.workspace.layers`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from holdfast.durable.files import Durability
from holdfast.engines.urls import parse_url, url_for
from holdfast.workspace.layers import Layer, convert_layers, read_layers
from holdfast.workspace.layout import Layout


class Store(msgspec.Struct, frozen=True):
    """Where one store lives: its engine URL, and the durability of a write."""

    url: Annotated[str, Meta(description="The engine, as a URL.")]
    durability: Annotated[
        Durability,
        Meta(description="What an acknowledged write survives: kill -9, or a power cut as well."),
    ] = "process"


class SettingsDocument(msgspec.Struct, frozen=True, rename="camel"):
    """``configs/holdfast.json``, and its siblings in the home; any key may be left out."""

    workflows: Annotated[Store, Meta(description="Where runs and their steps are kept.")]
    queues: Annotated[Store, Meta(description="Where messages are kept.")]
    events: Annotated[Store, Meta(description="Where streams of events are kept.")]
    backups: Annotated[str, Meta(description="The folder of the vault; relative to the workspace.")]
    format_version: Annotated[int, Meta(description="The version of this format.")] = 1


class Settings(msgspec.Struct, frozen=True):
    """Everything that can be set for a workspace; `backups` is the folder of its vault."""

    workflows: Store
    queues: Store
    events: Store
    backups: Path


def defaults(layout: Layout) -> dict[str, Any]:
    """What holds where nothing else is said, as a document."""
    return {
        "workflows": {"url": url_for("sqlite", layout.database), "durability": "process"},
        "queues": {"url": url_for("file", layout.queues), "durability": "process"},
        "events": {"url": url_for("sqlite", layout.database), "durability": "process"},
        "backups": str(layout.backups),
    }


def settings_layers(layout: Layout, assignments: Sequence[str] = ()) -> list[Layer]:
    """Where values come from, the weakest first; `assignments` are those of this call.

    Raises `UnreadableError`, `UsageError`.
    """
    return read_layers(layout, SettingsDocument, defaults(layout), assignments)


def read_settings(layout: Layout, assignments: Sequence[str] = ()) -> Settings:
    """The settings of the workspace. Raises `UnreadableError`, `UsageError` for an unknown URL."""
    chosen = convert_layers(settings_layers(layout, assignments), SettingsDocument)
    for store in (chosen.workflows, chosen.queues, chosen.events):
        parse_url(store.url)
    return Settings(
        workflows=chosen.workflows,
        queues=chosen.queues,
        events=chosen.events,
        backups=layout.root / chosen.backups,
    )
