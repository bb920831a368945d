"""Commands that are built when they are asked for."""

import pytest
import typer
from typer.testing import CliRunner

from tests.command_line import call
from tnsim.cli import _HELP
from tnsim.io.plane_job import CLASSICAL
from tnsim.lazy_commands import lazy_group
from tnsim.models import MODELS


@pytest.mark.parametrize("group", _HELP)
def test_the_help_of_a_group_builds_and_lists_all_its_commands(group):
    shown = call(group, "--help")
    names = [line.split()[1] for line in shown.output.splitlines() if line.startswith("│ ")]
    models = [*MODELS, *CLASSICAL]
    listed = [name for name in names if name in models]
    assert shown.exit_code == 0 and listed == [name for name in models if name in listed] and len(listed) > 3
    if group == "plane":
        assert listed == list(CLASSICAL)
    elif group not in ("peps", "ipeps"):
        assert listed == list(MODELS)


def test_a_name_that_is_mistyped_is_named_with_those_like_it():
    wrong = call("dmrg", "heisenbrg")
    assert wrong.exit_code == 2 and "Did you mean" in wrong.output and "'heisenberg'" in wrong.output


def test_no_other_command_is_built():
    built = []

    def builder(name):
        def build():
            built.append(name)
            return lambda: print(name)

        return build

    app = typer.Typer()
    app.add_typer(typer.Typer(cls=lazy_group({name: builder(name) for name in ("first", "second")})), name="group")
    done = CliRunner().invoke(app, ["group", "second"])
    assert done.exit_code == 0 and done.output == "second\n" and built == ["second"]
