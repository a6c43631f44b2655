"""docs/reference/library.md and errors.md: public names with their docstrings.

Signatures are taken from the source, so that every version of Python gives the same page.
"""

import ast
import functools
import inspect
import itertools
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from reference_text import code, markdown, table

import holdfast
from holdfast import errors

_ROOMS = ("workflows", "queues", "events", "logs", "registry", "vault")

_LIBRARY = """# The library

`import holdfast` gives the names of the first section; each is loaded when it is first used. What a
room offers beyond that is imported from the room, e.g. `from holdfast.queues import Topic`. Names
that are not on this page may change in any version.

"""

_ERRORS = """# Errors and exit statuses

Every error of Holdfast is a `holdfast.HoldfastError` and names the file, the cause and the next
thing to do: `message`, `path`, `hint`. With `--json` a command prints it on standard error:

```json
{"error": {"type": "NotFoundError", "message": "…", "path": null, "hint": "…"}}
```

## Exit statuses

"""

STATUSES = {
    "0": "done, and all is in order",
    "1": "done, and something is wrong: unhealthy, a verification failed, a run failed",
    "2": "the call itself is wrong, or what it names does not exist",
    "3": "data that cannot be read: torn, corrupt, locked, of a newer format; nothing was changed",
    "4": "refused: it would destroy something and was not confirmed; nothing was changed",
    "5": "something needed is missing: an extra, an engine, a program",
    "130": "interrupted; the same command goes on from there",
}


def library_page() -> str:
    """The whole page about the library."""
    parts = [_LIBRARY, _section(holdfast, [n for n in holdfast.__all__ if n != "__version__"])]
    for room in _ROOMS:
        module = import_module(f"holdfast.{room}")
        names = [name for name in module.__all__ if name not in holdfast.__all__]
        parts += [_section(module, names)]
    return "".join(parts)


def errors_page() -> str:
    """The whole page about errors."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if module.name.endswith(("failures", "errors", "failing")):
            import_module(module.name)
    rows = [(code(status), text) for status, text in STATUSES.items()]
    listed = map(_error, _below(errors.HoldfastError))
    return "".join(
        [
            _ERRORS,
            table(["status", "meaning"], rows),
            "\n## Errors\n\nThose without a module are in `holdfast.errors`.\n\n",
            table(["error", "a kind of", "status", "meaning"], listed),
        ]
    )


def _error(kind: type[errors.HoldfastError]) -> tuple[str, str, str, str]:
    base = code(_name(kind.__mro__[1]))
    return code(_name(kind)), base, str(kind.exit_status), markdown(kind.__doc__)


def _below(kind: type[errors.HoldfastError]) -> Iterator[type[errors.HoldfastError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _below(each)


def _name(kind: type) -> str:
    public = {getattr(import_module(f"holdfast.{room}"), kind.__name__, None) for room in _ROOMS}
    if kind.__module__ in ("holdfast.errors", "builtins") or kind not in public:
        return kind.__name__
    return f"{'.'.join(kind.__module__.split('.')[:2])}.{kind.__name__}"


def _section(module: ModuleType, names: list[str]) -> str:
    entries = [_entry(name, getattr(module, name)) for name in names]
    return f"## {module.__name__}\n\n{markdown(module.__doc__)}\n\n{''.join(entries)}"


def _entry(name: str, value: Any) -> str:
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return f"### {name}\n\n```python\n{name} = {_plain(value)}\n```\n\n{_told_of(name, value)}"
    text = f"### {name}\n\n```python\n{_declared(value)}\n```\n\n{markdown(value.__doc__)}\n\n"
    if isinstance(value, type):
        text += "".join(_member(name, *each) for each in _members(value))
    return text


def _told_of(name: str, value: Any) -> str:
    """The text below the assignment of a constant, wherever in Holdfast that stands."""
    for module in [m for n, m in sys.modules.items() if n.startswith("holdfast.") and m.__file__]:
        if getattr(module, name, None) is not value:
            continue
        body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
        for node, after in itertools.pairwise(body):
            here = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            if here and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return f"{markdown(after.value.value)}\n\n"
    return ""


def _plain(value: Any) -> str:
    """A constant or an alias of a type, without the module of what is standard."""
    return repr(value).removeprefix("collections.abc.")


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """The documented public members, in the order of the source; those of the bases after."""
    seen = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("holdfast."):
            continue
        for name, member in vars(base).items():
            if not name.startswith("_") and name not in seen and _function(member) is not None:
                seen.add(name)
                yield name, member


def _member(owner: str, name: str, member: Any) -> str:
    function = _function(member)
    node = _node(function)
    shown = f"{owner}.{name}"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        shown += _returns(node) if _is_property(member) else _signature(node)
        shown = f"async {shown}" if isinstance(node, ast.AsyncFunctionDef) else shown
    told = textwrap.indent(markdown(function.__doc__), "    ")  # four, as Python-Markdown wants
    return f"- {code(shown)}\n\n{told}\n\n" if told else f"- {code(shown)}\n\n"


def _function(member: Any) -> Any:
    """The function behind a method or property; None for what is neither."""
    if isinstance(member, property):
        return member.fget
    if isinstance(member, functools.cached_property):
        return member.func
    if isinstance(member, (classmethod, staticmethod)):
        return member.__func__
    return member if inspect.isfunction(member) else None


def _is_property(member: Any) -> bool:
    return isinstance(member, (property, functools.cached_property))


def _declared(value: Any) -> str:
    node = _node(value)
    if isinstance(node, ast.ClassDef):
        made = next((each for each in node.body if getattr(each, "name", "") == "__init__"), None)
        if isinstance(made, ast.FunctionDef):
            return f"class {node.name}{_signature(made).removesuffix(' -> None')}"
        fields = [ast.unparse(each) for each in node.body if _is_field(each)]
        body = "".join(f"\n    {each}" for each in fields)
        return f"class {node.name}{':' if body else ''}{body}"
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    begin = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{begin} {node.name}{_signature(node)}"


def _is_field(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not node.target.id.startswith("_")
    )


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    given = node.args
    for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if each is not None:
            each.annotation = _unquoted(each.annotation)
    arguments = re.sub(r"^(self|cls)(, |$)", "", ast.unparse(given))
    return f"({arguments.removeprefix('/, ')}){_returns(node)}"


def _returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returned = _unquoted(node.returns)
    return "" if returned is None else f" -> {ast.unparse(returned)}"


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    """The type itself, where it is written as text because it is imported late."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _node(value: Any) -> ast.AST | None:
    return _nodes(value.__module__).get(value.__qualname__)


@functools.cache
def _nodes(module: str) -> dict[str, ast.AST]:
    """Every class and function of a module, by its qualified name."""
    path = import_module(module).__file__
    assert path is not None
    found: dict[str, ast.AST] = {}

    def visit(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found[f"{above}{child.name}"] = child
                visit(child, f"{above}{child.name}.")
            elif isinstance(child, (ast.If, ast.Try)):
                visit(child, above)

    visit(ast.parse(Path(path).read_text(encoding="utf-8")), "")
    return found
