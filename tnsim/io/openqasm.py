"""Circuits from a subset of OpenQASM 2 (A. W. Cross et al., arXiv:1707.03429); rotations have determinant 1."""

import re

import numpy as np

from tnsim.algorithms.circuit import Circuit
from tnsim.errors import SettingsError

_X, _Y, _Z = np.eye(2)[::-1], np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])
_FIXED = {
    "h": (_X + _Z) / np.sqrt(2), "x": _X, "y": _Y, "z": _Z, "s": np.diag([1, 1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]), "cx": np.eye(4)[[0, 1, 3, 2]], "cz": np.diag([1.0, 1, 1, -1]),
    "swap": np.eye(4)[[0, 2, 1, 3]],
}  # fmt: skip
_TURNING = {"rx": _X, "ry": _Y, "rz": _Z, "rzz": np.kron(_Z, _Z)}
_SKIPPED = re.compile(r'OPENQASM\s+2(\.0)?|include\s+"qelib1\.inc"|creg\s+\w+\s*\[\s*\d+\s*\]|barrier\b[^({]*')
_GATE = re.compile(r"(\w+)\s*(?:\(([^()]*)\))?\s+(\w+\s*\[\s*\d+\s*\](?:\s*,\s*\w+\s*\[\s*\d+\s*\])*)")
_ANGLE = re.compile(
    r"\s*([+-]?)\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(pi))\s*(?:\*\s*(pi)\s*)?(?:/\s*(\d+\.?\d*)\s*)?"
)


def read_openqasm(text: str) -> tuple[Circuit, int]:
    """Gates h x y z s t rx ry rz u cx cz swap rzz on places of one register, and its number of qubits.

    Angles are numbers, pi, a * pi, and those over a number. State 0 is the first of a site, "down" of a spin. Barriers
    and closing measurements are left out. Raises SettingsError that names the line for anything else.

    >>> read_openqasm('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0],q[1];')
    (Circuit of 2 gates, 1 of them on two sites, 2)
    """
    circuit, register, qubits, measured = Circuit(), "", 0, False
    text = re.sub(r"//[^\n]*", "", text)
    for found in re.finditer(r"[^;\s][^;]*;?", text):
        statement, line = found[0].rstrip("; \t\r\n"), text.count("\n", 0, found.start()) + 1
        try:
            if not found[0].endswith(";"):
                raise SettingsError("a semicolon is missing")
            if re.fullmatch(r"measure\b.+->.+", statement, re.S):
                measured = True
            elif one := re.fullmatch(r"qreg\s+(\w+)\s*\[\s*(\d+)\s*\]", statement):
                if register:
                    raise SettingsError("this reader takes one register of qubits")
                register, qubits = one[1], int(one[2])
            elif not _SKIPPED.fullmatch(statement):
                if measured:
                    raise SettingsError("a gate behind a measurement: the circuit is not unitary")
                matrix, places = _gate(statement, register, qubits)
                circuit = circuit.add(matrix, *places)
        except ValueError as error:
            raise SettingsError(f"line {line} of the OpenQASM text, {statement!r}: {error}") from error
    return circuit, qubits


def _gate(statement: str, register: str, qubits: int) -> tuple[np.ndarray, list[int]]:
    """The matrix and its sites."""
    found = _GATE.fullmatch(statement)
    if not found or found[1] not in (*_FIXED, *_TURNING, "u"):
        raise SettingsError(f"it is none of the gates {' '.join([*_FIXED, *_TURNING, 'u'])} on qubits such as q[0]")
    places = [(name, int(place)) for name, place in re.findall(r"(\w+)\s*\[\s*(\d+)", found[3])]
    angles = [] if found[2] is None else [_angle(part) for part in found[2].split(",")]
    matrix = _matrix(found[1], angles)
    if len(matrix) != 2 ** len(places) or any(name != register or place >= qubits for name, place in places):
        raise SettingsError(f"the gate takes {len(matrix) // 2} of the {qubits} qubits of register {register!r}")
    return matrix, [place for _, place in places]


def _matrix(name: str, angles: list[float]) -> np.ndarray:
    wanted = 0 if name in _FIXED else 3 if name == "u" else 1
    if len(angles) != wanted:
        raise SettingsError(f"{name} takes {wanted} angles, found {len(angles)}")
    if name in _FIXED:
        return _FIXED[name]
    cos, sin = np.cos(angles[0] / 2), np.sin(angles[0] / 2)
    if name == "u":
        left, right = np.diag([1, np.exp(1j * angles[1])]), np.diag([1, np.exp(1j * angles[2])])
        return left @ np.array([[cos, -sin], [sin, cos]]) @ right
    return cos * np.eye(len(_TURNING[name])) - 1j * sin * _TURNING[name]


def _angle(text: str) -> float:
    found = _ANGLE.fullmatch(text)
    if not found or (found[5] and float(found[5]) == 0):
        raise SettingsError(f"the angle {text.strip()!r} is no number, pi, a*pi or one of these over a number")
    value = float(found[2] or np.pi) * (np.pi if found[4] else 1.0) / float(found[5] or 1)
    return -value if found[1] == "-" else value
