"""OpenQASM text against matrices, and errors that name the line."""

import numpy as np
import pytest
import scipy.linalg

import tnsim as tn
from tnsim.errors import SettingsError

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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ccx q[0],q[1],q[2];", "none of the gates h x"),
        ("if(c==1) x q[0];", "none of the gates"),
        ("gate my a { x a; }", "none of the gates"),
        ("h q;", "on qubits such as q"),
        ("h q[3];", "takes 1 of the 3 qubits of register .q"),
        ("h r[0];", "takes 1 of the 3 qubits"),
        ("cx q[0];", "takes 2 of the 3 qubits"),
        ("rx q[0];", "takes 1 angles, found 0"),
        ("h(1) q[0];", "takes 0 angles, found 1"),
        ("rx(sin(1)) q[0];", "none of the gates"),
        ("rx(1+1) q[0];", "'1.1' is no number"),
        ("rx(1/0) q[0];", "'1/0' is no number"),
        ("cx q[0],q[0];", "two different ones"),
        ("measure q[1] -> c[1]; x q[1];", "behind a measurement"),
        ("qreg r[1];", "one register"),
        ("x q[0]", "semicolon"),
    ],
)
def test_what_it_does_not_know_names_the_line(line, message):
    with pytest.raises(SettingsError, match="line 5 .*" + message):
        tn.read_openqasm(HEADER + "qreg q[3]; creg c[3]; // a register of three\n\n" + line)
    with pytest.raises(SettingsError, match="line 3 .*takes 1 of the 0 qubits"):
        tn.read_openqasm(HEADER + "x q[0];")
    with pytest.raises(SettingsError, match="line 1 of the OpenQASM text, 'OPENQASM 3.0'"):
        tn.read_openqasm("OPENQASM 3.0;")
