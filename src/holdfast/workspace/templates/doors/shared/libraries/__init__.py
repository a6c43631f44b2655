"""The libraries of this workspace; each opens Holdfast on it."""
