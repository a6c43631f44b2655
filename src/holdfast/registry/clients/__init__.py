"""Servers between the registry and the programs that use them: import, sync, watch."""
