"""Bring this workspace up: complete its layout, register its agents, check its configuration."""

import sys
from pathlib import Path

from holdfast.cli.doors import initialize_workspace

sys.exit(initialize_workspace(Path(__file__).parent))
