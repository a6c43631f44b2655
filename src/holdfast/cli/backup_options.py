"""Options that commands on backups share."""

import click

AT = click.option("--at", metavar="NAME", help="The destination; else the first of snapshots.")
