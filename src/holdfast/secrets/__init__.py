"""Secrets in texts, found by their shape. `kinds` the shapes · `scanning` the search."""
