"""The files of Claude Code and Claude Desktop: where they are, and how they are changed.

They stay their owners': read strictly, changed key by key, under the owner's own lock.
"""
