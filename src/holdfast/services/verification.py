"""Checking the configuration of a workspace, and whether its servers really work.

`verify_configuration` starts nothing: each registry and each client's file is read strictly, and
every entry is looked at for what would keep it from working. `verify_servers` then shakes hands.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.documents import read_document
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.registry.clients.blocks import ServerBlock, blocks_of, fixed_blocks
from holdfast.registry.clients.rendering import rendered, why_not
from holdfast.registry.clients.syncing import vanished
from holdfast.registry.server_entries import CLIENTS, SERVERS
from holdfast.services.environment import refers_to_secret, resolve
from holdfast.services.handshake import TIMEOUT, Health, check_servers
from holdfast.services.last_verified import remember_verified
from holdfast.services.server_diagnostics import diagnose
from holdfast.workspace.layout import Layout


class Finding(msgspec.Struct, frozen=True):
    """One thing that was checked. `problem` is None when it is in order.

    `subject` is the file, agent or server; `hint` is the next thing to do about a problem or a
    `note`, which says what deserves a look and keeps nothing from working.
    """

    subject: str
    problem: str | None = None
    hint: str | None = None
    note: str | None = None


def verify_configuration(workspace: Workspace) -> list[Finding]:
    """Check every configuration file of the workspace and of the home around it."""
    return [
        *_verify_agents(workspace),
        *_verify_environment(workspace.layout),
        *verify_server_settings(workspace),
    ]


def verify_server_settings(workspace: Workspace) -> list[Finding]:
    """Check the server registry and both clients' files, without starting anything."""
    return [*_verify_server_registry(workspace), *_verify_clients(workspace)]


def verify_servers(
    workspace: Workspace, names: Sequence[str] = (), *, timeout: float = TIMEOUT
) -> list[Health]:
    """Shake hands with every active server of the registry and of the clients, or those named.

    A client's server counts beside the registry's where it has other settings. Files that cannot
    be read are left out: `verify_server_settings` tells of them. Raises `NotFoundError` for a name
    that nobody knows. How each did is remembered for `last_verified`.
    """
    layout = workspace.layout
    servers = _servers_to_check(workspace)
    if names:
        known = {label.partition(" ")[0] for label in servers}
        unknown = [name for name in names if name not in known]
        if unknown:
            hint = f"list them with: {SERVERS.command} list"
            what = "no active server that Claude Code can start is called"
            raise NotFoundError(f"{what} {unknown[0]!r}", hint=hint)
        servers = {label: each for label, each in servers.items() if label.split(" ")[0] in names}
    environment, hidden = _environment_with_secrets(workspace)
    results = check_servers(
        servers, root=layout.root, environment=environment, hidden=hidden, timeout=timeout
    )
    with suppress(HoldfastError):  # a full disk must not hide what was found
        remember_verified(layout, results, all_of_them=not names)
    return results


def _environment_with_secrets(workspace: Workspace) -> tuple[dict[str, str], list[str]]:
    """`server_environment` with its secrets, and their values. One that is not here is missing."""
    environment, hidden = server_environment(workspace.layout), []
    for name, text in list(environment.items()):
        if name in os.environ or not refers_to_secret(text, ()):
            continue
        try:
            environment[name] = resolve(text, environment, workspace.secrets.get, name)
            hidden.append(environment[name])
        except HoldfastError:
            del environment[name]
    return environment, hidden


def server_environment(layout: Layout) -> dict[str, str]:
    """The variables that a server finds: this process's, and those of ``environment.json``."""
    try:
        data = read_document(layout.environment).data
    except HoldfastError:
        data = {}
    return {**{key: value for key, value in data.items() if isinstance(value, str)}, **os.environ}


def _servers_to_check(workspace: Workspace) -> dict[str, dict[str, Any]]:
    layout = workspace.layout
    chosen: dict[str, dict[str, Any]] = {}
    try:
        registered = workspace.servers.list()
    except HoldfastError:
        registered = []
    for server in registered:
        if server.status == "active" and why_not(server, "code") is None:
            chosen[server.id] = rendered(server, "code", layout.root)
    for block, servers in _readable_blocks(layout):
        for name, settings in servers.items():
            startable = isinstance(settings, dict) and (
                isinstance(settings.get("command"), str) or isinstance(settings.get("url"), str)
            )
            known = [each for label, each in chosen.items() if label.partition(" ")[0] == name]
            if startable and not any(_same(settings, each) for each in known):
                chosen[name if name not in chosen else f"{name} ({block.scope})"] = settings
    return chosen


def _same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    def essence(each: dict[str, Any]) -> str:
        kept = {key: value for key, value in each.items() if value and key != "type"}
        return json.dumps(kept, sort_keys=True)

    return essence(first) == essence(second)


def _readable_blocks(layout: Layout) -> Iterator[tuple[ServerBlock, dict[str, Any]]]:
    for client in CLIENTS:
        try:
            blocks = blocks_of(client, layout)
        except HoldfastError:
            continue
        for block in blocks:
            try:
                yield block, block.read()
            except HoldfastError:
                continue


def _from_error(subject: Path, error: HoldfastError) -> Finding:
    text = str(error).removeprefix(f"{error.path}: ")
    return Finding(str(subject), text)


def _verify_agents(workspace: Workspace) -> Iterator[Finding]:
    registry = workspace.registry
    try:
        problems = registry.validate()
        wrong = {problem.id for problem in problems}
        yield Finding(str(registry.path))
        sound = [agent.id for agent in registry.list() if agent.id not in wrong]
        yield from (Finding(f"agent {agent_id}") for agent_id in sound)
        yield from (Finding(f"agent {problem.id}", problem.message) for problem in problems)
    except HoldfastError as error:
        yield _from_error(registry.path, error)


def _verify_environment(layout: Layout) -> Iterator[Finding]:
    try:
        data = read_document(layout.environment).data
    except NotFoundError:
        return
    except HoldfastError as error:
        yield _from_error(layout.environment, error)
        return
    wrong = [name for name, value in data.items() if not isinstance(value, str)]
    problem = f"not a string: {', '.join(wrong)}" if wrong else None
    yield Finding(
        str(layout.environment), problem, "write each value as a string" if wrong else None
    )


def _verify_server_registry(workspace: Workspace) -> Iterator[Finding]:
    registry, layout = workspace.servers, workspace.layout
    try:
        servers = registry.list()
    except HoldfastError as error:
        yield _from_error(registry.path, error)
        return
    yield Finding(str(registry.path))
    for server in servers:
        settings = server.settings
        if why_not(server, "code") is None:
            settings = rendered(server, "code", layout.root)
        where = f"server {server.id} ({registry.path}: {server.group})"
        findings = _verify_server(server.id, settings, where, layout)
        for each in findings:
            if server.status != "active" and each.problem is not None:  # nobody gets it yet
                each = Finding(each.subject, None, each.hint, f"inactive; {each.problem}")
            yield each


def _verify_clients(workspace: Workspace) -> Iterator[Finding]:
    layout = workspace.layout
    readable: dict[Path, bool] = {}
    found: dict[str, list[tuple[ServerBlock, Any]]] = {}
    for block in _client_blocks(layout):
        if block.path not in readable:
            finding = _verify_file(block)
            if finding is not None:
                yield finding
            readable[block.path] = finding is not None and finding.problem is None
        if not readable[block.path]:
            continue
        servers = block.read()
        yield from _verify_twins(block, servers)
        for name, settings in servers.items():
            found.setdefault(name, []).append((block, settings))
            where = f"server {name} ({block.path}: {block.scope})"
            yield from _verify_server(name, settings, where, layout)
    yield from _verify_scopes(found)
    yield from _verify_synced(layout)


def _verify_synced(layout: Layout) -> Iterator[Finding]:
    try:
        lost = vanished(layout)
    except HoldfastError:
        return  # told above
    for path, names in lost.items():
        note = f"synced once, and missing now: {', '.join(names)}"
        yield Finding(str(path), note=note, hint="holdfast servers sync")


def _client_blocks(layout: Layout) -> Iterator[ServerBlock]:
    """The blocks of both clients; of an unreadable ``.claude.json`` its first one."""
    for client in CLIENTS:
        try:
            yield from blocks_of(client, layout)
        except HoldfastError:
            yield from fixed_blocks(layout)


def _verify_file(block: ServerBlock) -> Finding | None:
    """Whether a client's file can be read; None when there is none."""
    try:
        data = block.file.read()
        block.read()
    except NotFoundError:
        return None
    except HoldfastError as error:
        return _from_error(block.path, error)
    if block.scope == "project" and "mcpServers" not in data:
        problem, hint = "the object mcpServers is missing", 'wrap the servers in "mcpServers"'
        return Finding(str(block.path), problem, hint)
    return Finding(str(block.path))


def _verify_twins(block: ServerBlock, servers: dict[str, Any]) -> Iterator[Finding]:
    folded: dict[str, str] = {}
    for name in servers:
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            note = f"the servers {twin} and {name} differ in case only"
            yield Finding(str(block.path), note=note, hint="rename one of them")


def _verify_scopes(found: dict[str, list[tuple[ServerBlock, Any]]]) -> Iterator[Finding]:
    for name, places in found.items():
        code = [(block, settings) for block, settings in places if block.client == "code"]
        if any(settings != code[0][1] for _, settings in code[1:]):
            scopes = ", ".join(block.scope for block, _ in code)
            note = f"stands with different settings in the scopes {scopes}"
            yield Finding(f"server {name}", note=note, hint=f"the {code[0][0].scope} one counts")


def _verify_server(name: str, settings: Any, subject: str, layout: Layout) -> Iterator[Finding]:
    environment = server_environment(layout)
    diagnoses = diagnose(name, settings, root=layout.root, environment=environment)
    for each in diagnoses:
        problem, note = (each.problem, None) if each.blocks else (None, each.problem)
        yield Finding(subject, problem, each.hint, note)
    if not diagnoses:
        yield Finding(subject)
