"""The floors and the style of the source tree, read from its syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {
    "errors": 0, "kernels": 1, "backend": 2, "symmetry": 3, "tensor": 4, "linalg": 5, "networks": 6,
    "models": 7, "measure": 7, "algorithms": 8, "tensorize": 9, "io": 9, "plotting": 10, "monitor": 10, "cli": 10,
    "doctor": 10, "evolution_runner": 10, "file_run": 10, "lazy_commands": 10, "peps_runner": 10, "plane_runner": 10,
    "runner": 10, "tensorize_commands": 10, "version": 0,
}  # fmt: skip
# the package itself hands out the public names lazily, and finds kernels/ and models/ in a checkout
OUTSIDE = {"tnsim/__init__.py", "tnsim/_source_tree.py", "tnsim/__main__.py"}
# neighbours on one floor that do not know each other
STRANGERS = [("models", "measure"), ("measure", "models")]
HEAVY = {"cupy": ("backend", "kernels"), "cupyx": ("backend", "kernels"), "torch": ("tensorize", "backend")}

# imports inside functions: (file, imported package) and why it is not at the top
LATE_IMPORTS = {
    ("kernels/__init__.py", "numba"): "the cache directory is settled before Numba is asked for kernels",
    ("models/exact/integral.py", "scipy.integrate"): "20 MB and a tenth of a second, which only exact answers need",
    ("tnsim/backend/registry.py", "tnsim.backend.cupy_backend"): "CuPy is optional",
    ("tnsim/backend/threads.py", "numba"): "the thread count is set where kernels are in use",
    ("tnsim/backend/threads.py", "scipy.linalg"): "its BLAS has to be loaded before the libraries are listed",
    ("tnsim/backend/threads.py", "threadpoolctl"): "looks at the loaded libraries, so after them",
    ("tnsim/io/openqasm.py", "openqasm3"): "an extra",
}
LATE_ANYWHERE = {"matplotlib": "half a second, and optional", "cupy": "optional, and needs a driver"}

MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS = 450, 70, 8
# compiled kernels take raw buffers and integers one by one, and keep what they inline in one file
LONG_FUNCTIONS: dict[str, str] = {}
MANY_PARAMETERS = "kernels/"


@cache
def sources() -> tuple[str, ...]:
    """Paths of all library files, from the root."""
    folders = ("tnsim", "kernels", "models")
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(sorted(path.relative_to(ROOT).as_posix() for path in found))


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def module_of(path: str) -> str:
    """The import name of a file."""
    parts = Path(path).with_suffix("").parts
    parts = parts if parts[0] == "tnsim" else ("tnsim", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources()}


def section_of(module: str) -> str:
    """The part of the library that a module lies in: the name behind `tnsim.`."""
    return module.split(".")[1] if "." in module else ""


def imported(node: ast.AST) -> Iterator[str]:
    """Modules that an import statement asks for, as precisely as the tree tells."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: relative imports hide the floor"
        for alias in node.names:
            longer = f"{node.module}.{alias.name}"
            yield longer if longer in MODULES else str(node.module)


@cache
def nodes(path: str) -> tuple[ast.AST, ...]:
    """All of a syntax tree, walked once."""
    return tuple(ast.walk(tree(path)))


@cache
def imports(path: str) -> list[tuple[str, int]]:
    return [(name, node.lineno) for node in nodes(path) for name in imported(node)]


def at_run_time(path: str) -> set[str]:
    """What is imported when the module is: all but what stands under `if TYPE_CHECKING`."""
    for_types = {
        node
        for branch in nodes(path)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    return {name for node in nodes(path) if node not in for_types for name in imported(node)}


def functions(path: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_the_tree_is_found():
    assert len(sources()) > 40 and "tnsim.kernels.cpu.products" in MODULES and "tnsim.models" in MODULES
    assert {section_of(module) for module in MODULES} - {""} <= set(FLOORS) | {"_source_tree", "__main__"}


def test_imports_go_down():
    problems = []
    for path in sources():
        if path in OUTSIDE:
            continue
        here = section_of(module_of(path))
        for name, line in imports(path):
            if name.split(".")[0] != "tnsim":
                continue
            there = section_of(name)
            if there not in FLOORS:
                problems.append(f"{path}:{line} imports {name}: name the module, the package itself is the user's door")
            elif FLOORS[there] > FLOORS[here] or (here, there) in STRANGERS:
                problems.append(f"{path}:{line} ({here}, floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})")
    report(problems)


def test_no_import_cycles():
    """Modules in an order in which each comes after all that it imports; what is left over has a cycle."""
    waiting = {
        module: {name for name in at_run_time(path) if name in MODULES and name != module}
        for module, path in MODULES.items()
        if path not in OUTSIDE
    }
    while ready := [module for module, needs in waiting.items() if not needs & set(waiting)]:
        for module in ready:
            del waiting[module]
    report([f"{module} is in or behind a cycle: {sorted(needs & set(waiting))}" for module, needs in waiting.items()])


def test_heavy_libraries_stay_in_their_place():
    problems = []
    for path in sources():
        for name, line in imports(path):
            allowed = HEAVY.get(name.split(".")[0])
            if allowed and section_of(module_of(path)) not in allowed:
                problems.append(f"{path}:{line} imports {name}, which belongs in {allowed}")
    report(problems)


def test_the_packages_beside_tnsim_are_never_imported_by_their_short_name():
    short = [
        f"{path}:{line} imports {name}"
        for path in sources()
        for name, line in imports(path)
        if name.split(".")[0] in ("kernels", "models")
    ]
    report(short)


def test_imports_stand_at_the_top():
    problems, used = [], set()
    for path in sources():
        for function in functions(path):
            for node in ast.walk(function):
                for name in imported(node):
                    if (path, name) in LATE_IMPORTS:
                        used.add((path, name))
                    elif name.split(".")[0] not in LATE_ANYWHERE and not _is_cli(path):
                        problems.append(f"{path}:{node.lineno} imports {name} inside {function.name}")
    problems += [f"LATE_IMPORTS allows {entry}, which is gone" for entry in set(LATE_IMPORTS) - used]
    report(problems)


def _is_cli(path: str) -> bool:
    """The command line starts quickly: commands import what they run, and their flags are made from settings."""
    return path in ("tnsim/cli.py", "tnsim/lazy_commands.py", "tnsim/tensorize_commands.py")


def _calls(path: str, name: str) -> list[int]:
    return [
        node.lineno
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def test_the_library_does_not_print():
    report([f"{path}:{line} prints" for path in sources() if not _is_cli(path) for line in _calls(path, "print")])


def test_nothing_is_left_undone():
    problems = []
    for path in sources():
        text = (ROOT / path).read_text(encoding="utf-8")
        names = {node.id for node in nodes(path) if isinstance(node, ast.Name)}
        problems += [f"{path} raises NotImplementedError" for name in names & {"NotImplementedError"} if name]
        problems += [f"{path} holds {word}" for word in ("TODO", "FIXME", "XXX", "HACK") if word in text]
    report(problems)


def test_nothing_is_pickled_or_evaluated():
    banned = ("pickle", "dill", "cloudpickle", "marshal", "shelve")
    problems = [
        f"{path}:{line} imports {name}"
        for path in sources()
        for name, line in imports(path)
        if name.split(".")[0] in banned
    ]
    for path in sources():
        problems += [f"{path}:{line} calls {name}" for name in ("eval", "exec") for line in _calls(path, name)]
    report(problems)


def test_files_and_functions_stay_readable():
    problems, used = [], set()
    for path in sources():
        lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
        if lines > MAX_FILE:
            problems.append(f"{path}: {lines} lines, at most {MAX_FILE}")
        for function in functions(path):
            length = function.end_lineno - function.lineno + 1
            arguments = function.args
            count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
            name = f"{path}:{function.name}"
            if length > MAX_FUNCTION and name in LONG_FUNCTIONS:
                used.add(name)
            elif length > MAX_FUNCTION:
                problems.append(f"{name}: {length} lines, at most {MAX_FUNCTION}")
            if count > MAX_PARAMETERS and not path.startswith(MANY_PARAMETERS):
                problems.append(f"{name}: {count} parameters, at most {MAX_PARAMETERS}")
    problems += [f"LONG_FUNCTIONS allows {name}, which is short or gone" for name in set(LONG_FUNCTIONS) - used]
    report(problems)


def test_public_functions_have_docstrings():
    problems = []
    for path in sources():
        if not ast.get_docstring(tree(path)):
            problems.append(f"{path} has no docstring")
        for node in tree(path).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            overloads = [d for d in node.decorator_list if isinstance(d, ast.Name) and d.id == "overload"]
            if not ast.get_docstring(node) and not overloads:
                problems.append(f"{path}:{node.lineno} {node.name} has no docstring")
    report(problems)


@pytest.mark.parametrize("name", ["utils", "misc", "common", "core", "helpers"])
def test_no_drawer_files(name):
    report([path for path in sources() if Path(path).stem == name])


def test_classes_hold_state_not_everything():
    problems = []
    for path in sources():
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                public = [f for f in node.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")]
                if len(public) > 25:
                    problems.append(f"{path}:{node.name} has {len(public)} public methods, at most 25")
    report(problems)


def test_options_are_not_passed_blindly():
    """No **kwargs below the command line; a layer that stands in for another takes what that one takes."""
    report(
        [
            f"{path}:{function.name} takes **{function.args.kwarg.arg}"
            for path in sources()
            if not _is_cli(path)
            for function in functions(path)
            if function.args.kwarg and not ("tensorize/nn/" in str(path) and function.name == "forward")
        ]
    )
