"""Check every configuration of this workspace; exits 1 when something is wrong."""

import sys
from pathlib import Path

from holdfast.cli.doors import verify_mcp_setup

sys.exit(verify_mcp_setup(Path(__file__).parent))
