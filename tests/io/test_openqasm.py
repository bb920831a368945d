"""OpenQASM text against matrices, and errors that name the line."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg

import tnsim as tn
from tnsim.errors import SettingsError

pytest.importorskip("openqasm3", reason="openqasm3 is an extra")

HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
X, Y, Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])


def run(text: str) -> np.ndarray:
    circuit, qubits = tn.read_openqasm(HEADER + text)
    psi = tn.MPS.product(tn.spin_sites(qubits, conserve=None), ["down"] * qubits)
    return circuit.run(psi, truncation=tn.Truncation(chi_max=16)).state.to_dense()


def matrix(gate: str) -> np.ndarray:
    places = "q[0],q[1]" if gate.startswith("rzz") else "q[0]"
    ((found, _),) = tn.read_openqasm(f"qreg q[2];{gate} {places};")[0].gates
    return found


def test_gates_are_those_of_the_books():
    for name, pauli in {"x": X, "y": Y, "z": Z}.items():
        np.testing.assert_allclose(matrix(name), pauli)
        np.testing.assert_allclose(matrix(f"r{name}(-2*pi/3)"), scipy.linalg.expm(1j * np.pi / 3 * pauli))
    np.testing.assert_allclose(matrix("rzz(0.7)"), scipy.linalg.expm(-0.35j * np.kron(Z, Z)))
    np.testing.assert_allclose(matrix("t") @ matrix("t"), matrix("s"))
    np.testing.assert_allclose(matrix("s") @ matrix("s"), Z, atol=1e-15)
    np.testing.assert_allclose(matrix("h") @ X @ matrix("h"), Z, atol=1e-15)
    np.testing.assert_allclose(matrix("u(pi/2,0,pi)"), matrix("h"), atol=1e-15)
    phase = np.exp(1j * (0.3 + 0.5) / 2)
    turned = phase * matrix("rz(0.3)") @ matrix("ry(1.1)") @ matrix("rz(0.5)")
    np.testing.assert_allclose(matrix("u(1.1,0.3,0.5)"), turned)


def test_programs():
    text = "qreg q[3]; // control\ncreg c[3];\nx q[1];\nbarrier q[0], q[1];\ncx q[1],\n  q[2];\nmeasure q -> c;"
    np.testing.assert_allclose(run(text), np.eye(8)[0b011], atol=1e-12)
    np.testing.assert_allclose(run("qreg q[3];x q[2];swap q[0],q[2];cz q[0],q[1];"), np.eye(8)[0b100], atol=1e-12)
    np.testing.assert_allclose(run("qreg q[2];x q[0];x q[1];cz q[0],q[1];"), -np.eye(4)[3], atol=1e-12)
    entangled = np.zeros(8)
    entangled[[0, 7]] = 0.5**0.5
    np.testing.assert_allclose(run("qreg q[3];\nh q[2];\ncx q[2],q[0];\ncx q[0],q[1];"), entangled, atol=1e-12)


def test_version_three_and_own_gates():
    text = """OPENQASM 3.0;
include "stdgates.inc";
const float a = pi / 4;
qubit[2] q;
qubit r;
gate bell(w) x, y { h x; ctrl_free x, y; rz(2 * w + sin(0)) y; inv @ rz(2 * w) y; }
h q;
bell(a) q[1], r;
inv @ bell(0.3) q[1], r;
h q;
"""
    body = text.replace("ctrl_free", "cx")
    circuit, qubits = tn.read_openqasm(body)
    psi = tn.MPS.product(tn.spin_sites(3, conserve=None), ["down"] * 3)
    found = circuit.run(psi, truncation=tn.Truncation(chi_max=8)).state.to_dense()
    assert qubits == 3 and len(circuit) == 12
    np.testing.assert_allclose(found, np.eye(8)[0], atol=1e-12)
    with pytest.raises(SettingsError, match="line 8 .*unknown gate 'ctrl_free'"):
        tn.read_openqasm(text)
    with pytest.raises(SettingsError, match="line 2 .*modifiers"):
        tn.read_openqasm("qubit[2] q;\nctrl @ x q[0], q[1];")


def test_controlled_gates_and_registers():
    circuit, _ = tn.read_openqasm("qreg a[2]; qreg b[2]; cx a, b; cp(0.3) a[0], b[1];")
    assert [sites for _, sites in circuit.gates] == [(0, 2), (1, 3), (0, 3)]
    np.testing.assert_allclose(circuit.gates[2][0], np.diag([1, 1, 1, np.exp(0.3j)]))
    for gate, inner in {
        "cu3(1.1,0.3,0.5)": "u3(1.1,0.3,0.5)",
        "csx": "sx",
        "cu(1.1,0.3,0.5,0)": "u(1.1,0.3,0.5)",
    }.items():
        ((turned, _),) = tn.read_openqasm(f"qreg q[2]; {gate} q[0],q[1];")[0].gates
        np.testing.assert_allclose(turned, scipy.linalg.block_diag(np.eye(2), matrix(inner)))
    ((turned, _),) = tn.read_openqasm("qreg q[2]; cu(0,0,0,0.4) q[0],q[1];")[0].gates
    np.testing.assert_allclose(turned, np.diag([1, 1, *[np.exp(0.4j)] * 2]))
    np.testing.assert_allclose(matrix("sxdg") @ matrix("sx"), np.eye(2), atol=1e-15)
    np.testing.assert_allclose(matrix("phase(0.4)"), matrix("p(0.4)"))
    for name, pauli in {"x": X, "y": Y, "z": Z}.items():
        (_, (turned, _)) = tn.read_openqasm(f"qreg q[2]; h q[0]; cr{name}(0.7) q[0],q[1];")[0].gates
        np.testing.assert_allclose(turned, scipy.linalg.block_diag(np.eye(2), scipy.linalg.expm(-0.35j * pauli)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ccx q[0],q[1],q[2];", "unknown gate 'ccx'.*Did you mean"),
        ("if(c==1) x q[0];", "a BranchingStatement is no gate"),
        ("reset q[0];", "is no gate"),
        ("h q[3];", "'q' has qubits 0 to 2, found 3"),
        ("h r[0];", "no register 'r'"),
        ("cx q[0];", "cx takes 2 qubits, found 1"),
        ("rx q[0];", "takes 1 angles, found 0"),
        ("h(1) q[0];", "takes 0 angles, found 1"),
        ("rx(foo(1)) q[0];", "an angle is made of numbers"),
        ("rx(1/0) q[0];", "real and finite number, .*division by zero"),
        ("rx((-1)**0.5) q[0];", "real and finite number, "),
        ("rx(exp(1000)) q[0];", "real and finite number, .*range error"),
        ("rx(9**9**9**9) q[0];", "real and finite number, "),
        ("rx(1e400) q[0];", "real and finite number, found inf"),
        ("rx(sin(1,2)) q[0];", "real and finite number, .*one argument"),
        ("gate a x { h y; }", "'a' is to be made of gates on its qubits x"),
        ("gate a x { gphase(1); }", "a QuantumPhase is no gate: 'a' is"),
        ("gate a x { a x; } a q[0];", "is a gate made of itself"),
        ("h q[{0,1}];", "one by one, as q.0."),
        ("h q[0:1];", "one by one, as q.0."),
        ("h q[0][0];", "one by one, as q.0."),
        ("h q[0.5];", "whole numbers, found 0.5"),
        ("qubit[2] q;", "registers have a name each and at least one qubit, found 'q' with 2"),
        ("qubit[0] r;", "registers have a name each and at least one qubit, found 'r' with 0"),
        ("bit b = measure q[1]; x q[1];", "behind a measurement"),
        ("cx q[0],q[0];", "two different ones"),
        ("measure q[1] -> c[1]; x q[1];", "behind a measurement"),
    ],
)
def test_what_it_does_not_know_names_the_line(line, message):
    with pytest.raises(SettingsError, match="line 5 .*" + message):
        tn.read_openqasm(HEADER + "qreg q[3]; creg c[3]; // a register of three\n\n" + line)
    for text, place in {"x q[0]": "<EOF>", "qreg q[3];\nqreg [;": "\\["}.items():
        with pytest.raises(SettingsError, match=f"no OpenQASM program: line {1 + text.count(chr(10))}, at '{place}'"):
            tn.read_openqasm(text)
    for text, message in {
        "": "no statements",
        "// nothing": "no statements",
        b"qreg q[1];": "is a text, found bytes",
    }.items():
        with pytest.raises(SettingsError, match=message):
            tn.read_openqasm(text)


def test_barriers_within_own_gates_are_left_out():
    circuit, _ = tn.read_openqasm("qreg q[1]; gate a x { h x; barrier x; h x; } a q[0];")
    assert len(circuit) == 2


def test_circuits_of_qiskit():
    qiskit = pytest.importorskip("qiskit", reason="Qiskit is not installed")
    circuit = qiskit.QuantumCircuit(4, 1, global_phase=0.4)
    rng = np.random.default_rng(0)
    for n in range(4):
        circuit.u(*rng.normal(size=3), n)
    circuit.cx(3, 0)
    circuit.crz(0.3, 1, 2)
    circuit.ccx(2, 0, 3)
    circuit.barrier()
    from qiskit.quantum_info import Statevector

    wanted = Statevector(circuit).reverse_qargs().data
    circuit.measure(0, 0)
    psi = tn.MPS.product(tn.spin_sites(4, conserve=None), ["down"] * 4)
    found = tn.from_qiskit(circuit).run(psi, truncation=tn.Truncation(chi_max=16, svd_min=1e-14)).state.to_dense()
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    circuit.x(0)
    with pytest.raises(SettingsError, match="'x' on the qubits .0. is no gate of a unitary circuit"):
        tn.from_qiskit(circuit)
    free = qiskit.QuantumCircuit(1)
    free.rx(qiskit.circuit.Parameter("angle"), 0)
    with pytest.raises(SettingsError, match="parameters without values"):
        tn.from_qiskit(free)


def test_what_is_no_unitary_circuit_of_qiskit_is_refused_without_it():
    with pytest.raises(SettingsError, match="a QuantumCircuit of Qiskit is needed, found str"):
        tn.from_qiskit("h q[0];")
    place = SimpleNamespace(index=0)
    gate = SimpleNamespace(name="x", condition=("c", 1), to_matrix=lambda: X)
    circuit = SimpleNamespace(find_bit=lambda bit: place, global_phase=0.0)
    circuit.data = [SimpleNamespace(operation=gate, qubits=[0])]
    with pytest.raises(SettingsError, match="'x' on the qubits .0. is no gate of a unitary circuit"):
        tn.from_qiskit(circuit)
    gate.condition = None
    assert len(tn.from_qiskit(circuit)) == 1
