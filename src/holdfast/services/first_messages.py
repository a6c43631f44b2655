"""The first messages with a stdio server, in either era of the protocol: who are you, which tools?

They are few, and importing the SDK takes longer than most servers take to answer; so they are said
here. Tests hold this to what the SDK's own client says and finds.
"""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

import msgspec

import holdfast
from holdfast.services.server_process import ServerProcess

NEWER = "2026-07-28"
OLDER = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

_UNKNOWN_METHOD, _UNKNOWN_VERSION = -32601, -32022
_MOST_PAGES = 100
_META = "io.modelcontextprotocol/"

Answer = TypeVar("Answer", bound=msgspec.Struct)


class Met(NamedTuple):
    """What a server said of itself, and how many tools it has."""

    protocol: str
    server: str | None
    tools: int


class RefusedError(Exception):
    """The server answered with an error of its own, or with what the protocol does not know."""

    def __init__(self, message: str, code: int = 0, supported: list[str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.supported = supported


class _Named(msgspec.Struct):
    name: str
    version: str = ""


class _Capabilities(msgspec.Struct):
    tools: dict[str, Any] | None = None


class _Discovered(msgspec.Struct, rename="camel"):
    supported_versions: list[str]
    capabilities: _Capabilities
    meta: dict[str, Any] = msgspec.field(name="_meta", default_factory=dict)


class _Initialized(msgspec.Struct, rename="camel"):
    protocol_version: str
    capabilities: _Capabilities
    server_info: _Named


class _Tool(msgspec.Struct, rename="camel"):
    name: str
    input_schema: dict[str, Any]


class _Tools(msgspec.Struct, rename="camel"):
    tools: list[_Tool]
    next_cursor: str | None = None


async def meet(process: ServerProcess, *, older: bool) -> Met:
    """Shake hands and list the tools. ``server/discover`` is not tried with `older`.

    Raises `RefusedError`, `EOFError` when its output ended first, `OSError`.
    """
    talk = _Talk(process)
    async with aclosing(talk.messages):
        if not older and (found := await _discover(talk)) is not None:
            return found
        return await _initialize(talk)


async def _discover(talk: "_Talk") -> Met | None:
    """Meet a server of the newer era; None when it is of the older one."""
    talk.meta = {
        f"{_META}protocolVersion": NEWER,
        f"{_META}clientInfo": _client(),
        f"{_META}clientCapabilities": {},
    }
    try:
        found = await talk.ask("server/discover", _Discovered)
    except RefusedError as error:
        only = error.supported if error.code == _UNKNOWN_VERSION else None
        if only is not None and not set(only) & set(OLDER):
            raise  # it knows later versions only
        found = None
    if found is not None and NEWER in found.supported_versions:
        name = _name_of(found.meta.get(f"{_META}serverInfo"))
        return Met(NEWER, name, await _count_tools(talk, found.capabilities))
    talk.meta = None
    return None


async def _initialize(talk: "_Talk") -> Met:
    begun = {"protocolVersion": OLDER[-1], "capabilities": {}, "clientInfo": _client()}
    found = await talk.ask("initialize", _Initialized, begun)
    if found.protocol_version not in OLDER:
        raise RefusedError(f"it speaks a protocol that is not known: {found.protocol_version}")
    await talk.tell("notifications/initialized")
    tools = await _count_tools(talk, found.capabilities)
    return Met(found.protocol_version, _name_of(msgspec.to_builtins(found.server_info)), tools)


async def _count_tools(talk: "_Talk", capabilities: _Capabilities) -> int:
    count, asked = 0, dict[str, str]()
    for _ in range(_MOST_PAGES):
        try:
            page = await talk.ask("tools/list", _Tools, asked)
        except RefusedError as error:
            if capabilities.tools is None and error.code == _UNKNOWN_METHOD:
                return 0  # it has none, and says so by not knowing the question
            raise
        count += len(page.tools)
        if page.next_cursor is None:
            break
        asked = {"cursor": page.next_cursor}
    return count


class _Talk:
    """One question after the other; what the server asks meanwhile is answered."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._asked = 0
        self.messages = process.messages()
        self.meta: dict[str, Any] | None = None

    async def ask(
        self, method: str, answer: type[Answer], params: Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask, and wait for the answer, as `answer`."""
        self._asked += 1
        given = dict(params or {})
        if self.meta is not None:
            given["_meta"] = self.meta
        question: dict[str, Any] = {"jsonrpc": "2.0", "id": self._asked, "method": method}
        await self._process.send({**question, "params": given} if given else question)
        async for message in self.messages:
            if message.get("method") == method:
                raise RefusedError("it only repeats what it is told: this is no MCP server")
            if "method" in message:
                await self._answer(message)
            elif message.get("id") == self._asked:
                return _converted(message, method, answer)
        raise EOFError("it closed its standard output before it answered")

    async def tell(self, method: str) -> None:
        """Say what wants no answer."""
        await self._process.send({"jsonrpc": "2.0", "method": method})

    async def _answer(self, question: Mapping[str, Any]) -> None:
        if "id" not in question:
            return
        said: dict[str, Any] = {"result": {}}
        if question["method"] != "ping":
            said = {"error": {"code": _UNKNOWN_METHOD, "message": "not known here"}}
        await self._process.send({"jsonrpc": "2.0", "id": question["id"], **said})


def _converted(message: Mapping[str, Any], method: str, answer: type[Answer]) -> Answer:
    error = message.get("error")
    if isinstance(error, dict):
        code, data = error.get("code"), error.get("data")
        supported = data.get("supported") if isinstance(data, dict) else None
        raise RefusedError(
            f"to {method} it answered: {error.get('message')}",
            code if isinstance(code, int) else 0,
            [str(each) for each in supported] if isinstance(supported, list) else None,
        )
    try:
        return msgspec.convert(message.get("result"), answer)
    except msgspec.ValidationError as wrong:
        raise RefusedError(f"its answer to {method} is none: {wrong}") from wrong


def _client() -> dict[str, str]:
    return {"name": "holdfast", "version": holdfast.__version__}


def _name_of(named: Any) -> str | None:
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        return None
    return f"{named['name']} {named.get('version') or ''}".strip()
