"""A real handshake with servers: started, spoken to in either era of the protocol, ended.

``server/discover`` is tried first (2026-07-28), then ``initialize``; a server that does not survive
the first is started again for the second.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from holdfast.claude.masking import mask_text
from holdfast.claude.variables import expand, missing_variables
from holdfast.services.first_messages import meet
from holdfast.services.server_diagnostics import find_command
from holdfast.services.server_process import ServerProcess
from holdfast.services.stderr_hints import hint_in, speaks_of_variable

TIMEOUT = 30.0  # seconds, as the client's; each era of the protocol gets half of it

_AT_ONCE = 32
_MOST_PAGES = 100
_FLOOD = 1 << 20  # bytes without an answer among them
_CLOSE = 3.0  # seconds for a remote server to say goodbye


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """How a server did: `problem` and `hint` when it failed, with the tail of its stderr.

    `seconds` is the time until its tools were listed, `notes` what does not keep it from working.
    """

    name: str
    healthy: bool
    seconds: float
    protocol: str | None = None
    server: str | None = None
    tools: int = 0
    problem: str | None = None
    hint: str | None = None
    stderr: str = ""
    notes: list[str] = []


def check_servers(
    servers: Mapping[str, Mapping[str, Any]],
    *,
    root: Path,
    environment: Mapping[str, str] | None = None,
    hidden: Sequence[str] = (),
    timeout: float = TIMEOUT,
) -> list[Health]:
    """Start and ask every server (settings by name) at the same time; each has ended on return.

    The texts `hidden`, secrets of the environment, are in nothing that is told.
    """
    found = asyncio.run(_check_all(servers, root, environment or os.environ, timeout))
    return [_without(hidden, each) for each in found]


async def _check_all(
    servers: Mapping[str, Mapping[str, Any]],
    root: Path,
    environment: Mapping[str, str],
    timeout: float,
) -> list[Health]:
    places = asyncio.Semaphore(_AT_ONCE)
    logger = logging.getLogger("mcp")
    was = logger.disabled, logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        return await asyncio.gather(
            *(
                _Check(name, settings, root, environment, timeout, places).run()
                for name, settings in servers.items()
            )
        )
    finally:
        logger.disabled, level = was
        logger.setLevel(level)


class _Check:
    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        root: Path,
        environment: Mapping[str, str],
        timeout: float,
        places: asyncio.Semaphore,
    ) -> None:
        self.name = name
        self.missing = missing_variables(settings, environment)
        self.settings = {key: expand(value, environment) for key, value in settings.items()}
        self.root = root
        self.environment = {**environment, **(self.settings.get("env") or {})}
        self.timeout = timeout
        self._again = False  # whether the older era may fare better
        self._places = places
        self._began = time.monotonic()

    async def run(self) -> Health:
        if self.missing:
            return self._failed(
                f"missing environment variables: {', '.join(self.missing)}",
                f"set {self.missing[0]}, or give it a default: ${{{self.missing[0]}:-…}}",
            )
        async with self._places:
            self._began = time.monotonic()
            if self.settings.get("url") and not self.settings.get("command"):
                return await self._remote()
            health = await self._local(older=False)
            if health.healthy or not self._again:
                return health
            second = await self._local(older=True)
            return second if second.healthy else health

    async def _local(self, *, older: bool) -> Health:
        program = find_command(self.settings["command"], self.root, self.environment.get("PATH"))
        if program is None:
            problem = f"the command {self.settings['command']!r} is not found"
            return self._failed(problem, "install it, or give its full path")
        try:
            process = await ServerProcess.start(
                program, self.settings.get("args") or [], self.environment, self.root
            )
        except OSError as error:
            return self._failed(f"it cannot be started: {error.strerror}", None)
        failure: BaseException | None = None
        found: Health | None = None
        try:
            async with asyncio.timeout(self.timeout / 2):
                found = self._found(*await meet(process, older=older))
        except Exception as error:
            failure = error
            await process.settle()
        exit_status = process.exit_status
        await process.end()
        self._again = exit_status is not None or _is_timeout(failure)
        notes = []
        if process.rubbish is not None:
            shown = self._scrubbed(process.rubbish)
            notes.append(f"prints {shown!r} on standard output, where only messages belong")
        if found is not None:
            return msgspec.structs.replace(found, notes=notes)
        return self._explain(process, exit_status, failure)

    async def _remote(self) -> Health:
        import httpx2
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        url, headers = self.settings["url"], self.settings.get("headers") or {}
        try:
            if self.settings.get("type") == "sse":
                return await self._ask(sse_client(url, headers=headers))
            client = create_mcp_http_client(headers=headers, timeout=httpx2.Timeout(self.timeout))
            async with client:
                return await self._ask(streamable_http_client(url, http_client=client))
        except Exception as error:
            return self._explain_remote(_root_cause(error))

    async def _ask(self, transport: Any) -> Health:
        """Meet a remote server by the SDK's client, which knows their transports."""
        from mcp.client.client import Client

        client = Client(transport, mode="auto", cache=None)
        limit = asyncio.get_running_loop().time() + self.timeout / 2
        async with asyncio.timeout_at(limit):
            await client.__aenter__()
        try:
            async with asyncio.timeout_at(limit):
                tools = await _count_tools(client)
            info = client.server_info
            name = f"{info.name} {info.version}".strip() if info else None
            return self._found(client.protocol_version, name, tools)
        finally:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE):
                    await client.__aexit__(None, None, None)

    def _found(self, protocol: str, server: str | None, tools: int) -> Health:
        seconds = round(time.monotonic() - self._began, 3)
        return Health(self.name, True, seconds, protocol=protocol, server=server, tools=tools)

    def _explain(
        self, process: ServerProcess, exit_status: int | None, failure: BaseException | None
    ) -> Health:
        stderr = self._scrubbed(process.stderr)
        hint = hint_in(process.stderr)
        if process.flooded or (exit_status is None and process.output > _FLOOD):
            amount = f"{process.output / 1e6:.1f} MB, {process.rubbish_lines} lines"
            problem = f"it floods its output: {amount} and no answer"
            hint = hint or "it must print nothing but messages on standard output"
        elif exit_status is not None:
            how = f"signal {-exit_status}" if exit_status < 0 else f"status {exit_status}"
            problem = f"it exited with {how} before it answered"
            if speaks_of_variable(hint):
                problem += ": a variable is missing"
            hint = hint or "run its command by hand to see why"
        elif process.rubbish is not None:
            problem = (
                f"it prints {self._scrubbed(process.rubbish)!r} on standard output, and no answer"
            )
            hint = "send logs to standard error: standard output is for messages only"
        elif _is_timeout(failure):
            problem = f"it hangs: no answer within {self.timeout:g} s"
            hint = hint or "run its command by hand; or give it more time with --timeout"
        else:
            problem = f"the handshake failed: {_root_cause(failure)}"
        return self._failed(problem, hint, stderr)

    def _scrubbed(self, text: str) -> str:
        """`text` without the secrets that this server was given."""
        for key in ("env", "headers"):
            for name, value in (self.settings.get(key) or {}).items():
                if len(value) >= 6 and mask_text(value, name) != value:
                    text = text.replace(value, mask_text(value, name))
        return mask_text(text)

    def _explain_remote(self, cause: BaseException | None) -> Health:
        text = self._scrubbed(str(cause) or type(cause).__name__)
        if _is_timeout(cause):
            return self._failed(f"it hangs: no answer within {self.timeout:g} s", None)
        if "401" in text or "403" in text:
            return self._failed(f"it refused: {text}", "check the Authorization header")
        hint = "is it running? check the url" if "onnect" in text else None
        return self._failed(f"it cannot be reached: {text}", hint)

    def _failed(self, problem: str, hint: str | None, stderr: str = "") -> Health:
        seconds = round(time.monotonic() - self._began, 3)
        return Health(self.name, False, seconds, problem=problem, hint=hint, stderr=stderr)


def _without(hidden: Sequence[str], health: Health) -> Health:
    def scrubbed(text: str) -> str:
        for secret in filter(None, hidden):
            text = text.replace(secret, "••••")
        return text

    return msgspec.structs.replace(
        health,
        problem=health.problem and scrubbed(health.problem),
        stderr=scrubbed(health.stderr),
        notes=[scrubbed(note) for note in health.notes],
    )


def healthy(results: Sequence[Health]) -> bool:
    """Whether all are."""
    return all(each.healthy for each in results)


async def _count_tools(client: Any) -> int:
    from mcp.shared.exceptions import MCPError

    count, cursor = 0, None
    for _ in range(_MOST_PAGES):
        try:
            page = await client.list_tools(cursor=cursor)
        except MCPError as error:
            if client.server_capabilities.tools is None and error.error.code == -32601:
                return 0  # it has none, and says so by not knowing the question
            raise
        count += len(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    return count


def _root_cause(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def _is_timeout(error: BaseException | None) -> bool:
    cause = _root_cause(error)
    return isinstance(cause, TimeoutError) or "imed out" in str(cause)
