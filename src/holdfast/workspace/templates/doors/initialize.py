"""Bring this workspace up: complete its layout, register its agents, check its configuration."""

import sys
from pathlib import Path

from holdfast.services.initialization import print_initialization

sys.exit(print_initialization(Path(__file__).parent))
