"""The pages of the documentation: their marked examples, and where these are run."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from holdfast.workspace.creation import create
from tests.conftest import child_environment, require_program

ROOT = Path(__file__).parent.parent
_EXAMPLE = re.compile(r"<!-- (example|file): ([\w.]+) -->\n```(\w+)\n(.*?)```", re.DOTALL)


class Example(NamedTuple):
    """What stands behind an ``<!-- example: NAME -->``, or is saved: ``<!-- file: NAME -->``."""

    kind: str
    language: str
    text: str


def examples(page: str) -> dict[str, Example]:
    """The marked examples of a page, by name."""
    found = _EXAMPLE.findall((ROOT / page).read_text(encoding="utf-8"))
    return {name: Example(kind, language, text) for kind, name, language, text in found}


@dataclass
class Stage:
    """A home of its own, in which the examples of a page run one after another.

    They run in the home's workspace, or in the home itself while there is none, with the
    environment variables `own` beside those of every stage. `words` of shell lines stand for
    something else here: what a reader fills in, or what must not touch the machine's own services.
    """

    home: Path
    own: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.home / "development"

    def make_workspace(self) -> None:
        """A new workspace."""
        create(self.root, home=self.home)

    def make_workspace_with_agents(self) -> None:
        """A new workspace with the example agents."""
        create(self.root, home=self.home, examples=True)

    def play(self, page: str, *names: str) -> None:
        """Run the examples of a page, or those named; what they print is in `said`."""
        chosen = examples(page)
        for name in names or chosen:
            kind, language, text = chosen[name]
            if kind == "file":
                (self._folder / name).write_text(text, encoding="utf-8")
            elif language == "sh":
                self.said[name] = self.shell(text)
            elif language == "python":
                self.said[name] = self.python(text)

    def shell(self, commands: str) -> str:
        """What the commands of a POSIX shell print."""
        for word, meaning in self.words.items():
            commands = meaning.join(re.split(rf"\b{word}\b(?!=)", commands))
        return self._run([require_program("sh"), "-euc", commands])

    def python(self, program: str) -> str:
        """What a Python program prints; it is left there as ``program.py``."""
        path = self._folder / "program.py"
        path.write_text(program, encoding="utf-8")
        return self._run([sys.executable, str(path)])

    @property
    def _folder(self) -> Path:
        return self.root if self.root.is_dir() else self.home

    def _run(self, command: list[str]) -> str:
        scripts = str(Path(sys.executable).parent)
        own = {
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
            "HOLDFAST_WORKSPACE": "",
            **self.own,
        }
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=child_environment(own),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


Act = Callable[[Stage], object]


class Page(NamedTuple):
    """A page whose examples are run: what is there before, and what has to hold after.

    `only` names its examples that are run together; all of them when empty. `clean_up` is done in
    any case.
    """

    path: str
    prepare: Act
    check: Act
    only: tuple[str, ...] = ()
    clean_up: Act = lambda _: None

    @property
    def for_posix(self) -> bool:
        """Whether its commands are for a POSIX shell."""
        known = examples(self.path)
        return any(known[name].language == "sh" for name in self.only or known)
