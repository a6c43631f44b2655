"""Windows Task Scheduler: a task in XML, in the order of Microsoft's schema (1.2)."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring  # only written, never read

from holdfast.schedule.registration.entry import EVERY_MINUTES, Command, Entry, Plan

if sys.platform == "win32":
    from holdfast.durable.accounts import account_name

    def _user() -> str | None:
        return account_name()

else:

    def _user() -> str | None:
        return None


_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


def plan(entry: Entry, home: Path) -> Plan:
    """The XML file, and the schtasks lines that make and delete the task."""
    path = entry.folder / ".holdfast" / "schedule" / "task.xml"
    name = f"Holdfast\\{entry.name}"
    return Plan(
        "task-scheduler",
        {path: task_xml(entry, home, _user())},
        enable=(Command(("schtasks", "/Create", "/TN", name, "/XML", str(path), "/F")),),
        disable=(Command(("schtasks", "/Delete", "/TN", name, "/F")),),
    )


def task_xml(entry: Entry, home: Path, user: str | None) -> bytes:
    """The task: every quarter of an hour and at logon, made up for when the machine slept.

    It is for `user` (``DOMAIN\\name``) alone: a task for anybody's logon only administrators may
    register. None where this is written for another machine to take.
    """
    task = Element("Task", {"version": "1.2", "xmlns": _NAMESPACE})
    about = SubElement(task, "RegistrationInfo")
    _add(about, "Description", entry.title)
    triggers = SubElement(task, "Triggers")
    clock = SubElement(triggers, "TimeTrigger")
    _add(clock, "StartBoundary", datetime(2026, 1, 1).isoformat())  # noqa: DTZ001  local time
    again = SubElement(clock, "Repetition")
    _add(again, "Interval", f"PT{EVERY_MINUTES}M")
    _add(again, "StopAtDurationEnd", "false")
    logon = SubElement(triggers, "LogonTrigger")
    _add(logon, "Enabled", "true")
    principal = SubElement(SubElement(task, "Principals"), "Principal", {"id": "Author"})
    if user is not None:
        for element in (logon, principal):
            _add(element, "UserId", user)
    _add(principal, "LogonType", "InteractiveToken")
    _add(principal, "RunLevel", "LeastPrivilege")
    settings = SubElement(task, "Settings")
    for name, value in (
        ("MultipleInstancesPolicy", "IgnoreNew"),
        ("DisallowStartIfOnBatteries", "false"),
        ("StopIfGoingOnBatteries", "false"),
        ("StartWhenAvailable", "true"),
        ("Enabled", "true"),
        ("ExecutionTimeLimit", "PT12H"),
        ("Priority", "8"),
    ):
        _add(settings, name, value)
    run = SubElement(SubElement(task, "Actions", {"Context": "Author"}), "Exec")
    _add(run, "Command", entry.arguments[0])
    _add(run, "Arguments", subprocess.list2cmdline(entry.arguments[1:]))
    _add(run, "WorkingDirectory", str(home))
    # schtasks wants UTF-16 with its mark.
    text = '<?xml version="1.0" encoding="UTF-16"?>\n' + tostring(task, encoding="unicode")
    return text.encode("utf-16")


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text
