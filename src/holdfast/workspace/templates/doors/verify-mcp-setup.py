"""Check every configuration of this workspace; exits 1 when something is wrong."""

import sys
from pathlib import Path

from holdfast.services.verification import print_verification

sys.exit(print_verification(Path(__file__).parent))
