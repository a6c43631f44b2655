"""Looking after a workspace: its status."""
