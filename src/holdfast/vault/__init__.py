"""The vault: deduplicated snapshots of a workspace that prove themselves; see docs/format.md."""

from typing import TYPE_CHECKING

from holdfast.durable.exports import late

if TYPE_CHECKING:
    from holdfast.vault.reports import Difference as Difference
    from holdfast.vault.reports import DrilledStore as DrilledStore
    from holdfast.vault.reports import DrillReport as DrillReport
    from holdfast.vault.reports import Finding as Finding
    from holdfast.vault.reports import FindReport as FindReport
    from holdfast.vault.reports import ForgetReport as ForgetReport
    from holdfast.vault.reports import FoundVersion as FoundVersion
    from holdfast.vault.reports import Progress as Progress
    from holdfast.vault.reports import Proof as Proof
    from holdfast.vault.reports import PruneReport as PruneReport
    from holdfast.vault.reports import RepairReport as RepairReport
    from holdfast.vault.reports import RestoreReport as RestoreReport
    from holdfast.vault.reports import SnapshotInfo as SnapshotInfo
    from holdfast.vault.reports import SnapshotReport as SnapshotReport
    from holdfast.vault.reports import VerifyReport as VerifyReport
    from holdfast.vault.repository import Access as Access
    from holdfast.vault.retention import Retention as Retention
    from holdfast.vault.vault import Vault as Vault

_HOME_OF = {
    "Access": "holdfast.vault.repository",
    "Difference": "holdfast.vault.reports",
    "DrillReport": "holdfast.vault.reports",
    "DrilledStore": "holdfast.vault.reports",
    "FindReport": "holdfast.vault.reports",
    "Finding": "holdfast.vault.reports",
    "ForgetReport": "holdfast.vault.reports",
    "FoundVersion": "holdfast.vault.reports",
    "Progress": "holdfast.vault.reports",
    "Proof": "holdfast.vault.reports",
    "PruneReport": "holdfast.vault.reports",
    "RepairReport": "holdfast.vault.reports",
    "RestoreReport": "holdfast.vault.reports",
    "Retention": "holdfast.vault.retention",
    "SnapshotInfo": "holdfast.vault.reports",
    "SnapshotReport": "holdfast.vault.reports",
    "Vault": "holdfast.vault.vault",
    "VerifyReport": "holdfast.vault.reports",
}

__all__ = sorted(_HOME_OF)

# Late, so that whoever imports the room does not yet load zstandard and blake3.
__getattr__ = late(__name__, _HOME_OF)
