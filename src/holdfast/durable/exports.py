"""Names of a package that are imported when they are first asked for."""

import sys
from importlib import import_module

TYPE_CHECKING = False  # typing takes longer to import than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def late(package: str, homes: "Mapping[str, str]") -> "Callable[[str], Any]":
    """The ``__getattr__`` of `package` (PEP 562): `homes` says which module has each name."""

    def find(name: str) -> "Any":
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
