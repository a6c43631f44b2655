"""The ``holdfast`` command: one module per noun, imported when that noun is used."""
