"""The schedule: what is done by the clock and on change, and who sees to it.

`jobs` what is to be done · `state` what came of it · `due` what is due now · `running` doing it ·
`overview` last, next and trouble · `registration` the system's own scheduler · `watch` a process
that follows changes.
"""
