"""How the demo speaks, and where it keeps what was claimed and whether it held."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from holdfast.errors import HoldfastError


class Claim(msgspec.Struct):
    """One thing the demo says, whether it held, and what was seen."""

    chapter: str
    claim: str
    held: bool
    seen: str


class Narrator:
    """Prints the story as it happens; silent for programs, which get `facts` at the end."""

    def __init__(self, *, silent: bool) -> None:
        self.claims: list[Claim] = []
        self._silent = silent
        self._chapter = ""
        self._number = 0
        self._begun = time.monotonic()
        # The console of an older Windows cannot print the marks.
        fancy = "utf" in (sys.stdout.encoding or "").lower()
        self._held_mark, self._failed_mark = ("✔", "✘") if fancy else ("+", "x")

    @property
    def all_held(self) -> bool:
        """Whether every claim so far held."""
        return all(claim.held for claim in self.claims)

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """One part of the story; an error in it is a claim that did not hold."""
        self._chapter, self._number = title, self._number + 1
        self.say("")
        self.say(f"{self._number}. {title}", bold=True)
        try:
            yield
        except HoldfastError as error:
            self.check("it works", False, str(error))

    def check(self, claim: str, held: bool, seen: str) -> None:
        """State a claim that was just tried, and what was seen."""
        self.claims.append(Claim(self._chapter, claim, held, seen))
        mark, colour = (self._held_mark, "green") if held else (self._failed_mark, "red")
        self.say(f"   {click.style(mark, fg=colour)} {claim}: {seen}")

    def tell(self, text: str) -> None:
        """A sentence of the story."""
        self.say(f"   {text}")

    def say(self, text: str, *, bold: bool = False) -> None:
        """A line as it is."""
        if not self._silent:
            click.secho(text, bold=bold or None)

    def facts(self, home: Path) -> dict[str, Any]:
        """The demo as data: its claims, where the files are, and how long it took (seconds)."""
        return {
            "held": self.all_held,
            "home": str(home),
            "workspace": str(home / "development"),
            "seconds": round(time.monotonic() - self._begun, 3),
            "claims": [msgspec.to_builtins(claim) for claim in self.claims],
        }
