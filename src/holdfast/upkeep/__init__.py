"""Looking after a workspace: status, undo, drills, cleaning, usage, settings."""
