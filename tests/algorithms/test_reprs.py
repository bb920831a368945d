"""What results look like in a terminal: a line each."""

import tnsim as tn
from tnsim.models import Heisenberg


def test_reports_progress_and_canonical_forms_are_one_line_each():
    model = Heisenberg(L=8)
    result = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=3).solve(model.mpo(), model.product())
    last = result.history[-1]
    assert repr(last).startswith(f"SweepReport(3: energy {last.energy:.10g}, change ")
    assert repr(result.progress) == f"Progress(sweep 4, step 0: energy {result.progress.energy:.10g}, 3 sweeps done)"
    assert repr(tn.vidal(result.state)) == "Vidal form on 8 sites, bond dimensions up to 8, norm 1"
    assert repr(tn.Progress()) == "Progress(sweep 1, step 0: energy nan, 0 sweeps done)"
    settings = tn.DMRG(truncation=tn.Truncation(chi_max=8), max_sweeps=1, gradient_tol=1.0)
    one = settings.solve(model.mpo(), model.product())
    assert "inf" not in f"{one!r}{one.history}" and one.status.advice.startswith("after a single sweep no change")
    assert ", last change -\n" in repr(one) and ", change -, discarded" in repr(one.history[0])
    assert max(len(repr(thing)) for thing in (last, result.progress)) <= 79
