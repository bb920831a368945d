"""FCIDUMP files: integrals as text, one element a line behind a Fortran namelist.

Source: P. J. Knowles, N. C. Handy, Comput. Phys. Commun. 54, 75 (1989). Unrestricted files (IUHF=1) as Molpro and
block2 write them: up-up, down-down and up-down integrals, then h of spin up and of spin down, each ended by a line
of zeros, then the core energy.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tnsim.errors import FileError
from tnsim.models.chemistry.integrals import SYMMETRY_TOLERANCE, Integrals
from tnsim.models.filling import check_electrons

_BLOCKS = ("up-up (ij|kl)", "down-down (ij|kl)", "up-down (ij|kl)", "h of spin up", "h of spin down")
_TWO, _ONE, _CORE, _LEVEL, _WRONG = range(5)


@dataclass(frozen=True)
class _Lines:
    """The body of a file: value, four indices and line number of every element."""

    path: Path
    values: np.ndarray
    indices: np.ndarray
    numbers: np.ndarray

    @property
    def kinds(self) -> np.ndarray:
        """What each line holds: (ij|kl), h_ij, the core energy, an orbital energy, or nothing that has a meaning."""
        i, j, k, l = (self.indices > 0).T  # noqa: E741
        rules = [i & j & k & l, i & j & ~k & ~l, ~(i | j | k | l), i & ~(j | k | l)]
        return np.select(rules, [_TWO, _ONE, _CORE, _LEVEL], _WRONG)

    def part(self, chosen: np.ndarray | slice) -> "_Lines":
        return _Lines(self.path, self.values[chosen], self.indices[chosen], self.numbers[chosen])

    def text(self, row: int) -> str:
        """The element as a message shows it."""
        return f"{self.values[row]:.12g} for {' '.join(map(str, self.indices[row]))}"

    def fail(self, row: int, problem: str) -> FileError:
        return FileError(f"{self.path}, line {self.numbers[row]}: {problem}")


def read_fcidump(path: str | Path) -> Integrals:
    """The integrals of an FCIDUMP file, restricted or unrestricted (IUHF=1), of real orbitals.

    Elements may stand in any order and with any of the indices that the symmetry of real orbitals makes equal;
    elements that are not listed are zero, orbital energies are skipped. Raises FileError with the line for a
    missing NORB or NELEC, an index out of range, lines that contradict each other (a Hamiltonian that is not
    Hermitian), wrong counts, numbers that are none, no core energy, and integrals that ORBSYM forbids.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} cannot be read as an FCIDUMP text file: {error}") from error
    header, length = _header(path, lines)
    K = header["NORB"][0]
    body = _body(path, lines, length)
    _check_indices(body, K)
    one, two, core, used = _unrestricted(body, K) if header["IUHF"][0] else _restricted(body, K)
    if not used.all():
        raise FileError(
            f"{path}: orbital {int(np.flatnonzero(~used)[0]) + 1} is in no integral, though NORB = {K}: the file is "
            "cut short, or NORB too large."
        )
    integrals = Integrals(one, two, core, header["NELEC"][0], header["MS2"][0], tuple(header["ORBSYM"]))
    if problem := integrals.forbidden():
        raise FileError(f"{path}: {problem} (ORBSYM): correct ORBSYM, or leave it out.")
    return integrals


# -- header --------------------------------------------------------------------------------------------


def _header(path: Path, lines: list[str]) -> tuple[dict[str, list[int]], int]:
    """The namelist, and how many lines it takes."""
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    found = "".join(lines[first : first + 1])
    if not re.match(r"\s*[&$]FCI\b", found, re.IGNORECASE):
        raise FileError(f"{path}, line {first + 1}: an FCIDUMP file begins with &FCI, found {found[:40]!r}.")
    end = next((n for n, line in enumerate(lines) if re.search(r"[&$]END\b|/", line, re.IGNORECASE)), None)
    if end is None:
        raise FileError(f"{path}: the header that begins with &FCI is not closed: it ends with &END or /.")
    text = re.sub(r"[&$]END\b.*|/.*|^\s*[&$]FCI", " ", "\n".join(lines[: end + 1]), flags=re.IGNORECASE)
    table = {name.upper(): value for name, value in re.findall(r"(\w+)\s*=\s*([^=]*?)(?=\s*,?\s*\w+\s*=|\s*$)", text)}
    header = {name: _integers(path, lines, name, table[name]) if name in table else [] for name in _CHECKS}
    for name in ("NORB", "NELEC"):
        if not header[name]:
            raise FileError(f"{path}: the header (lines 1 to {end + 1}) has no {name}: add {name}=... behind &FCI.")
    K, electrons = header["NORB"][0], header["NELEC"][0]
    defaults = {"MS2": [electrons % 2], "IUHF": [0], "UHF": [0], "ORBSYM": []}
    header |= {name: header[name] or value for name, value in defaults.items()}
    for name, (count, fits, wanted) in _CHECKS.items():
        values = header[name]
        if len(values) not in (count or K, 0 if name == "ORBSYM" else 1):
            found = f"{len(values)} numbers"
        elif any(not fits(value, K, electrons) for value in values):
            found = " ".join(map(str, values))
        else:
            continue
        wanted = wanted.format(K=K, room=2 * K, most=min(electrons, 2 * K - electrons))
        raise FileError(f"{path}, line {_line_of(lines, name)}: {name} must be {wanted}, found {found}.")
    return header, end + 1


# name: how many numbers (0: NORB), which are right, and in words
_CHECKS: dict[str, tuple[int, Callable[[int, int, int], bool], str]] = {
    "NORB": (1, lambda value, K, n: value >= 1, "a number of orbitals, at least 1"),
    "NELEC": (1, lambda value, K, n: 0 <= value <= 2 * K, "0 to {room} electrons, two for each of {K} orbitals"),
    "MS2": (
        1,
        lambda value, K, n: abs(value) <= min(n, 2 * K - n) and (value - n) % 2 == 0,
        "2 Sz of the electrons, -{most} to {most} in steps of 2",
    ),
    "IUHF": (1, lambda value, K, n: value in (0, 1), "0 or 1"),
    "UHF": (
        1,
        lambda value, K, n: value == 0,
        ".FALSE.: files of spin orbitals are not read; write an unrestricted one as five blocks, with IUHF=1",
    ),
    "ORBSYM": (0, lambda value, K, n: True, "one irrep for each of the {K} orbitals"),
}


def _integers(path: Path, lines: list[str], name: str, text: str) -> list[int]:
    """Values of a namelist entry: integers, .TRUE. and .FALSE., and repetitions such as 4*1."""
    result: list[int] = []
    for word in text.replace(",", " ").split():
        found = re.fullmatch(r"(?:(\d+)\*)?([-+]?\d+|\.?[TF](?:RUE|ALSE)?\.?)", word, re.IGNORECASE)
        if found is None:
            raise FileError(f"{path}, line {_line_of(lines, name)}: {name} takes whole numbers, found {word!r}.")
        letter = found[2].strip(".")[0].upper()
        value = int(letter == "T") if letter in "TF" else int(found[2])
        result += [value] * int(found[1] or 1)
    return result


def _line_of(lines: list[str], name: str) -> int:
    return next((n for n, line in enumerate(lines, 1) if re.search(rf"\b{name}\s*=", line, re.IGNORECASE)), 1)


# -- body ----------------------------------------------------------------------------------------------


def _body(path: Path, lines: list[str], start: int) -> _Lines:
    """All elements behind the header, as numbers."""
    numbers = [n for n in range(start, len(lines)) if lines[n].strip()]
    words = " ".join(lines[n] for n in numbers).replace("D", "E").replace("d", "e").split()
    try:
        table = np.array(words, dtype=np.float64)
    except ValueError:
        table = np.zeros(0)
    counts_fit = len(table) == 5 * len(numbers) and all(len(lines[n].split()) == 5 for n in numbers)
    if not counts_fit or not (table.reshape(-1, 5)[:, 1:] % 1 == 0).all() or not np.isfinite(table).all():
        for n in numbers:
            _check_line(path, n + 1, lines[n])
    table = table.reshape(-1, 5)
    return _Lines(path, table[:, 0], table[:, 1:].astype(np.int64), np.array(numbers, dtype=np.int64) + 1)


def _check_line(path: Path, number: int, line: str) -> None:
    """FileError unless the line is a number and four indices."""
    words = line.replace("D", "E").replace("d", "e").split()
    if len(words) != 5 or not all(re.fullmatch(r"\d+", word) for word in words[1:]):
        raise FileError(f"{path}, line {number}: an element is a real number and four indices, found {line.strip()!r}.")
    try:
        value = float(words[0])
    except ValueError as error:
        hint = ": complex integrals are not read" if "(" in line else ""
        raise FileError(f"{path}, line {number}: {words[0]!r} is no number{hint}.") from error
    if not np.isfinite(value):
        raise FileError(f"{path}, line {number}: the integral is {words[0]}: it must be finite.")


def _check_indices(body: _Lines, K: int) -> None:
    out = np.flatnonzero(((body.indices < 0) | (body.indices > K)).any(axis=1))
    if len(out):
        worst = next(index for index in body.indices[out[0]].tolist() if not 0 <= index <= K)
        hint = " (an unrestricted file numbers the orbitals of each spin from 1 to NORB)" if K < worst <= 2 * K else ""
        raise body.fail(out[0], f"index {worst} is out of range, orbitals are 1 to NORB = {K}{hint}.")
    wrong = np.flatnonzero(body.kinds == _WRONG)
    if len(wrong):
        found = " ".join(map(str, body.indices[wrong[0]]))
        raise body.fail(wrong[0], f"the indices {found} name no integral: i j k l, i j 0 0 or 0 0 0 0.")


def _restricted(body: _Lines, K: int):
    """Arrays for both spins, the core energy, and which orbitals were met."""
    kinds = body.kinds
    core = np.flatnonzero(kinds == _CORE)
    if len(core) == 0:
        raise FileError(
            f"{body.path} has no line for the core energy (0 0 0 0), so it may be cut short: add '0.0 0 0 0 0' if it "
            "is zero."
        )
    differing = core[np.abs(body.values[core] - body.values[core[0]]) > SYMMETRY_TOLERANCE]
    if len(differing):
        hint = " (an unrestricted file needs IUHF=1 in its header)"
        raise body.fail(
            differing[0],
            f"a second core energy {body.values[differing[0]]:.12g}, after {body.values[core[0]]:.12g} in line "
            f"{body.numbers[core[0]]}{hint}.",
        )
    h = _filled(body.part(kinds == _ONE), K, 2, pairs_alike=True)
    eri = _filled(body.part(kinds == _TWO), K, 4, pairs_alike=True)
    return (h, h), (eri, eri, eri), float(body.values[core[0]]), _met(body, K)


def _unrestricted(body: _Lines, K: int):
    """The same from six blocks that end with a line of zeros each, the last with the core energy."""
    kinds = body.kinds
    ends = np.flatnonzero(kinds == _CORE)
    if len(ends) != 6 or ends[-1] != len(kinds) - 1:
        raise FileError(
            f"{body.path}: with IUHF=1 the file has five blocks ({', '.join(_BLOCKS)}), each ended by a line of zeros, "
            f"and ends with the core energy: six lines with indices 0 0 0 0, found {len(ends)}"
            + ("." if len(ends) != 6 else f", the last in line {body.numbers[ends[-1]]}.")
        )
    for end in ends[:-1]:
        if body.values[end] != 0:
            raise body.fail(end, f"the end of a block is a line of zeros, found {body.text(end)}.")
    arrays = []
    for n, name in enumerate(_BLOCKS):
        start = ends[n - 1] + 1 if n else 0
        part, wanted = body.part(slice(start, ends[n])), _TWO if n < 3 else _ONE
        wrong = np.flatnonzero((part.kinds != wanted) & (part.kinds != _LEVEL))
        if len(wrong):
            raise part.fail(wrong[0], f"{part.text(wrong[0])} does not belong in the block of {name}.")
        arrays.append(_filled(part.part(part.kinds == wanted), K, 4 if n < 3 else 2, pairs_alike=n != 2))
    upup, downdown, updown, h_up, h_down = arrays
    return (h_up, h_down), (upup, updown, downdown), float(body.values[ends[-1]]), _met(body, K)


def _met(body: _Lines, K: int) -> np.ndarray:
    met = np.zeros(K + 1, dtype=bool)
    met[body.indices[body.values != 0]] = True
    return met[1:]


def _filled(lines: _Lines, K: int, rank: int, *, pairs_alike: bool) -> np.ndarray:
    """The full array; FileError where two lines give different numbers for what real orbitals make equal."""
    key = _representative(lines.indices[:, :rank] - 1, K, pairs_alike)
    kept, first = np.unique(key, return_index=True)
    before = first[np.searchsorted(kept, key)]
    size = max(1.0, np.abs(lines.values).max(initial=0.0))
    different = np.flatnonzero(np.abs(lines.values - lines.values[before]) > SYMMETRY_TOLERANCE * size)
    if len(different):
        row = int(different[0])
        raise lines.fail(
            row,
            f"{lines.text(row)} contradicts line {lines.numbers[before[row]]}, {lines.text(int(before[row]))}: with "
            "real orbitals a Hermitian Hamiltonian needs h_ij = h_ji and (ij|kl) = (ji|kl) = (ij|lk)"
            + (" = (kl|ij)." if pairs_alike else "."),
        )
    places = np.unravel_index(kept, (K,) * rank)
    array, values = np.zeros((K,) * rank), lines.values[first]
    mirrors = [(0, 1), (1, 0)]
    if rank == 4:
        inner = [(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2)]
        mirrors = inner + [(*axes[2:], *axes[:2]) for axes in inner] * pairs_alike  # type: ignore[assignment]
    for axes in mirrors:
        array[tuple(places[axis] for axis in axes)] = values
    array.flags.writeable = False
    return array


def _representative(indices: np.ndarray, K: int, pairs_alike: bool) -> np.ndarray:
    """One number for all indices that stand for the same integral: i >= j, k >= l, (ij) >= (kl)."""
    high, low = np.maximum(indices[:, ::2], indices[:, 1::2]), np.minimum(indices[:, ::2], indices[:, 1::2])
    pair = high * K + low
    if indices.shape[1] == 2:
        return pair[:, 0]
    if pairs_alike:
        pair = np.sort(pair, axis=1)[:, ::-1]
    return pair[:, 0] * K * K + pair[:, 1]


# -- writing -------------------------------------------------------------------------------------------


def write_fcidump(
    path: str | Path, integrals: Integrals, *, electrons: int | None = None, twice_spin: int | None = None
) -> None:
    """Write integrals as an FCIDUMP file: every independent element that is not zero, to all digits.

    electrons and twice_spin (2 Sz) default to those of the integrals. Raises FileError where no number of
    electrons is known, or the file cannot be written, SettingsError where they do not
    fit. Read again, the numbers are the same.
    """
    electrons = integrals.electrons if electrons is None else electrons
    twice_spin = integrals.twice_spin if twice_spin is None else twice_spin
    if electrons is None:
        raise FileError(f"{path} needs a number of electrons: give electrons=...")
    K = integrals.orbitals
    check_electrons("write_fcidump", electrons, twice_spin, K)
    twice_spin = electrons % 2 if twice_spin is None else twice_spin
    irreps = ",".join(map(str, integrals.irreps or (1,) * K))
    unrestricted = not integrals.is_restricted
    lines = [
        f" &FCI NORB={K},NELEC={electrons},MS2={twice_spin},",
        f"  ORBSYM={irreps},",
        f"  ISYM=1,{'IUHF=1,' if unrestricted else ''}",
        " &END",
    ]
    zeros = [_line(0.0)] if unrestricted else []
    upup, updown, downdown = integrals.two_body
    for array, pairs_alike in ((upup, True), (downdown, True), (updown, False))[: 3 if unrestricted else 1]:
        lines += [*_elements(array, pairs_alike), *zeros]
    for array in integrals.one_body[: 2 if unrestricted else 1]:
        lines += [*_elements(array, True), *zeros]
    try:
        Path(path).write_text("\n".join([*lines, _line(integrals.core_energy)]) + "\n", encoding="ascii")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error}") from error


def _line(value: float, *indices: int) -> str:
    places = [*indices, *(0,) * (4 - len(indices))]
    return f"{value:24.16e}" + "".join(f"{i:5d}" for i in places)


def _elements(array: np.ndarray, pairs_alike: bool) -> list[str]:
    """The lines of the independent elements that are not zero."""
    K = len(array)
    places = np.argwhere(array != 0)
    flat = np.ravel_multi_index(tuple(places.T), array.shape)
    own = places[_representative(places, K, pairs_alike) == flat]
    values = array[tuple(own.T)].tolist()
    return [_line(value, *place) for value, place in zip(values, (own + 1).tolist(), strict=True)]
