"""``holdfast completion``: the script that completes commands in a shell."""

import os
from typing import Any

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
)

from holdfast.cli.terminal import Terminal, command

VARIABLE = "_HOLDFAST_COMPLETE"
"""Set by a shell's script to ask for completions; click reads it."""

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object {
            if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
                $_.Value
            } else {
                $_.Extent.Text
            }
        })
    $env:COMP_WORDS = $before -join "`n"
    $env:COMP_INCOMPLETE = $wordToComplete
    $env:%(complete_var)s = 'powershell_complete'
    try {
        & %(prog_name)s | ForEach-Object {
            $type, $value, $meaning = $_ -split "`t", 3
            if ($type -eq 'plain') {
                [System.Management.Automation.CompletionResult]::new(
                    $value, $value, 'ParameterValue', $meaning)
            }
        }
    } finally {
        foreach ($name in 'COMP_WORDS', 'COMP_INCOMPLETE', '%(complete_var)s') {
            Remove-Item "Env:$name" -ErrorAction Ignore
        }
    }
}
"""


class PowerShellComplete(ShellComplete):
    """Completion in PowerShell, which completes files by itself where nothing is returned."""

    name = "powershell"
    source_template = _POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        words = os.environ.get("COMP_WORDS", "").split("\n")
        return words[1:], os.environ.get("COMP_INCOMPLETE", "")

    def format_completion(self, item: CompletionItem[Any]) -> str:
        meaning = " ".join((item.help or item.value).split())
        return f"{item.type}\t{item.value}\t{meaning}"


add_completion_class(PowerShellComplete)


@command(
    None,
    "completion",
    examples=[
        "holdfast completion bash >> ~/.bashrc",
        "holdfast completion zsh >> ~/.zshrc",
        "holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
        "holdfast completion powershell | Add-Content $PROFILE",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def completion(terminal: Terminal, shell: str) -> None:
    """Print the script that completes holdfast's commands and options with the Tab key."""
    from holdfast.cli.main import holdfast

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(holdfast, {}, "holdfast", VARIABLE).source()
    terminal.emit({"shell": shell, "script": script}, script)
