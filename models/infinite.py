"""Models on the infinite chain: the terms that repeat, read off from longer ones."""

from dataclasses import replace
from typing import Any

from tnsim.errors import SettingsError
from tnsim.networks.infinite_mpo import InfiniteMPO
from tnsim.networks.operator_sum import OperatorSum, Term

# chains of so many cells are looked at; terms that reach further do not repeat within them
_CELLS = 6


def infinite_sum(model: Any, cell: int | None = None) -> OperatorSum:
    """The terms of a model that begin in one cell of `cell` sites (the model's L unless given).

    Raises SettingsError where the terms differ from cell to cell, or reach over more than a few cells.
    """
    size = model.L if cell is None else cell
    if size < 1 or model.L % size:
        raise SettingsError(f"a cell of {size} sites does not fit L = {model.L}: L must be a multiple of it.")
    chain = model.of_length(_CELLS * size).operator_sum().written_out()
    first, second = (_terms_from(chain, k * size, size) for k in (1, 2))
    if first != second:
        raise SettingsError(
            f"{type(model).__name__} does not repeat every {size} sites, or its couplings reach over "
            f"{_CELLS - 2} cells and more: use a larger cell, or write an OperatorSum with exponentials."
        )
    return OperatorSum(first, chain.exponentials)


def infinite_mpo(model: Any, cell: int | None = None) -> InfiniteMPO:
    """The Hamiltonian per unit cell as an infinite MPO; see `infinite_sum`.

    >>> from tnsim.models import Heisenberg
    >>> infinite_mpo(Heisenberg(L=2))
    InfiniteMPO with a cell of 2 sites, bond dimensions 5 5, float64 on numpy
    """
    H = model.infinite_sum(cell)
    return InfiniteMPO.from_sum(H, model.infinite_sites[: model.L if cell is None else cell])


def _terms_from(chain: OperatorSum, start: int, size: int) -> list[Term]:
    """The terms whose first site lies in a cell, moved to the origin."""
    found = [term for term in chain.terms if start <= min(i for _, i in term.factors) < start + size]
    return [replace(term, factors=tuple((op, i - start) for op, i in term.factors)) for term in found]
