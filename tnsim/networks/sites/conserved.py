"""Which of the quantities that a site could conserve are made charges of its states."""

from collections.abc import Mapping, Sequence

from tnsim.errors import SettingsError, suggest
from tnsim.symmetry import TRIVIAL, Charge, Group

Quantities = Mapping[str, tuple[Group, Sequence[int]]]


def conserved(kind: str, conserve: str | None, quantities: Quantities) -> tuple[Group, list[Charge]]:
    """The group and the charge of every state for "N", "N,Sz", ..., or None.

    quantities: group and value in every state, by name. Raises SettingsError for an unknown or repeated name.

    >>> from tnsim.symmetry import U1, Zn
    >>> conserved("boson", "N", {"N": (U1("N"), [0, 1, 2]), "parity": (Zn(2, "parity"), [0, 1, 0])})
    (U(1) N, [(0,), (1,), (2,)])
    """
    size = len(next(iter(quantities.values()))[1])
    none: list[Charge] = [()] * size
    if conserve in (None, "None", "none"):
        return TRIVIAL, none
    names = str(conserve).replace(",", " ").split()
    unknown = [name for name in names if name not in quantities]
    if unknown or not names or len(set(names)) < len(names):
        one = unknown[0] if unknown else str(conserve)
        several = ", several with a comma between," if len(quantities) > 2 else ""
        raise SettingsError(
            f"a {kind} site conserves {', '.join(map(repr, quantities))}{several} or None, found {conserve!r}. "
            f"{suggest(one, quantities)}"
        )
    group, charges = TRIVIAL, none
    for name in names:
        part, values = quantities[name]
        group = group * part
        charges = [(*charge, *part.charge(value)) for charge, value in zip(charges, values, strict=True)]
    return group, charges
