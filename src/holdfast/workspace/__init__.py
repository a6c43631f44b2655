"""The ground: the layout of a workspace, making one, adopting one, its settings."""
