"""The seed's own scripts in a workspace: ``verify-mcp-setup.py`` and ``initialize.py``.

Each is a few lines in the workspace that end with the exit status returned here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.errors import HoldfastError
from holdfast.facade import Workspace, open_workspace
from holdfast.services.initialization import initialize
from holdfast.services.verification import Finding, verify_configuration

if TYPE_CHECKING:
    from holdfast.services.control import ServiceStatus


def verify_mcp_setup(root: Path) -> int:
    """Check every configuration and print each finding; 0 when all is in order, else 1."""
    return _at_workspace(root, _verify)


def initialize_workspace(root: Path) -> int:
    """Complete the layout, register the agents found, `verify_mcp_setup`, start the services."""
    return _at_workspace(root, _initialize)


def _at_workspace(root: Path, act: Callable[[Workspace], int]) -> int:
    try:
        return act(open_workspace(root))
    except HoldfastError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_status


def _initialize(workspace: Workspace) -> int:
    made, added = initialize(workspace)
    for path in made:
        click.echo(f"made   {path}")
    for agent_id in added:
        click.echo(f"added  agent {agent_id}")
    wrong = _verify(workspace)
    return max(wrong, _start(workspace))


def _start(workspace: Workspace) -> int:
    from holdfast.services.control import start, unhealthy

    found = start(workspace, told=lambda status: click.echo(_service_line(status)))
    return 1 if unhealthy(found) else 0


def _service_line(status: "ServiceStatus") -> str:
    why = f": {status.reason}" if status.reason else ""
    return f"{status.state:<9}service {status.name}{why}"


def _verify(workspace: Workspace) -> int:
    findings = verify_configuration(workspace)
    for finding in findings:
        click.echo(_line(finding))
    wrong = sum(finding.problem is not None for finding in findings)
    click.echo(f"{len(findings)} checked, {wrong} wrong")
    return 1 if wrong else 0


def _line(finding: Finding) -> str:
    if finding.problem is None:
        return f"ok     {finding.subject}"
    hint = f" ({finding.hint})" if finding.hint else ""
    return f"WRONG  {finding.subject}: {finding.problem}{hint}"
