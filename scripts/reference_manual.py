"""docs/reference/holdfast.1: the manual page, from the commands as click knows them."""

import re
import textwrap
from collections.abc import Iterable

import click
from reference_commands import SHARED, examples_of, walk
from reference_library import STATUSES
from reference_settings import VARIABLES
from reference_text import markdown

from holdfast import __version__
from holdfast.cli.main import holdfast as root

_CHANGED = "2026-11-25"  # when the shape of the page was changed last
_DESCRIPTION = """Holdfast keeps the folder of a person's AI agents and MCP servers whole, on
their own machine: registries, durable workflows, queues, events and logs, backups that are proven
by restoring them, and a way back from what a command or an agent destroyed.

`holdfast demo` tells the whole story on a throw-away workspace. `holdfast init` makes a workspace,
`holdfast adopt` takes an existing folder as one, `holdfast status` shows everything at a glance."""

_FILES = {
    "configs/holdfast.json": "the workspace's settings; see `holdfast config`",
    ".holdfast/": "what Holdfast keeps of the workspace: state, quarantine, undo points",
    "configs/agents/agent-registry.json": "the agents",
    "configs/mcp/mcp-registry.json": "the MCP servers",
    "logs/": "JSON lines, a file for each component",
    "../backups/": "the vault of snapshots, in a folder named like the workspace",
}


def manual_page() -> str:
    """The whole page, in the man(7) macros."""
    everywhere = click.Context(root, info_name="holdfast")
    commands = list(walk(root, everywhere))
    lines = [
        f'.TH HOLDFAST 1 "{_CHANGED}" "Holdfast {__version__}" "User Commands"',
        ".SH NAME",
        rf"holdfast \- {_plain(_within_a_line(markdown(root.help)))}",
        ".SH SYNOPSIS",
        r"\fBholdfast\fR \fICOMMAND\fR [\fIARGUMENT\fR ...] [\fIOPTION\fR ...]",
        ".SH DESCRIPTION",
        *_told(_DESCRIPTION),
        ".SH OPTIONS OF EVERY COMMAND",
    ]
    _, any_command, context = next(
        each for each in commands if not isinstance(each[1], click.Group)
    )
    lines += _options([each for each in any_command.params if each.name in SHARED], context)
    lines += [".SH COMMANDS"]
    for each in commands:
        lines += _command(*each)
    lines += [".SH EXIT STATUS", *_tagged(STATUSES.items())]
    lines += [".SH ENVIRONMENT", *_tagged(VARIABLES.items())]
    lines += [".SH FILES", *_tagged(_FILES.items())]
    return "\n".join(lines)


def _command(path: str, command: click.Command, context: click.Context) -> list[str]:
    lines = [f".SS {_plain(path)}", *_told(markdown(command.help))]
    if isinstance(command, click.Group):
        return lines
    usage = " ".join(command.collect_usage_pieces(context))
    lines += [".P", rf"\fB{_plain(path)}\fR {_plain(usage)}"]
    lines += _options([each for each in command.params if each.name not in SHARED], context)
    return [*lines, ".P", "Examples:", ".RS 4", *_verbatim(examples_of(command)), ".RE"]


def _options(parameters: list[click.Parameter], context: click.Context) -> list[str]:
    options = [each for each in parameters if isinstance(each, click.Option)]
    return _tagged(filter(None, (each.get_help_record(context) for each in options)))


def _tagged(pairs: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    for tag, meaning in pairs:
        lines += [".TP", rf"\fB{_plain(tag)}\fR", *_inline(meaning)]
    return lines


def _told(text: str) -> list[str]:
    """Paragraphs, lists and indented blocks of Markdown."""
    lines: list[str] = []
    for block in text.split("\n\n"):
        if block.startswith("    "):
            lines += [".P", *_verbatim(re.sub(r"^    ", "", block, flags=re.MULTILINE))]
            continue
        for item in re.split(r"^(?=- )", block, flags=re.MULTILINE):
            if item.startswith("- "):
                lines += [r".IP \(bu 2", *_inline(item[2:])]
            elif item:
                lines += [".P", *_inline(item)]
    return lines[1:] if lines[:1] == [".P"] else lines


def _verbatim(text: str) -> list[str]:
    return [".EX", *(_plain(line) for line in text.splitlines()), ".EE"]


def _inline(text: str) -> list[str]:
    """A paragraph with its code in bold, in lines that a roff file should have."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", _plain(text))
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    return [_guarded(line) for line in lines]


def _within_a_line(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:].rstrip(".")


def _plain(text: str) -> str:
    """Text that roff takes as it is: nothing of it is a request or a special character."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti")
    text = text.replace("^", r"\(ha").replace("'", r"\(aq")
    text = "".join(each if ord(each) < 128 else f"\\[u{ord(each):04X}]" for each in text)
    return _guarded(text)


def _guarded(line: str) -> str:
    return rf"\&{line}" if line.startswith((".", "'")) else line
