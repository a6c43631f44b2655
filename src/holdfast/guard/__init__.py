"""The guard: undo points before an agent's tool runs.

`hook` what Claude Code runs · `calls` what it is told · `recording` making the point ·
`installation` the hooks in ``.claude/settings.json``.
"""
