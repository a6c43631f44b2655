"""The 3-2-1 rule: three copies, on two devices, one of them elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from holdfast.vault.sites import Site, SiteState, device_of, is_network_share


class ThreeTwoOne(msgspec.Struct, rename="camel", frozen=True):
    """How far the rule is kept, counting the files themselves as one copy.

    `devices` are those that can be told apart here; a network share is one, and so is a destination
    that is absent now. `remarks` say what is missing, and what cannot be known.
    """

    copies: int
    devices: int
    elsewhere: int
    kept: bool
    remarks: list[str]


def evaluate(root: Path, sites: Sequence[Site], states: Sequence[SiteState]) -> ThreeTwoOne:
    """The rule for the workspace at `root`."""
    devices = {device_of(root)}
    copies, elsewhere = 1, 0
    remarks: list[str] = []
    for site, state in zip(sites, states, strict=True):
        if state.state == "absent" and site.was_used():
            remarks.append(f"{site.name} is not plugged in: it counts, but could not be looked at")
        elif state.state in ("absent", "unreadable") or not state.holds:
            remarks.append(f"{site.name} does not count: it holds no backup that can be read")
            continue
        copies += 1
        share = state.state != "absent" and is_network_share(site.folder)
        away = state.state == "absent" or share
        devices.add(f"{site.name}, away" if away else device_of(site.folder))
        elsewhere += site.destination.elsewhere
        if share and not site.destination.elsewhere:
            remarks.append(
                f"{site.name} is a network share; whether it is in another house, only you know: "
                'say so by "elsewhere": true'
            )
    kept = copies >= 3 and len(devices) >= 2 and elsewhere >= 1
    if copies < 3:
        remarks.append(f"{copies} of 3 copies: add a destination")
    if len(devices) < 2:
        remarks.append("all copies are on one device: if it fails, all are lost")
    if not elsewhere:
        remarks.append("no copy is said to be elsewhere: fire or theft would take all of them")
    return ThreeTwoOne(copies, len(devices), elsewhere, kept, remarks)
