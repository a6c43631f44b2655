"""The recorded steps of a run that is being replayed, read in pages as the replay goes on."""

from holdfast.workflows.records import StepRecord, read_step
from holdfast.workflows.store import WorkflowStore

_PAGE = 2_000  # steps; bounds the memory that a replay of a long run takes


class History:
    """Recorded steps by position. Each is given out once. A `fresh` run has none."""

    def __init__(self, store: WorkflowStore, run_id: str, *, fresh: bool) -> None:
        self._store = store
        self._run_id = run_id
        self._loaded: dict[int, bytes] = {}
        self._reached = 0  # every recorded step up to this position has been loaded
        self._complete = fresh

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be given out."""
        return self._complete and not self._loaded

    def take(self, position: int) -> StepRecord | None:
        """The step recorded at `position`, or None. Raises `UnreadableError`."""
        while not self._complete and self._reached < position:
            self._load()
        body = self._loaded.pop(position, None)
        return None if body is None else read_step(body, self._run_id)

    def peek(self, position: int) -> StepRecord | None:
        """As `take`, and it can still be taken."""
        while not self._complete and self._reached < position:
            self._load()
        body = self._loaded.get(position)
        return None if body is None else read_step(body, self._run_id)

    def has_more(self) -> bool:
        """Whether there are recorded steps that were not taken yet."""
        if not self._loaded and not self._complete:
            self._load()
        return bool(self._loaded)

    def take_any(self) -> StepRecord | None:
        """A recorded step that was not taken yet, or None."""
        return self.take(min(self._loaded)) if self.has_more() else None

    def _load(self) -> None:
        page = self._store.read_steps(self._run_id, after=self._reached, limit=_PAGE)
        self._loaded.update(page)
        self._complete = len(page) < _PAGE
        self._reached = page[-1][0] if page else self._reached
