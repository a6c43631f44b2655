"""The environment a service runs with: this process's, ``configs/environment.json``, its own.

``${VAR}`` and ``${VAR:-default}`` are replaced by variables, ``${secret:NAME}`` by a secret.

The names of variables that hold a secret are in ``$HOLDFAST_SECRETS``: their values never reach a
log of the service.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping

from holdfast.durable.documents import read_document
from holdfast.errors import MissingError, NotFoundError, UnreadableError, UsageError
from holdfast.logs.redaction import ENVIRONMENT as REDACTED
from holdfast.workspace.layout import ENVIRONMENT_VARIABLE, Layout

Secrets = Callable[[str], str]
"""Gives the value of a secret by its name; raises `MissingError` when it has none."""

_REFERENCE = re.compile(
    r"\$\{(?P<secret>secret:)?(?P<name>[A-Za-z_][A-Za-z0-9_./-]*?)(?::-(?P<default>[^}]*))?\}"
)
# About the process that starts services, not about them.
_NOT_INHERITED = ("HOLDFAST_FAULTS", "HOLDFAST_FAULTS_TRACE", "HOLDFAST_TASK_ID")


def no_secrets(name: str) -> str:
    """The `Secrets` of a workspace that keeps none."""
    raise MissingError(
        f"the secret {name!r} is not known on this machine",
        hint="give it as a variable instead: ${NAME}",
    )


def environment_for(
    layout: Layout, further: Mapping[str, str], secrets: Secrets = no_secrets
) -> dict[str, str]:
    """All variables of a service in the workspace `layout`, `further` being its own.

    Raises `UnreadableError`, `UsageError` for a variable that is not set, `MissingError`.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    secret = list(filter(None, environment.get(REDACTED, "").split(",")))
    for name, text in (*_shared(layout).items(), *further.items()):
        environment[name] = resolve(text, environment, secrets, f"the variable {name}")
        if refers_to_secret(text, secret):
            secret.append(name)
    if secret:
        environment[REDACTED] = ",".join(dict.fromkeys(secret))
    environment.setdefault("PYTHONUTF8", "1")
    environment.setdefault("PYTHONUNBUFFERED", "1")  # its lines appear in the log as they come
    return {**environment, ENVIRONMENT_VARIABLE: str(layout.root)}


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """The values of the variables that hold secrets, for `holdfast.logs.redact`."""
    names = environment.get(REDACTED, "").split(",")
    return [environment[name.strip()] for name in names if name.strip() in environment]


def refers_to_secret(text: str, secret: Collection[str]) -> bool:
    """Whether `text` refers to a secret, or to one of the variables `secret`, which hold some."""
    found = _REFERENCE.finditer(text)
    return any(match["secret"] or match["name"] in secret for match in found)


def resolve(text: str, environment: Mapping[str, str], secrets: Secrets, what: str) -> str:
    """`text` with its references replaced; `what` names it in errors."""

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match["secret"]:
            return secrets(name)
        found = environment.get(name)
        if found is None and default is None:
            raise UsageError(
                f"{what} refers to {name}, which is not set",
                hint=f"set {name}, or write a default: ${{{name}:-…}}",
            )
        return found or default or ""

    return _REFERENCE.sub(value, text)


def _shared(layout: Layout) -> dict[str, str]:
    try:
        data = read_document(layout.environment).data
    except NotFoundError:
        return {}
    wrong = [name for name, value in data.items() if not isinstance(value, str)]
    if wrong:
        raise UnreadableError(
            f"not a string: {', '.join(wrong)}",
            path=layout.environment,
            hint="write each value as a string",
        )
    return {name: value for name, value in data.items() if name != "$schema"}
