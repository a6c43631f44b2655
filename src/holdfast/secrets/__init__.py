"""Secrets in texts, found by their shape. `kinds` the shapes · `scanning` the search."""

from holdfast.secrets.scanning import Secret, find_secrets, secrets_in

__all__ = ["Secret", "find_secrets", "secrets_in"]
