"""Finding the code of a run: among the imported modules, else by importing its module or file."""

import hashlib
import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from holdfast.errors import NotFoundError, RunError, UsageError
from holdfast.workflows.definitions import Workflow, definitions
from holdfast.workflows.records import Definition


def find_definition(definition: Definition, name: str, *, load: bool) -> Workflow[..., Any]:
    """The workflow that `definition` names, for a run recorded as `name`.

    With `load` its module is imported, by name if that works and is the same file, else from its
    file. Raises `RunError` when it is not there.
    """
    found = imported_definition(definition)
    if found is None and load:
        module = _import(definition)
        found = definitions.get((module.__name__, definition.qualname))
    if found is None:
        raise RunError(
            f"the workflow {definition.qualname} of module {definition.module} is not there",
            path=definition.file,
            hint="import its module first" if not load else "bring that file back, then resume",
        )
    return found.known_as(name)


def imported_definition(definition: Definition) -> Workflow[..., Any] | None:
    """The workflow if its module is imported already, also when it was run as a script then."""
    found = definitions.get((definition.module, definition.qualname))
    if found is not None and (
        definition.module != "__main__" or found.definition.file == definition.file
    ):
        return found
    wanted = (definition.qualname, definition.file)
    for workflow in definitions.values():
        if (workflow.definition.qualname, workflow.definition.file) == wanted:
            return workflow
    return None


def load_file(path: Path) -> list[Workflow[..., Any]]:
    """Import the Python file `path`, running its code; the workflows it defines.

    Its folder is put on `sys.path`, as when it is run as a script. Raises `NotFoundError`,
    `UsageError` when its code fails.
    """
    module = _import_file(path.absolute())
    return [
        workflow
        for (name, _), workflow in definitions.items()
        if name == module.__name__ and workflow.definition.file == str(path.absolute())
    ]


def _import(definition: Definition) -> ModuleType:
    if definition.module != "__main__":
        try:
            module = import_module(definition.module)
        except ImportError:
            return _import_file(Path(definition.file))
        if (definition.module, definition.qualname) in definitions:
            return module
    return _import_file(Path(definition.file))


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NotFoundError("no such Python file", path=path)
    name = f"holdfast_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError("not a Python file", path=path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(
            f"its code cannot be imported: {type(error).__name__}: {error}", path=path
        ) from error
    return module
