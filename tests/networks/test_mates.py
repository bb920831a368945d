"""Channels of an MPO that are adjoints of each other: which they are, and environments of which one of two is made."""

from dataclasses import replace

import numpy as np
import pytest

import tnsim as tn
from tests.devices import backend_or_skip
from tnsim.models import J1J2, TJ, XXZ, Hubbard, KitaevChain, Lattice
from tnsim.networks.canonical import canonicalize
from tnsim.networks.environments import Environments

# models, and the least number of channels in the middle that have another one as a mate
MODELS = {
    "spins with a current": (XXZ(L=6, delta=0.7, D=0.4), 2),
    "a cylinder": (J1J2(J2=0.5, lattice=Lattice("square", 2, 4, bc_y="periodic")), 6),
    "electrons": (Hubbard(L=6, U=3.0), 4),
    "a phase": (Hubbard(L=4, U=3.0, periodic=True, flux=0.4), 8),
    "pairing": (KitaevChain(L=6), 0),
    "projected electrons": (TJ(L=4, N=2, J=0.3), 4),
}


def without_mates(operators):
    """The same operators, of whose channels nothing is known."""
    return [replace(operator, mates=(np.zeros(0, dtype=np.int64),) * 2) for operator in operators]


@pytest.mark.parametrize("name", MODELS)
def test_mates_are_adjoints(name):
    """Of the operators on all sites to the left, and on all to the right."""
    model, least = MODELS[name]
    H = model.mpo()
    tensors, middle = [tensor.to_dense() for tensor in H.tensors], H.L // 2
    left, right = tensors[0][0].transpose(2, 0, 1), tensors[-1][..., 0]
    for tensor in tensors[1:middle]:
        left = np.einsum("aij,aklb->bikjl", left, tensor)
        left = left.reshape(len(left), int(left[0].size ** 0.5), -1)
    for tensor in tensors[-2 : middle - 1 : -1]:
        right = np.einsum("aklb,bij->akilj", tensor, right)
        right = right.reshape(len(right), int(right[0].size ** 0.5), -1)
    operators = H.site_operators
    for found, mates in ((left, operators[middle - 1].mates[0]), (right, operators[middle].mates[1])):
        assert len(mates) == len(found)
        for channel in np.flatnonzero(mates):
            mate, sign = abs(mates[channel]) - 1, np.sign(mates[channel])
            np.testing.assert_allclose(found[mate], sign * found[channel].conj().T, atol=1e-12)
        assert sum(abs(mate) - 1 not in (-1, channel) for channel, mate in enumerate(mates)) >= least


@pytest.mark.parametrize("seed", range(3))
def test_mates_are_those_of_their_mates(seed):
    """Where numbers of a sum agree with those of its adjoint but for nearly what counts as equal."""
    sites, rng, H = tn.spin_sites(14), np.random.default_rng(seed), tn.OperatorSum()
    for i, (strength, ratio) in enumerate(rng.normal(size=(13, 2))):
        H += strength, "S+", i, "S-", i + 1
        H += strength * (1 + 3e-13 * ratio), "S-", i, "S+", i + 1
    pairs = 0
    for operator in H.mpo(sites).site_operators:
        for mates in operator.mates:
            for channel in np.flatnonzero(mates):
                mate = abs(mates[channel]) - 1
                assert mates[mate] == np.sign(mates[channel]) * (channel + 1)
                pairs += mate > channel
    assert 0 < pairs < 26


@pytest.mark.parametrize("place", ["numpy", "strict"])
@pytest.mark.parametrize("name", MODELS)
def test_environments_are_those_that_are_made_in_full(name, place):
    model, backend = MODELS[name][0], backend_or_skip(place)
    H = model.mpo()
    psi = tn.MPS.random(model.sites, chi=7, like=model.product(), seed=2, dtype="D").to(backend)
    operators, middle = H.to(backend).site_operators, model.L // 2
    for side, center in (("left", model.L - 1), ("right", 0)):
        tensors = list(canonicalize(psi, center).tensors)
        ours, theirs = Environments(tensors, operators), Environments(tensors, without_mates(operators))
        one, other = (getattr(pair, side)(middle).to("numpy") for pair in (ours, theirs))
        assert np.abs(other.data).max() > 0.1
        np.testing.assert_allclose(one.data, other.data, atol=1e-13)
