"""Groups of commands that are built when they are asked for: the flags of all models take half a second."""

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup


def lazy_group(builders: Mapping[str, Callable[[], Callable[..., None]]]) -> type[TyperGroup]:
    """The class of a group whose commands, by name, are functions that are made (with their flags) at first use."""

    class Group(TyperGroup):
        def __init__(self, *, commands: Any = None, **attributes: Any) -> None:
            unbuilt: Any = dict.fromkeys(builders)
            super().__init__(commands=unbuilt, **attributes)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name in builders and self.commands[cmd_name] is None:
                self.commands[cmd_name] = _command(cmd_name, builders[cmd_name]())
            return super().get_command(ctx, cmd_name)

    return Group


def _command(name: str, function: Callable[..., None]) -> Any:
    """The function as a command, with the defaults of Typer."""
    single = typer.Typer(add_completion=False)
    single.command(name)(function)
    return typer.main.get_command(single)
