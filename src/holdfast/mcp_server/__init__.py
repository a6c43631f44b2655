"""The MCP server: a workspace for Claude and other agents, over standard input and output.

It holds no logic of its own. `serving` the process · `server` what it offers · `tool` how a tool is
called: the workspace opened, time bounded, errors told · `answers` bounded and masked · `inputs`
what tools take · `of_*` the tools by room · `resources`, `prompts`.
"""
