"""The networks of one generator as typed attributes, and the names they have in released directories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verdict3d.errors import Verdict3DError
from verdict3d.trellis.latent_flow import SLatFlowModel
from verdict3d.trellis.latent_vae import SLatEncoder, SLatMeshDecoder
from verdict3d.trellis.network import Network
from verdict3d.trellis.structure_flow import SparseStructureFlowModel
from verdict3d.trellis.structure_vae import SparseStructureDecoder, SparseStructureEncoder

RELEASED: Mapping[str, tuple[str, type[Network]]] = {
    "structure_flow": ("sparse_structure_flow_model", SparseStructureFlowModel),
    "structure_decoder": ("sparse_structure_decoder", SparseStructureDecoder),
    "latent_flow": ("slat_flow_model", SLatFlowModel),
    "mesh_decoder": ("slat_decoder_mesh", SLatMeshDecoder),
    "structure_encoder": ("sparse_structure_encoder", SparseStructureEncoder),
    "latent_encoder": ("slat_encoder", SLatEncoder),
}
"""Each attribute of :class:`Networks`: its name in ``pipeline.json`` and its class."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of one generator; the encoders are only needed for training.

    Attributes:
        structure_flow: Condition tokens and noise to structure latents.
        structure_decoder: Structure latents to voxels.
        latent_flow: Condition tokens and noise on voxels to structured latents.
        mesh_decoder: Structured latents to the features that mesh extraction reads.
        structure_encoder: Voxels to structure latents; None where it was not read.
        latent_encoder: Picture features on voxels to structured latents; None where it was not read.
    """

    structure_flow: SparseStructureFlowModel
    structure_decoder: SparseStructureDecoder
    latent_flow: SLatFlowModel
    mesh_decoder: SLatMeshDecoder
    structure_encoder: SparseStructureEncoder | None = None
    latent_encoder: SLatEncoder | None = None

    @classmethod
    def from_released(cls, found: Mapping[str, Network]) -> Networks:
        """Take networks by their names in ``pipeline.json``.

        Raises:
            Verdict3DError: One that a mesh needs is missing, or one is of another class or unknown.
        """
        known = {name for name, _ in RELEASED.values()}
        unknown = sorted(set(found) - known)
        if unknown:
            raise Verdict3DError(
                f"a generator has no use for {', '.join(unknown)}; known: {', '.join(known)}"
            )
        for name, kind in RELEASED.values():
            if name in found and not isinstance(found[name], kind):
                kinds = type(found[name]).__name__, kind.__name__
                raise Verdict3DError(f"{name} is {kinds[0]}; a generator needs a {kinds[1]} there")
        parts = {part: found.get(name) for part, (name, _) in RELEASED.items()}
        for part in ("structure_flow", "structure_decoder", "latent_flow", "mesh_decoder"):
            if parts[part] is None:
                name, kind = RELEASED[part]
                raise Verdict3DError(f"{name} is nothing; a generator needs a {kind.__name__} there")
        return cls(**parts)  # type: ignore[arg-type]

    def map_released_names(self) -> dict[str, Network]:
        """Return the networks that are there by their names in ``pipeline.json``."""
        found = {name: getattr(self, part) for part, (name, _) in RELEASED.items()}
        return {name: network for name, network in found.items() if network is not None}

    def get_flow(self, stage: str) -> SparseStructureFlowModel | SLatFlowModel:
        """Return the flow of a stage.

        Args:
            stage: ``structure`` or ``latents``.
        """
        flows: dict[str, SparseStructureFlowModel | SLatFlowModel] = {
            "structure": self.structure_flow,
            "latents": self.latent_flow,
        }
        return flows[stage]
