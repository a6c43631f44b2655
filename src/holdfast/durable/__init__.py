"""Files that survive: the only room that writes to disk; everything above asks it.

`files` atomic replacement · `renames` names taken once · `documents` strict JSON ·
`journal` checksummed JSON Lines · `locks` between processes · `trees` walking ·
`names` Windows names and safe paths · `quarantine` removal with a way back ·
`faults` crash points for tests.
"""
