"""Bring this workspace up: layout, registered agents, checked configuration, started services."""

import sys
from pathlib import Path

from holdfast.cli.doors import initialize_workspace

sys.exit(initialize_workspace(Path(__file__).parent))
