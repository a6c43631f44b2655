"""The history: daily work of a workspace as git commits; see docs/howto-git-history.md."""

from holdfast.history.history import History
from holdfast.history.reports import (
    Change,
    Commit,
    CommitDetail,
    HistoryStatus,
    Names,
    Problem,
    PushReport,
    RestoredPath,
    RestoreReport,
    SaveReport,
    SecretFinding,
)

__all__ = [
    "Change",
    "Commit",
    "CommitDetail",
    "History",
    "HistoryStatus",
    "Names",
    "Problem",
    "PushReport",
    "RestoreReport",
    "RestoredPath",
    "SaveReport",
    "SecretFinding",
]
