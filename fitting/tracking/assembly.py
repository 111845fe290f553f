"""From a clip's rows and what its frames share to a `Track`."""

from __future__ import annotations

import torch
from torch import Tensor

from facemodel.parameters import FaceParameters
from facemodel.track import FrameStatus, Track, fill_gaps
from fitting.solver.state import Layout
from fitting.tracking.checkpoint import Rows, Shared
from fitting.tracking.frame import Fitter
from fitting.tracking.plan import SharedSpread

ENERGIES = (
    "landmarks", "photometric", "correlation", "brightness", "energy", "visible", "step", "converged",
    "detector",
)  # fmt: skip

VISIBILITY = "visibility."  # starts the names of the energies that become `Track.visibility`


def _spread(rows: Rows, shared: SharedSpread, layout: Layout) -> dict[str, Tensor]:
    """Posterior standard deviations by parameter; NaN in frames without a face."""
    out = {name: torch.tensor(values) for name, values in shared.as_json().items()}
    own = rows.column("spread", (layout.frame,))
    own[torch.tensor([v is None for v in rows.values])] = torch.nan
    names = ["rotation", "translation", "expression"] + ["joints"] * (layout.joints > 0)
    out |= {name: own[:, layout.own(name)] for name in names}
    out["gaze"] = own[:, layout.own("gaze")].view(-1, 2, 2)
    out["illumination"] = own[:, layout.own("light")].view(-1, 3, 9).transpose(1, 2)
    return out


def as_track(rows: Rows, shared: Shared, fitter: Fitter, frames, scheme: str, timings: dict[str, float]) -> Track:
    """The track of a clip whose rows are complete; where its frames have a ``source``, that is one of its facts.

    timings: seconds by stage, a fact too.
    """
    model, layout, state = fitter.model, fitter.layout, shared.state
    facts = shared.plan.facts() | {"priors": fitter.prior_stds(shared.plan.trust > 0)}
    if source := getattr(frames, "source", None):
        facts["source"] = source
    status = torch.tensor(rows.status)
    tracked = (status & int(FrameStatus.TRACKED)) != 0
    parameters = FaceParameters(
        identity=fitter.reduced.identity(state.identity).cpu().clone(),
        reflectance=state.reflectance.cpu().clone(),
        focal=state.log_focal.exp().cpu().clone(),
        rotation=rows.column("rotation", (3,)),
        translation=rows.column("translation", (3,)),
        expression=fitter.reduced.expression(rows.column("expression", (layout.expression,))),
        illumination=rows.column("illumination", (9, 3)),
        gaze=rows.column("gaze", (2, 2)),
        joints=rows.column("joints", (layout.joints,)),
    )
    count = int(tracked.sum())
    warnings = []
    if count < len(rows):
        warnings.append(f"{len(rows) - count} of {len(rows)} frames have no face; their parameters are interpolated")
    if facts["people"]["of"] == 1:
        del facts["people"]
    else:
        seen = facts["people"]
        warnings.append(
            f"{seen['of']} people are seen, of whom number {seen['followed']} by how long they are shown is followed; "
            "--person picks another, --all-people fits each"
        )
    return Track(
        model=model.name,
        fingerprint=model.fingerprint,
        width=frames.width,
        height=frames.height,
        parameters=fill_gaps(parameters, tracked),
        times=torch.tensor(rows.times, dtype=torch.float64),
        status=status,
        confidence=torch.tensor(rows.confidence),
        landmarks=rows.landmarks(),
        landmark_scheme=scheme,
        energies={k: rows.energy(k) for k in ENERGIES},
        spread=fitter.reduced.spread(_spread(rows, shared.spread, layout)),
        visibility={r.name: rows.energy(VISIBILITY + r.name) for r in fitter.regions},
        facts={**facts, "timings": timings, "warnings": warnings},
    )
