"""Electrons in molecular orbitals: the full Hamiltonian of quantum chemistry."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tnsim.errors import FileError, SettingsError, check_fields, suggest
from tnsim.models.chemistry.determinants import start_determinant
from tnsim.models.chemistry.fcidump import read_fcidump
from tnsim.models.chemistry.integrals import Integrals
from tnsim.models.chemistry.orbital_order import fiedler_order
from tnsim.models.chemistry.orbital_site import orbital_site
from tnsim.models.filling import check_electrons, conserves
from tnsim.models.model import Fact, Facts, Model, setting
from tnsim.networks.operator_sum import OperatorSum
from tnsim.networks.sites import Site, electron_site

_ORDERS = ("given", "fiedler")
_SPINS = ("up", "down")


@dataclass(frozen=True, kw_only=True)
class QuantumChemistry(Model):
    """core + sum h_pq Cdag_ps C_qs + 1/2 sum (pq|rs) Cdag_ps Cdag_rt C_st C_qs, over orbitals pqrs and spins st.

    The integrals come from an FCIDUMP file, or as arrays in chemists' order (one for both spins, or one for each).
    A site is an orbital. The bond dimension of the Hamiltonian is 2 K^2 + 3 K + 2 in the middle of K orbitals, or
    less where integrals vanish. The product state is a determinant that no move of an electron lowers.

    >>> h, eri = np.diag([-1.0, -0.5]), np.zeros((2, 2, 2, 2))
    >>> eri[0, 0, 0, 0] = 0.7
    >>> model = QuantumChemistry(one_body=h, two_body=eri, electrons=2)
    >>> model.L, model.product_states, model.facts["energy of the start"].value
    (2, ['down', 'up'], -1.5)
    """

    start: ClassVar[str] = "aufbau"
    fcidump: str = setting("", "FCIDUMP file with the integrals")
    electrons: int | None = setting(None, "number of electrons (default: NELEC of the file)")
    twice_spin: int | None = setting(None, "2 Sz (default: MS2 of the file, or 0 or 1)")
    order: str = setting("given", "orbitals on the chain: given, or fiedler (strongly exchanging ones side by side)")
    conserve: str | None = setting("N,Sz", "conserved quantities: N, Sz, parity, irrep with commas, or none")
    irrep: int | None = setting(None, "irrep of the state, 1 to 8 (default: that of the lowest determinant)")
    checksum: str = field(default="", repr=False, metadata={"help": "SHA-256 of the integrals, set when they are read"})
    L: int = setting(0, "number of orbitals (default: that of the file)")
    one_body: InitVar[Any] = None
    two_body: InitVar[Any] = None
    core_energy: InitVar[float] = 0.0
    irreps: InitVar[Sequence[int]] = ()

    def __post_init__(  # type: ignore[override]
        self, one_body: Any, two_body: Any, core_energy: float, irreps: Sequence[int]
    ) -> None:
        # kept under the names of the settings, so that dataclasses.replace hands them on
        self._set({"one_body": one_body, "two_body": two_body, "core_energy": core_energy, "irreps": irreps})
        check_fields(self)
        if self.fcidump and one_body is not None:
            raise SettingsError("QuantumChemistry takes an FCIDUMP file or arrays of integrals, found both.")
        if one_body is not None:
            self._take(Integrals.from_arrays(one_body, two_body, core_energy, irreps))
        elif not (self.checksum and self.L and self.electrons is not None and self.twice_spin is not None):
            if not self.fcidump:
                raise SettingsError("QuantumChemistry needs integrals: fcidump=..., or one_body=... and two_body=...")
            self._take(self._read())
        super().__post_init__()
        if self.order not in _ORDERS:
            raise SettingsError(f"QuantumChemistry: unknown order {self.order!r}. {suggest(self.order, _ORDERS)}")
        self._check_sector()
        if self.irrep is not None and not (self._keeps_irrep and 1 <= self.irrep <= 8):
            raise SettingsError(
                f"QuantumChemistry: irrep = {self.irrep} with conserve = {self.conserve!r}: an irrep is a number from "
                '1 to 8, and is kept by conserve = "N,Sz,irrep".'
            )

    @property
    def _keeps_irrep(self) -> bool:
        return conserves(self.conserve, "irrep")

    @classmethod
    def from_fcidump(
        cls,
        path: str | Path,
        *,
        electrons: int | None = None,
        twice_spin: int | None = None,
        order: str = "given",
        conserve: str | None = "N,Sz",
        irrep: int | None = None,
    ) -> "QuantumChemistry":
        """The Hamiltonian of an FCIDUMP file, in its sector or another one.

        Raises FileError, which names the line, where the file is no proper FCIDUMP of real orbitals.
        """
        return cls(
            fcidump=str(path), electrons=electrons, twice_spin=twice_spin, order=order, conserve=conserve, irrep=irrep
        )

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    # -- integrals -------------------------------------------------------------------------------------

    @cached_property
    def integrals(self) -> Integrals:
        """The integrals, in the order given; read when they are first needed where the file is known by its checksum.

        Raises FileError where the file is gone or changed.
        """
        if not self.fcidump:
            raise SettingsError(
                "these integrals were given as arrays, which a job does not hold: write them with write_fcidump and "
                "start from that file, or give one_body and two_body again."
            )
        return self._read()

    def _take(self, integrals: Integrals) -> None:
        """Settings that were left open follow the integrals."""
        self.__dict__["integrals"] = integrals
        if self.L not in (0, integrals.orbitals):
            raise SettingsError(
                f"QuantumChemistry: L = {self.L}, but there are integrals for {integrals.orbitals} orbitals."
            )
        electrons = integrals.electrons if self.electrons is None else self.electrons
        if electrons is None:
            raise SettingsError("QuantumChemistry needs the number of electrons: electrons=...")
        own = electrons == integrals.electrons and integrals.twice_spin is not None
        twice_spin = (integrals.twice_spin if own else electrons % 2) if self.twice_spin is None else self.twice_spin
        self._set({"L": integrals.orbitals, "electrons": electrons, "twice_spin": twice_spin})
        if not self.fcidump:
            self._set({"checksum": integrals.checksum})

    def _read(self) -> Integrals:
        path = self._found()
        found = sha256(path.read_bytes()).hexdigest()
        if self.checksum and found != self.checksum:
            raise FileError(
                f"{path} is not the file that this run was made from: its SHA-256 is {found[:16]}..., that of the run "
                f"{self.checksum[:16]}...: put the old file back, or start a new run."
            )
        integrals = read_fcidump(path)
        self._set({"fcidump": str(path.resolve()), "checksum": found})
        return integrals

    def _found(self) -> Path:
        """Where the file is: at its path, or, where its checksum is known, under its name in the current folder."""
        path = Path(self.fcidump)
        if path.is_file():
            return path
        if self.checksum and Path(path.name).is_file():
            return Path(path.name)
        known = ", nor in the current folder: put it in either" if self.checksum else ""
        raise FileError(f"there is no FCIDUMP file {path}{known}.")

    def _check_sector(self) -> None:
        electrons, twice_spin = self.electrons, self.twice_spin
        assert electrons is not None and twice_spin is not None
        check_electrons("QuantumChemistry", electrons, twice_spin, self.L)

    @cached_property
    def orbital_order(self) -> tuple[int, ...]:
        """Which orbital is on each site."""
        return tuple(range(self.L)) if self.order == "given" else tuple(fiedler_order(self.integrals))

    # -- Hamiltonian -----------------------------------------------------------------------------------

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        if not self._keeps_irrep:
            return (electron_site(self.conserve),) * self.L
        if not self.integrals.has_irreps:
            raise SettingsError("QuantumChemistry conserves irreps where every orbital has one, 1 to 8: ORBSYM=... .")
        return tuple(orbital_site(self.conserve, self.integrals.irreps[i]) for i in self.orbital_order)

    def operator_sum(self) -> OperatorSum:
        integrals = self.integrals.permuted(self.orbital_order)
        if self._keeps_irrep and integrals.has_irreps:
            integrals = integrals.symmetric()
        upup, updown, downdown = integrals.two_body
        H = OperatorSum()
        if integrals.core_energy:
            H += integrals.core_energy, "Id", 0
        for spin, h, eri in zip(_SPINS, integrals.one_body, (upup, downdown), strict=True):
            p, q = np.nonzero(h)
            H.add_many(h[p, q], f"Cdag_{spin}", p, f"C_{spin}", q)
            # the four orders of two equal spins are one term: p < r and s < q
            exchanged = eri - eri.transpose(0, 3, 2, 1)
            p, q, r, s = np.nonzero(exchanged)
            once = (p < r) & (s < q)
            p, q, r, s = p[once], q[once], r[once], s[once]
            H.add_many(exchanged[p, q, r, s], f"Cdag_{spin}", p, f"Cdag_{spin}", r, f"C_{spin}", s, f"C_{spin}", q)
        p, q, r, s = np.nonzero(updown)
        H.add_many(updown[p, q, r, s], "Cdag_up", p, "Cdag_down", r, "C_down", s, "C_up", q)
        return H

    def infinite_sum(self, cell: int | None = None) -> OperatorSum:
        """SettingsError: a molecule does not repeat."""
        raise SettingsError("QuantumChemistry has no infinite chain: its orbitals do not repeat.")

    # -- states and facts ------------------------------------------------------------------------------

    @cached_property
    def determinant(self) -> tuple[np.ndarray, np.ndarray]:
        """Orbitals (numbers as in the integrals) of the start: of the electrons of spin up and of spin down."""
        assert self.electrons is not None and self.twice_spin is not None
        up = (self.electrons + self.twice_spin) // 2
        return start_determinant(self.integrals, up, self.electrons - up, self.irrep)

    @property
    def product_states(self) -> list[str]:
        """The name of the state of every site in the start determinant."""
        filled = np.zeros((2, self.L), dtype=int)
        for spin, orbitals in enumerate(self.determinant):
            filled[spin, orbitals] = 1
        names = {(0, 0): "empty", (1, 0): "up", (0, 1): "down", (1, 1): "full"}
        return [names[int(filled[0, i]), int(filled[1, i])] for i in self.orbital_order]

    def _patterns(self) -> dict[str, list[str]]:  # type: ignore[override]
        return {"aufbau": self.product_states}

    @property
    def facts(self) -> Facts:
        """The energy of the start determinant, an upper bound; none where the file with the integrals is gone."""
        try:
            energy = self.integrals.determinant_energy(*self.determinant)
        except (FileError, SettingsError):
            return Facts()
        source = "one determinant: Hartree-Fock, if these are its orbitals"
        return Facts((Fact("energy of the start", energy, "bound", source),))
