"""MCP servers: checking them, and writing them into a client's file."""

from benchmarks.cases import Case, Program, Side, milliseconds_each

_OURS = Program("servers", "benchmarks.ours.servers")
_CLAUDE = Program("servers", "benchmarks.peers.claude_servers", requirement="claude")
_JSON = Program("servers", "benchmarks.peers.json_servers")


def cases(quick: bool) -> list[Case]:
    """The rows."""
    servers = {"servers": 2 if quick else 20}
    file = {"servers": 100, "megabytes": 1 if quick else 20}
    return [
        Case(
            name="servers/verify",
            what=f"start {servers['servers']} local servers, shake hands, list their tools",
            unit="ms",
            survives="nothing asked",
            ours=Side("holdfast servers verify", _OURS, "verify", "-", servers),
            peers=(Side("claude mcp list", _CLAUDE, "verify", "-", servers),),
            figure=milliseconds_each,
            more_is_better=False,
        ),
        Case(
            name="servers/sync",
            what=f"write 100 servers into a .claude.json of {file['megabytes']} MB (CPU)",
            unit="ms",
            survives="a power cut",
            ours=Side("holdfast", _OURS, "sync", "lock, atomic, bytes kept, undo kept", file),
            peers=(
                Side("json load + dump", _JSON, "sync", "fsync in place, torn by a crash", file),
            ),
            figure=milliseconds_each,
            more_is_better=False,
        ),
    ]
