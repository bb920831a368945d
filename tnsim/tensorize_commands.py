"""The commands `tnsim tensorize profile | compress | report | verify`."""

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import typer
from rich.table import Table

import tnsim.tensorize as tz
from tnsim.errors import FileError, NumericalError, SettingsError
from tnsim.io.atomic import check_writable
from tnsim.runner import make_console
from tnsim.tensorize.artifact_page import CHAIN_COLUMNS, artifact_facts, artifact_page, chain_rows
from tnsim.tensorize.artifact_seal import file_hash
from tnsim.tensorize.html_report import write_text

app = typer.Typer(no_args_is_help=True, help="Weights of neural networks as chains of small cores.")

_BATCH = 64
_Checkpoint = Annotated[Path, typer.Argument(help="weights: safetensors or npz; with --arch also .pt (weights only)")]
_Arch = Annotated[str, typer.Option(help="module:function that builds the model; without, plain matrices")]
_Data = Annotated[Path | None, typer.Option(help="npz of activations by matrix; with --arch: inputs of the model")]
_Evaluate = Annotated[str, typer.Option(help="module:function of the model, a loss (the lower the better)")]
_Key = Annotated[Path | None, typer.Option(help="file that holds the key for signatures")]


@app.command()
def profile(
    checkpoint: _Checkpoint,
    data: _Data = None,
    arch: _Arch = "",
    evaluate: _Evaluate = "",
    ratio: Annotated[float, typer.Option(help="how much smaller the matrices are made to judge them")] = 4.0,
    out: Annotated[Path | None, typer.Option(help="JSON file to write")] = None,
) -> None:
    """How compressible every layer is: entropies beside those of noise, and errors at one ratio."""
    _check_targets([checkpoint, data], [out])
    if arch:
        model = _model(arch, checkpoint)
        found: Any = tz.profile(model, _grams(model, data), evaluate=_named(evaluate, "--evaluate"), ratio=ratio)
    else:
        _refuse_without_arch(evaluate)
        found = tz.compress_matrices(tz.Weights(checkpoint), tz.Budget(ratio=ratio), _plain_grams(data)).report
    console = make_console()
    console.print(found)
    if out:
        table = {"source": str(checkpoint), "source_sha256": file_hash(checkpoint), "profile": found.to_json()}
        console.print(f"written to {write_text(out, _json(table))}", soft_wrap=True)


@dataclass(frozen=True)
class Compression:
    """What `tnsim tensorize compress` can be asked for."""

    checkpoint: _Checkpoint
    out: Annotated[Path, typer.Option(help="file to write; .html and .json go beside it")]
    data: _Data = None
    arch: _Arch = ""
    evaluate: _Evaluate = ""
    ratio: Annotated[float, typer.Option(help="numbers of the matrices, divided by this")] = 0.0
    params: Annotated[int, typer.Option(help="or: so many numbers")] = 0
    bytes: Annotated[int, typer.Option(help="or: so many bytes")] = 0
    accept: Annotated[float | None, typer.Option(help="largest rise of the loss")] = None
    strategy: Annotated[str, typer.Option(help="lagrange, greedy, uniform; default: lagrange with --evaluate")] = ""
    quantize: Annotated[str, typer.Option(help="int8, int4 or fp8: the cores in few bits as well")] = ""
    key_file: _Key = None
    profile: Annotated[Path | None, typer.Option(help="JSON of an earlier profile of these weights")] = None

    @property
    def budget(self) -> Any:
        """One of ratio, params, bytes; SettingsError for none or more."""
        return tz.Budget(ratio=self.ratio, params=self.params, bytes=self.bytes)

    @property
    def key(self) -> Any:
        """What the file is signed with, or None."""
        return _key(self.key_file)


def _compress_command() -> Callable[..., None]:
    """`tnsim tensorize compress`, with a flag for each field."""

    def compress(**given: Any) -> None:
        """Make a checkpoint smaller; writes the sealed file, its report as HTML and JSON, the way back to the dense."""
        _compress(Compression(**given))

    compress.__signature__ = inspect.signature(Compression)  # type: ignore[attr-defined]
    compress.__annotations__ = get_type_hints(Compression, include_extras=True)
    return compress


app.command("compress")(_compress_command())


def _compress(asked: Compression) -> None:
    page, table = asked.out.with_suffix(".html"), asked.out.with_suffix(".json")
    _check_targets([asked.checkpoint, asked.data, asked.key_file, asked.profile], [asked.out, page, table])
    # what would be met at the end only, after hours perhaps
    key, _ = asked.key, asked.quantize and tz.Quantization.of(asked.quantize)
    if asked.profile:
        check_profile(asked.profile, asked.checkpoint)
    console = make_console()
    (_of_model if asked.arch else _of_matrices)(asked, console)
    file = tz.ChainFile(asked.out, key=key)
    write_text(page, artifact_page(file))
    write_text(table, _json(_report_table(file)))
    console.print(f"written to {asked.out} (report: {page.name}, {table.name})", soft_wrap=True)
    console.print(f"the dense network stays in {asked.checkpoint.resolve()}", soft_wrap=True)


def _of_matrices(asked: Compression, console: Any) -> None:
    """Each matrix of a plain checkpoint for itself."""
    _refuse_without_arch(asked.evaluate)
    if asked.accept is not None or asked.strategy not in ("", "uniform"):
        raise SettingsError("--accept and --strategy need the whole model: give --arch and --evaluate.")
    found = tz.compress_matrices(tz.Weights(asked.checkpoint), asked.budget, _plain_grams(asked.data))
    console.print(found.report)
    rule = tz.Quantization.of(asked.quantize) if asked.quantize else None
    chains = {name: rule.quantize(chain) if rule else chain for name, chain in found.chains.items()}
    notes = {
        "metrics": found.report.to_json(),
        "fallback": str(asked.checkpoint.resolve()),
        "status": "compressed, not evaluated",
        "seed": "none, nothing is random",
    }
    tz.save_chains(asked.out, chains, arrays=found.arrays, source=asked.checkpoint, notes=notes, key=asked.key)


def _of_model(asked: Compression, console: Any) -> None:
    """A whole network, evaluated where there is a function for it."""
    model = _model(asked.arch, asked.checkpoint)
    loss = _named(asked.evaluate, "--evaluate")
    strategy = asked.strategy or ("lagrange" if loss else "uniform")
    table = check_profile(asked.profile, asked.checkpoint)["profile"] if asked.profile else {}
    result = tz.tensorize(
        model, asked.budget, _grams(model, asked.data), evaluate=loss, accept=asked.accept,
        allocation=tz.Allocation(strategy=strategy),
        # a profile of the plain matrices has no losses to spare a screening with
        measured=tz.Profile.from_json(table) if "weights_sha256" in table else None,
    )  # fmt: skip
    console.print(result.report.layer_table())
    if asked.quantize:
        result.quantize(asked.quantize)
    console.print(result.report)
    if result.status.advice:
        console.print(result.status.advice, style="yellow", soft_wrap=True)
    result.save(asked.out, source=asked.checkpoint, key=asked.key)


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="file that compress wrote")],
    html: Annotated[Path | None, typer.Option(help="page to write")] = None,
    table: Annotated[Path | None, typer.Option("--json", help="JSON file to write")] = None,
    key_file: _Key = None,
) -> None:
    """What a compressed file holds, and what was measured when it was made."""
    _check_targets([file, key_file], [html, table])
    found, console = tz.ChainFile(file, key=_key(key_file)), make_console()
    for name, value in artifact_facts(found).items():
        console.print(f"{name}: {value}", soft_wrap=True, highlight=False)
    shown = Table(*CHAIN_COLUMNS)
    for row in chain_rows(found):
        shown.add_row(*row)
    console.print(shown)
    if html:
        console.print(f"written to {write_text(html, artifact_page(found))}", soft_wrap=True)
    if table:
        console.print(f"written to {write_text(table, _json(_report_table(found)))}", soft_wrap=True)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="file that compress wrote")],
    against: Annotated[Path | None, typer.Option(help="the checkpoint that it was made from")] = None,
    key_file: _Key = None,
) -> None:
    """Check seal, signature, source and numbers of a file; the errors of its matrices where the source is given."""
    found, console = tz.ChainFile(file, key=_key(key_file)), make_console()
    console.print(f"seal fits{', signature fits' if key_file else ''}: {file}", soft_wrap=True)
    if against:
        found.check_source(against)
        console.print(f"made from {against}", soft_wrap=True)
    shown = Table("layer", "shape", "finite", "error of the numbers")
    for name, error in _errors(found, against):
        shown.add_row(name, "x".join(map(str, found.layout[name]["shape"])), "yes", error)
    for name in found.arrays:
        array = found.array(name)
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise NumericalError(f"the array {name!r} of {file} holds NaN or Inf.")
    console.print(shown)
    console.print("verified")


def check_profile(path: Path, checkpoint: Path) -> dict[str, Any]:
    """A profile that `tnsim tensorize profile --out` wrote. FileError where it is of other weights, or none."""
    try:
        found = json.loads(path.read_text())
        made_from = found["source_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is no profile: write one with tnsim tensorize profile --out.") from error
    if made_from != file_hash(checkpoint):
        raise FileError(f"{path} was made from other weights than {checkpoint} holds now: profile it again.")
    return found


def _errors(file: Any, against: Path | None) -> Iterator[tuple[str, str]]:
    weights = tz.Weights(against) if against and against.suffix in (".safetensors", ".npz") else {}
    for name in file:
        matrix = file[name].to_matrix()
        if not np.isfinite(matrix).all():
            raise NumericalError(f"the chain {name!r} of {file.path} holds NaN or Inf.")
        key = next((word for word in (name, f"{name}.weight") if word in weights), None)
        yield name, "-" if key is None else _error_of_numbers(matrix, np.asarray(weights[key]))


def _error_of_numbers(matrix: np.ndarray, dense: np.ndarray) -> str:
    """Relative, against a weight of any axes; tables of vectors are stored the other way round."""
    flat = dense if dense.ndim == 2 else dense.reshape(len(dense), -1)
    flat = flat if flat.shape == matrix.shape else flat.T
    if flat.shape != matrix.shape:
        return "other shape"
    return f"{np.linalg.norm(matrix - flat) / max(float(np.linalg.norm(flat)), 1e-300):.4f}"


def _report_table(file: Any) -> dict[str, Any]:
    rows = [dict(zip(CHAIN_COLUMNS, row, strict=True)) for row in chain_rows(file)]
    return {"file": artifact_facts(file), "chains": rows, "measured": file.notes.get("metrics", {})}


def _json(table: dict[str, Any]) -> str:
    return json.dumps(_finite(table), indent=1, default=str, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """With null for NaN and Inf (no line, no loss), which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _check_targets(sources: Sequence[Path | None], targets: Sequence[Path | None]) -> None:
    """FileError where a target cannot be written, or would replace a source or another target."""
    taken = {path.resolve() for path in sources if path is not None}
    for path in targets:
        if path is None:
            continue
        check_writable(path)
        if path.resolve() in taken:
            raise FileError(f"{path} would replace a file that is needed, or another output: choose another name.")
        taken.add(path.resolve())


def _key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise FileError(f"the key {path} cannot be read: {error.strerror}.") from error
    if not key:
        raise FileError(f"the key {path} is empty: write at least 16 random bytes.")
    return key


def _refuse_without_arch(evaluate: str) -> None:
    if evaluate:
        raise SettingsError("--evaluate is called with a model: give --arch too.")


def _named(word: str, flag: str) -> Any:
    """What "module:name" stands for; modules beside the working folder are found. None for no word."""
    if not word:
        return None
    module, colon, name = word.partition(":")
    if not colon or not name:
        raise SettingsError(f"{flag} is written module:function, found {word!r}.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise SettingsError(f"{flag}: the module {module!r} cannot be imported: {error}") from error
    except AttributeError as error:
        raise SettingsError(f"{flag}: the module {module!r} has no {name!r}.") from error
    if not callable(found):
        raise SettingsError(f"{flag} names a function, but {word} is a {type(found).__name__}.")
    return found


def _model(arch: str, checkpoint: Path) -> Any:
    build = _named(arch, "--arch")
    try:
        model = build()
    except Exception as error:
        raise SettingsError(f"--arch {arch} builds no model: it raised {type(error).__name__}: {error}") from error
    if not hasattr(model, "load_state_dict"):
        raise SettingsError(f"--arch {arch} builds a {type(model).__name__}, but a model of PyTorch is needed.")
    try:
        model.load_state_dict(tz.read_torch(checkpoint))
    except RuntimeError as error:
        raise SettingsError(f"{checkpoint} does not fit the model of --arch {arch}: {error}") from error
    return model.eval()


def _plain_grams(data: Path | None) -> dict[str, Any]:
    if data is None:
        return {}
    return {name: tz.Gram.collect([array], name=name) for name, array in tz.read_arrays(data).items()}


def _grams(model: Any, data: Path | None) -> dict[str, Any] | None:
    """Activations of a model: gathered from its inputs, the one array (or that called "inputs") of an npz."""
    if data is None:
        return None
    arrays = tz.read_arrays(data)
    if "inputs" not in arrays and len(arrays) != 1:
        raise SettingsError(f'{data} holds {", ".join(arrays)}: the inputs of the model are the one array "inputs".')
    inputs = arrays.get("inputs", next(iter(arrays.values())))
    return tz.collect_inputs(model, inputs, _BATCH)
