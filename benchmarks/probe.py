"""Clocks around BLAS and LAPACK, and around the kernels and plan builders of tnsim, for one thread.

`install` puts timed functions in the place of the BLAS and LAPACK symbols that compiled kernels look up when they are
loaded; nothing is compiled again. It has to come before the first kernel runs, in a process of its own.
"""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tnsim.kernels.cpu import CpuKernels, diagonal, growth, half_terms, hamiltonian, reflection, sectors, symbols

# what a routine counts as; all others are LAPACK's
_KINDS = {"gemm": "gemm", "syrk": "gemm", "herk": "gemm", "dot": "dot"}
COUNTERS = ("gemm", "lapack", "dot", "flops")
# arguments that hold the sizes of a product of matrices, by their places, and the flops for each product of sizes:
# those in single precision count half, as SGEMM does two in the time of one, so that rates compare with DGEMM's
_SIZES = {"gemm": ((2, 3, 4), 2), "syrk": ((2, 2, 3), 1), "herk": ((2, 2, 3), 1)}
# kernels by what they are for
_PURPOSES = {
    "lowest": "products", "lowest_few": "products", "leading": "splits", "bases": "splits", "svd_blocks": "splits",
    "qr_blocks": "splits", "lq_blocks": "splits", "eigh_blocks": "splits", "run_products": "environments and moves",
    "copy_blocks": "environments and moves",
}  # fmt: skip
_PLANNERS: dict[ModuleType, tuple[str, ...]] = {
    hamiltonian: ("matvec_rows", "noise_rows"),
    growth: ("environment_rows",),
    reflection: ("runs", "heights", "with_images", "average", "half_sizes", "fold", "unfold"),
    half_terms: ("half_terms",),
    diagonal: ("diagonal_rows",),
    sectors: ("join_rows", "project_rows", "split_rows", "gather_rows", "panels", "fused_keys", "common_keys"),
}
# compiled code lives as long as the process
_ENGINES: list[Any] = []


@dataclass
class Probe:
    """What was spent by purpose, each without what was spent inside of it: seconds, and the counters in them."""

    counters: np.ndarray = field(default_factory=lambda: np.zeros(len(COUNTERS), dtype=np.int64))
    spent: dict[str, np.ndarray] = field(default_factory=dict)
    _open: list[np.ndarray] = field(default_factory=list)

    def now(self) -> np.ndarray:
        return np.array([time.perf_counter(), *self.counters])

    @contextmanager
    def counted(self, purpose: str) -> Iterator[None]:
        before, inside = self.now(), np.zeros(1 + len(COUNTERS))
        self._open.append(inside)
        try:
            yield
        finally:
            total = self.now() - before
            self._open.pop()
            if self._open:
                self._open[-1] += total
            self.spent[purpose] = self.spent.get(purpose, 0.0) + total - inside

    def wrap(self, owner: Any, name: str, purpose: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.counted(purpose):
                return function(*args, **kwargs)

        setattr(owner, name, staticmethod(timed) if isinstance(owner, type) else timed)


def install() -> Probe:
    """Clocks everywhere; counters of libraries are in clock cycles, see `seconds_per_cycle`."""
    probe = Probe()
    place = probe.counters.ctypes.data
    functions = {function.symbol: function for function in symbols.FUNCTIONS.values()}
    engine = _compiled("\n".join(_timed(symbol, function, place) for symbol, function in functions.items()))
    for symbol in functions:
        llvm.add_symbol(symbol, engine.get_function_address(f"timed_{symbol}"))
    for name, purpose in _PURPOSES.items():
        probe.wrap(CpuKernels, name, purpose)
    for module, names in _PLANNERS.items():
        for name in names:
            probe.wrap(module, name, "planning")
    return probe


def _timed(symbol: str, function: Any, place: int) -> str:
    """A function of the same arguments in LLVM's language, which adds its cycles and flops to the counters."""
    routine = symbol.removeprefix("tnsim_")
    result = {"sdot": "float", "ddot": "double"}.get(routine, "void")
    count = len(function.sig.args)
    arguments, types = ", ".join(f"i64 %a{i}" for i in range(count)), ", ".join(["i64"] * count)
    call = f"call {result} inttoptr (i64 {llvm.address_of_symbol(symbol)} to {result} ({types})*)({arguments})"
    lines = [
        f"define {result} @timed_{symbol}({arguments}) {{",
        "%begin = call i64 @llvm.readcyclecounter()",
        call if result == "void" else f"%value = {call}",
        "%end = call i64 @llvm.readcyclecounter()",
        "%took = sub i64 %end, %begin",
        *_add(place + 8 * COUNTERS.index(_KINDS.get(routine[1:], "lapack")), "%took", "t"),
    ]
    if routine[1:] in _SIZES:
        sizes, factor = _SIZES[routine[1:]]
        factor *= 4 if routine[0] in "cz" else 1
        for n, argument in enumerate(sizes):
            lines += [f"%p{n} = inttoptr i64 %a{argument} to i32*", f"%i{n} = load i32, i32* %p{n}"]
            lines += [f"%n{n} = sext i32 %i{n} to i64"]
        lines += ["%area = mul i64 %n0, %n1", "%volume = mul i64 %area, %n2", f"%all = mul i64 %volume, {factor}"]
        lines += [f"%flops = lshr i64 %all, {int(routine[0] in 'sc')}"]
        lines += _add(place + 8 * COUNTERS.index("flops"), "%flops", "f")
    return "\n".join([*lines, "ret void" if result == "void" else f"ret {result} %value", "}"])


def _add(place: int, value: str, name: str) -> list[str]:
    pointer = f"i64* inttoptr (i64 {place} to i64*)"
    load, add = f"%old{name} = load i64, {pointer}", f"%new{name} = add i64 %old{name}, {value}"
    return [load, add, f"store i64 %new{name}, {pointer}"]


def _compiled(source: str) -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly("declare i64 @llvm.readcyclecounter()\n" + source)
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_default_triple().create_target_machine())
    engine.finalize_object()
    _ENGINES.append(engine)
    return engine


def seconds_per_cycle() -> float:
    """Of the counter that the timed functions read."""
    engine = _compiled("define i64 @cycles() {\n%c = call i64 @llvm.readcyclecounter()\nret i64 %c\n}")
    cycles = ctypes.CFUNCTYPE(ctypes.c_int64)(engine.get_function_address("cycles"))
    began, first = time.perf_counter(), cycles()
    time.sleep(0.2)
    return (time.perf_counter() - began) / (cycles() - first)
