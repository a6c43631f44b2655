"""Registering with the system's own scheduler, which runs ``holdfast schedule run-due`` for us."""

from holdfast.schedule.registration.install import (
    SYSTEMS,
    Registered,
    install,
    is_installed,
    plan,
    uninstall,
)

__all__ = ["SYSTEMS", "Registered", "install", "is_installed", "plan", "uninstall"]
