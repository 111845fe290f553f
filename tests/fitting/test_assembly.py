"""From rows to a track."""

import torch

from fitting.solver.state import Layout
from fitting.tracking.assembly import _spread
from fitting.tracking.checkpoint import Rows
from fitting.tracking.plan import SharedSpread


def test_spreads_stand_where_their_parameters_do():
    """Light is solved for channel by channel and kept band by band; frames without a face have none."""
    layout = Layout(3, 2, 5, 1)
    own = torch.arange(layout.frame, dtype=torch.float32)
    spread = _spread(Rows(values=[{"spread": own}, None]), SharedSpread([1.0, 2, 3], [], 9.0), layout)
    start = {n: c.start - layout.shared for n, c in layout.slices.items()}
    assert spread["illumination"].shape == (2, 9, 3) and spread["gaze"].shape == (2, 2, 2)
    assert spread["illumination"][0, 5, 2] == start["light"] + 2 * 9 + 5
    assert spread["gaze"][0, 1, 0] == start["gaze"] + 2  # eye by eye
    assert spread["expression"][0].tolist() == [start["expression"] + k for k in range(5)]
    assert spread["joints"].shape == (2, 1) and spread["joints"][0, 0] == start["joints"]
    for name in ("rotation", "translation", "expression", "gaze", "illumination"):
        assert spread[name][1].isnan().all()
    assert spread["identity"].tolist() == [1, 2, 3] and float(spread["focal"]) == 9
