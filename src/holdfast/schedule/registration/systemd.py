"""systemd: a service and a timer of the user."""

import os
from pathlib import Path

from holdfast.schedule.registration.entry import EVERY_MINUTES, Command, Entry, Plan


def plan(entry: Entry, home: Path) -> Plan:
    """The unit files, and the systemctl lines that switch the timer on and off."""
    folder = _folder(home)
    timer = f"{entry.name}.timer"
    return Plan(
        "systemd",
        {
            folder / f"{entry.name}.service": _service(entry).encode("utf-8"),
            folder / timer: _timer(entry).encode("utf-8"),
        },
        enable=(
            Command(("systemctl", "--user", "daemon-reload")),
            Command(("systemctl", "--user", "enable", "--now", timer)),
        ),
        disable=(Command(("systemctl", "--user", "disable", "--now", timer)),),
    )


def _folder(home: Path) -> Path:
    chosen = os.environ.get("XDG_CONFIG_HOME")
    return (Path(chosen) if chosen else home / ".config") / "systemd" / "user"


def _service(entry: Entry) -> str:
    return (
        "[Unit]\n"
        f"Description={_plain(entry.title)}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"ExecStart={' '.join(map(_quoted, entry.arguments))}\n"
        "Nice=10\n"
        "IOSchedulingClass=idle\n"
    )


def _timer(entry: Entry) -> str:
    return (
        "[Unit]\n"
        f"Description={_plain(entry.title)}\n"
        "\n"
        "[Timer]\n"
        f"OnCalendar=*:0/{EVERY_MINUTES}\n"
        "Persistent=true\n"
        "RandomizedDelaySec=30\n"
        "\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )


def _plain(text: str) -> str:
    return text.replace("\n", " ").replace("%", "%%")


def _quoted(argument: str) -> str:
    """`argument` as one word of ExecStart, where %, $, quotes and backslashes mean something."""
    text = argument.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + text.replace("%", "%%").replace("$", "$$") + '"'
