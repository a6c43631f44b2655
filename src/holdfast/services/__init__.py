"""Bringing a workspace up: its configuration verified, its agents registered."""
