"""Circuits from OpenQASM 2 and 3 texts, which the parser of the OpenQASM project reads.

Sources: A. W. Cross et al., arXiv:1707.03429 (version 2); A. W. Cross et al., ACM Trans. Quantum Comput. 3, 12 (2022).
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.circuit import Circuit
from tnsim.errors import SettingsError, suggest

_X, _Y, _Z = np.eye(2)[::-1], np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])
_H, _SX = (_X + _Z) / np.sqrt(2), (np.eye(2) * (1 + 1j) + _X * (1 - 1j)) / 2


def _phase(angle: float) -> np.ndarray:
    return np.diag([1, np.exp(1j * angle)])


def _turn(pauli: np.ndarray) -> Callable[[float], np.ndarray]:
    """exp(-i angle pauli / 2), of determinant 1."""
    return lambda angle: math.cos(angle / 2) * np.eye(len(pauli)) - 1j * math.sin(angle / 2) * pauli


def _u(theta: float, phi: float, lam: float) -> np.ndarray:
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return _phase(phi) @ np.array([[cos, -sin], [sin, cos]]) @ _phase(lam)


def _controlled(matrix: np.ndarray) -> np.ndarray:
    whole = np.eye(4, dtype=np.result_type(matrix, np.float64))
    whole[2:, 2:] = matrix
    return whole


# name: (angles, matrix or function of the angles)
_GATES: dict[str, tuple[int, Any]] = {
    **{name: (0, m) for name, m in {
        "id": np.eye(2), "x": _X, "y": _Y, "z": _Z, "h": _H, "s": _phase(np.pi / 2), "sdg": _phase(-np.pi / 2),
        "t": _phase(np.pi / 4), "tdg": _phase(-np.pi / 4), "sx": _SX, "sxdg": _SX.conj(), "csx": _controlled(_SX),
        "swap": np.eye(4)[[0, 2, 1, 3]], "cx": _controlled(_X), "CX": _controlled(_X), "cy": _controlled(_Y),
        "cz": _controlled(_Z), "ch": _controlled(_H),
    }.items()},
    **dict.fromkeys(("p", "phase", "u1"), (1, _phase)), **dict.fromkeys(("u", "U", "u3"), (3, _u)),
    "u2": (2, lambda phi, lam: _u(np.pi / 2, phi, lam)), "cu3": (3, lambda *angles: _controlled(_u(*angles))),
    "cu": (4, lambda *angles: _controlled(np.exp(1j * angles[3]) * _u(*angles[:3]))),
    **dict.fromkeys(("cp", "cu1", "cphase"), (1, lambda angle: _controlled(_phase(angle)))),
    **{"r" + n: (1, _turn(m)) for n, m in {"x": _X, "y": _Y, "z": _Z}.items()},
    **{"r" + 2 * n: (1, _turn(np.kron(m, m))) for n, m in {"x": _X, "y": _Y, "z": _Z}.items()},
    **{"cr" + n: (1, lambda a, m=m: _controlled(_turn(m)(a))) for n, m in {"x": _X, "y": _Y, "z": _Z}.items()},
}  # fmt: skip
_BINARY = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow}
_FUNCTIONS = {name: getattr(math, name) for name in ("sin", "cos", "tan", "exp", "sqrt")} | {"ln": math.log}
_CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "euler": math.e}


def read_openqasm(text: str) -> tuple[Circuit, int]:
    """The gates of an OpenQASM 2 or 3 text and its number of qubits, register after register.

    Gates on one and two qubits of the standard libraries, own definitions made of them, `inv @`, whole registers,
    constants and angles with + - * / ** and functions. State 0 is the first of a site, "down" of a spin. Barriers,
    classical registers and closing measurements are left out. Raises SettingsError that names the line for anything
    else, and where the parser (`pip install "tnsim[openqasm]"`) is missing.

    >>> read_openqasm('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0],q[1];')  # doctest: +SKIP
    (Circuit of 2 gates, 1 of them on two sites, 2)
    """
    try:
        import openqasm3
    except ImportError as error:
        raise SettingsError(
            'OpenQASM texts are read by the package openqasm3: pip install "tnsim[openqasm]".'
        ) from error
    if not isinstance(text, str):
        raise SettingsError(f"an OpenQASM program is a text, found {type(text).__name__}.")
    try:
        program = openqasm3.parse(text)
    except openqasm3.parser.QASM3ParsingError as error:
        raise SettingsError(f"the text is no OpenQASM program: {_reason(error)}") from error
    except AttributeError as error:  # of the parser, where there is no statement at all
        raise SettingsError("the text is no OpenQASM program: it has no statements.") from error
    reader, lines = _Reader(), text.splitlines()
    for statement in program.statements:
        try:
            reader.read(statement)
        except (ValueError, RecursionError) as error:
            number = statement.span.start_line if statement.span else 1
            reason = error if isinstance(error, ValueError) else "this nests too deeply: is a gate made of itself?"
            raise SettingsError(
                f"line {number} of the OpenQASM text, {lines[number - 1].strip()!r}: {reason}"
            ) from error
    return reader.circuit, reader.qubits


def _reason(error: Exception) -> str:
    """What the parser says, or where it stopped."""
    inner = error.__cause__.args[0] if error.__cause__ and error.__cause__.args else None
    token = getattr(inner, "offendingToken", None)
    return str(error) or (f"line {token.line}, at {token.text!r}" if token else "it ends within a statement")


class _Reader:
    """What was read so far: registers, own gates, constants, and the circuit."""

    def __init__(self) -> None:
        self.circuit, self.qubits, self.measured = Circuit(), 0, False
        self.registers: dict[str, range] = {}
        self.own: dict[str, Any] = {}
        self.values: dict[str, float] = dict(_CONSTANTS)

    def read(self, statement: Any) -> None:
        """One statement. Raises ValueError for what is not known."""
        kind = type(statement).__name__
        if kind == "QubitDeclaration":
            count = self._whole(statement.size) if statement.size is not None else 1
            name = statement.qubit.name
            if count < 1 or name in self.registers:
                raise SettingsError(f"registers have a name each and at least one qubit, found {name!r} with {count}")
            self.registers[name] = range(self.qubits, self.qubits + count)
            self.qubits += count
        elif kind == "QuantumGateDefinition":
            _check_definition(statement)
            self.own[statement.name.name] = statement
        elif kind == "ConstantDeclaration":
            self.values[statement.identifier.name] = self._number(statement.init_expression, self.values)
        elif kind == "QuantumMeasurementStatement" or _measures(statement):
            self.measured = True
        elif kind == "QuantumGate":
            if self.measured:
                raise SettingsError("a gate behind a measurement: the circuit is not unitary")
            self._broadcast(statement)
        elif kind not in ("Include", "ClassicalDeclaration", "QuantumBarrier"):
            raise SettingsError(f"a {kind} is no gate: this reader takes unitary circuits")

    def _broadcast(self, gate: Any) -> None:
        """A gate on single qubits, or on every one of whole registers."""
        groups = [self._places(qubit) for qubit in gate.qubits]
        sizes = {len(group) for group in groups if len(group) != 1}
        if len(sizes) > 1:
            raise SettingsError(f"registers of {sorted(sizes)} qubits do not go together")
        for n in range(max(sizes, default=1)):
            places = [group[n if len(group) > 1 else 0] for group in groups]
            for matrix, where in self._gates(gate, self.values, places):
                self.circuit = self.circuit.add(matrix, *where)

    def _places(self, qubit: Any) -> Sequence[int]:
        """Sites of q[n] or of a register."""
        indexed = type(qubit).__name__ == "IndexedIdentifier"
        name = qubit.name.name if indexed else qubit.name
        if name not in self.registers:
            raise SettingsError(f"there is no register {name!r}. {suggest(name, tuple(self.registers))}")
        register = self.registers[name]
        if not indexed:
            return register
        (index, *more), sets = qubit.indices, ("DiscreteSet", "RangeDefinition")
        if more or type(index).__name__ in sets or len(index) != 1 or type(index[0]).__name__ in sets:
            raise SettingsError(f"qubits are named one by one, as {name}[0], or all together, as {name}")
        number = self._whole(index[0])
        if not 0 <= number < len(register):
            raise SettingsError(f"the register {name!r} has qubits 0 to {len(register) - 1}, found {number}")
        return register[number : number + 1]

    def _gates(
        self, gate: Any, values: Mapping[str, float], places: Sequence[int]
    ) -> list[tuple[np.ndarray, tuple[int, ...]]]:
        """(matrix, sites) of a gate: one of a library, or those that its definition names."""
        name, angles = gate.name.name, [self._number(part, values) for part in gate.arguments]
        inverse = [modifier.modifier.name for modifier in gate.modifiers]
        if set(inverse) - {"inv"}:
            raise SettingsError(f"of the modifiers, this reader knows inv, found {' '.join(inverse)}")
        if name in self.own:
            made = self.own[name]
            _check_count(name, angles, len(made.arguments), places, len(made.qubits))
            inner = {**self.values, **dict(zip((a.name for a in made.arguments), angles, strict=True))}
            where = dict(zip((q.name for q in made.qubits), places, strict=True))
            parts = [
                part
                for step in made.body
                if type(step).__name__ == "QuantumGate"
                for part in self._gates(step, inner, [where[q.name] for q in step.qubits])
            ]
        elif name in _GATES:
            wanted, matrix = _GATES[name]
            _check_count(name, angles, wanted, None, 0)
            matrix = matrix(*angles) if wanted else matrix
            _check_count(name, angles, wanted, places, len(matrix) // 2)
            parts = [(matrix, tuple(places))]
        else:
            raise SettingsError(f"unknown gate {name!r}. {suggest(name, (*_GATES, *self.own))}")
        return [(m.conj().T, p) for m, p in reversed(parts)] if len(inverse) % 2 else parts

    def _whole(self, node: Any) -> int:
        """The value of an expression that counts something."""
        number = self._number(node, self.values)
        if number != int(number):
            raise SettingsError(f"sizes and places of qubits are whole numbers, found {number:g}")
        return int(number)

    def _number(self, node: Any, values: Mapping[str, float]) -> float:
        """The value of an expression."""
        try:
            number = self._value(node, values)
            finite = math.isfinite(number)
        except (ArithmeticError, TypeError) as error:
            raise SettingsError(f"an angle is a real and finite number, not so here: {error}") from error
        if not finite:
            raise SettingsError(f"an angle is a real and finite number, found {number}")
        return number

    def _value(self, node: Any, values: Mapping[str, float]) -> float:
        """The same without checks; powers of floats overflow where those of integers would take for ever."""
        kind = type(node).__name__
        if kind in ("IntegerLiteral", "FloatLiteral"):
            return float(node.value)
        if kind == "Identifier" and node.name in values:
            return values[node.name]
        if kind == "UnaryExpression" and node.op.name == "-":
            return -self._number(node.expression, values)
        if kind == "BinaryExpression" and node.op.name in _BINARY:
            return _BINARY[node.op.name](self._number(node.lhs, values), self._number(node.rhs, values))
        if kind == "FunctionCall" and node.name.name in _FUNCTIONS:
            return _FUNCTIONS[node.name.name](*(self._number(part, values) for part in node.arguments))
        raise SettingsError("an angle is made of numbers, pi, constants, + - * / ** and functions such as sin")


def _measures(statement: Any) -> bool:
    """Whether it is `bit b = measure q;`."""
    return type(getattr(statement, "init_expression", None)).__name__ == "QuantumMeasurement"


def _check_definition(made: Any) -> None:
    """SettingsError for a definition by anything but gates on its own qubits."""
    own = [qubit.name for qubit in made.qubits]
    for step in made.body:
        kind = type(step).__name__
        if kind not in ("QuantumGate", "QuantumBarrier"):
            raise SettingsError(f"a {kind} is no gate: {made.name.name!r} is to be made of gates")
        if kind == "QuantumGate" and any(qubit.name not in own for qubit in step.qubits):
            raise SettingsError(f"{made.name.name!r} is to be made of gates on its qubits {', '.join(own)}")


def _check_count(name: str, angles: Sequence[float], wanted: int, places: Sequence[int] | None, qubits: int) -> None:
    if len(angles) != wanted:
        raise SettingsError(f"{name} takes {wanted} angles, found {len(angles)}")
    if places is not None and len(places) != qubits:
        raise SettingsError(f"{name} takes {qubits} qubits, found {len(places)}")
