"""Secrets of a workspace: found, kept elsewhere, masked, and traced after a leak.

`places` where is looked · `scan` the findings · `staged` what git is about to commit · `baseline`
accepted findings · `git_hook` before every commit · `moving` into the keyring · `tracing` where a
leaked value lies. No function here prints, logs or raises a value.
"""
