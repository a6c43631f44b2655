"""A workspace's own scripts: ``verify-mcp-setup.py`` and ``initialize.py``.

Each is a few lines in the workspace that end with the exit status returned here.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.verifying import line_of, lines_of_health
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace, open_workspace
from holdfast.services.initialization import initialize
from holdfast.services.verification import verify_configuration, verify_servers

if TYPE_CHECKING:
    from holdfast.services.control import ServiceStatus


def verify_mcp_setup(root: Path) -> int:
    """Check every configuration and every server; 0 when all is in order, else 1.

    With ``--static`` on the command line nothing is started.
    """
    return _at_workspace(root, _verify_static if "--static" in sys.argv[1:] else _verify)


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
    wrong = _verify_static(workspace)
    return max(wrong, _start(workspace))


def _start(workspace: Workspace) -> int:
    from holdfast.services.control import start, unhealthy

    found = start(workspace, told=lambda status: click.echo(_service_line(status)))
    return 1 if unhealthy(found) else 0


def _service_line(status: "ServiceStatus") -> str:
    why = f": {status.reason}" if status.reason else ""
    return f"{status.state:<9}service {status.name}{why}"


def _verify_static(workspace: Workspace) -> int:
    return _verify(workspace, static=True)


def _verify(workspace: Workspace, *, static: bool = False) -> int:
    findings = verify_configuration(workspace)
    for finding in findings:
        click.echo(line_of(finding))
    results = [] if static else verify_servers(workspace)
    for result in results:
        click.echo("\n".join(lines_of_health(result)))
    wrong = sum(finding.problem is not None for finding in findings)
    wrong += sum(not result.healthy for result in results)
    click.echo(f"{len(findings) + len(results)} checked, {wrong} wrong")
    return 1 if wrong else 0
