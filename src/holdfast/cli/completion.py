"""``holdfast completion``: the script that completes commands in a shell."""

import click
from click.shell_completion import get_completion_class

from holdfast.cli.terminal import Terminal, command


@command(
    None,
    "completion",
    examples=[
        "holdfast completion bash >> ~/.bashrc",
        "holdfast completion zsh >> ~/.zshrc",
        "holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(terminal: Terminal, shell: str) -> None:
    """Print the script that completes holdfast's commands and options with the Tab key."""
    from holdfast.cli.main import holdfast

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(holdfast, {}, "holdfast", "_HOLDFAST_COMPLETE").source()
    terminal.emit({"shell": shell, "script": script}, script)
