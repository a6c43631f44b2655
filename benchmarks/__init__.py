"""Holdfast beside the libraries people use now, in one run and at equal durability.

::

    python -m benchmarks                    everything
    python -m benchmarks queues startup     some suites
    python -m benchmarks 'queues/put*'      some rows
    python -m benchmarks --list             the names

`cases` what a row is · `harness` measuring · `machine` where it was measured · `table` printing ·
`suites` the rows · `drivers` what is timed, the same code for both sides · `ours` and `peers` the
two sides. Each side runs in a process of its own; peers run in a virtual environment of their own.
"""
