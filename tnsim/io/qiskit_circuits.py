"""Circuits from Qiskit, where it is installed: its objects are asked, it is not imported."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tnsim.algorithms.evolution.circuit import Circuit
from tnsim.errors import SettingsError


def from_qiskit(circuit: Any) -> Circuit:
    """A Qiskit QuantumCircuit: gates on one and two qubits by their matrices; larger ones by their definitions.

    Qubit n is site n, state 0 the first of a site. Barriers and closing measurements are left out. Raises SettingsError
    for parameters without values, conditions, resets and gates behind measurements. Qiskit is not imported.
    """
    if not hasattr(circuit, "find_bit"):
        raise SettingsError(f"a QuantumCircuit of Qiskit is needed, found {type(circuit).__name__}.")
    found, measured = Circuit(), set()
    if getattr(circuit.global_phase, "parameters", None):
        raise SettingsError("the global phase has parameters without values: see assign_parameters.")
    if circuit.global_phase:
        found = found.add(np.exp(1j * float(circuit.global_phase)) * np.eye(2), 0)
    for item in circuit.data:
        operation, places = item.operation, [circuit.find_bit(qubit).index for qubit in item.qubits]
        if operation.name in ("barrier", "measure"):
            measured |= set(places) if operation.name == "measure" else set()
            continue
        conditional = getattr(operation, "condition", None) is not None  # by c_if of Qiskit 1
        if not places or conditional or not hasattr(operation, "to_matrix") or measured & set(places):
            raise SettingsError(
                f"{operation.name!r} on the qubits {places} is no gate of a unitary circuit (or stands behind a "
                "measurement): leave it out, or see Qiskit's transpile."
            )
        for matrix, inner in _small(operation, len(places)):
            found = found.add(matrix, *(places[n] for n in inner))
    return found


def _small(operation: Any, count: int) -> Sequence[tuple[np.ndarray, tuple[int, ...]]]:
    """An operation as gates on one or two of its qubits."""
    if count > 2:
        if operation.definition is None:
            raise SettingsError(f"{operation.name!r} acts on {count} qubits: transpile it to gates on two.")
        return from_qiskit(operation.definition).gates
    try:
        matrix = np.asarray(operation.to_matrix())
    except TypeError as error:
        raise SettingsError(f"{operation.name!r} has parameters without values: see assign_parameters.") from error
    # Qiskit's first qubit counts least in a matrix, ours most
    order = np.array([0, 2, 1, 3]) if count == 2 else np.arange(2)
    return [(matrix[np.ix_(order, order)], tuple(range(count)))]
