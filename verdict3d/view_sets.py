"""From where judges look at a mesh: a fixed, ordered list of view sets.

A view set is four yaws at 90 degree steps and one elevation: one 2x2 montage. A judge that looks from V sets
looks from the first V of the list, so a larger V adds sets and changes none. Every second set begins at the
back: which way a mesh faces then speaks for one candidate in one set and for the other in the next, so that a
mesh and its copy turned by 180 degrees come out close. The list stands in a module of its own because it is
part of a judge's identity, and judges know nothing of meshes or drawing.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from verdict3d.provenance import digest_json


@dataclass(frozen=True)
class ViewSet:
    """Four views of one montage.

    Args:
        yaw_deg: Yaw of the upper left view; the others follow at 90 degree steps, row by row.
        elevation_deg: Elevation of all four.
    """

    yaw_deg: float
    elevation_deg: float

    @property
    def name(self) -> str:
        """How people read it, such as ``yaw 45, elevation 20``."""
        return f"yaw {self.yaw_deg:g}, elevation {self.elevation_deg:g}"


VIEW_SETS = (
    ViewSet(45.0, 20.0),
    ViewSet(205.0, 32.0),
    ViewSet(65.0, 10.0),
    ViewSet(225.0, 50.0),
    ViewSet(65.0, 32.0),
    ViewSet(205.0, 10.0),
    ViewSet(45.0, -15.0),
    ViewSet(245.0, 50.0),
)
"""All view sets, in the order in which they are asked."""


def view_sets_digest(views: int) -> str:
    """Return the SHA-256 of the first ``views`` sets."""
    return digest_json([astuple(one) for one in VIEW_SETS[:views]])
