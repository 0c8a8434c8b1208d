"""Image to mesh: TRELLIS from one directory in the released layout.

photo -> crop -> tokens -> structure flow -> voxels -> latent flow -> latents -> mesh decoder -> mesh

Every item has its own noise from its own seed, so neighbours in a batch never change it. What goes wrong with
one item is an ``ItemFailure`` in its place.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from verdict3d.config_generators import SamplerParams
from verdict3d.device import pick_device
from verdict3d.errors import ItemFailure, Verdict3DError
from verdict3d.mesh.mesh import MeshOrFailure
from verdict3d.provenance import digest_json
from verdict3d.trellis.conditioner import Conditioner
from verdict3d.trellis.layout import check_parts
from verdict3d.trellis.mesh_decoding import decode_meshes, find_non_finite
from verdict3d.trellis.network import Network
from verdict3d.trellis.networks import Networks
from verdict3d.trellis.preprocess import preprocess_image
from verdict3d.trellis.pretrained import read_generator, write_generator
from verdict3d.trellis.sampler import sample_flow
from verdict3d.trellis.sparse import SparseTensor
from verdict3d.trellis.structure_vae import find_occupied_voxels
from verdict3d.weight_digests import digest_weights


class TrellisPipeline:
    """The networks of one generator and the way through them.

    Args:
        conditioner: Pictures (B, 3, S, S) in [0, 1] to tokens (B, L, C); replaceable, an adapter wraps it.
        networks: The flows and decoders, and the encoders where they were read.
        structure: Default parameters of the structure sampler.
        latents: Default parameters of the latent sampler.
        normalization: Mean and standard deviation (C,) of the structured latents.
        sigma_min: Noise that the structure sampler and the latent sampler leave at t = 0.
        device: Where everything runs.
        files: What makes meshes, for ``digest``; empty for a pipeline made in memory.
    """

    def __init__(
        self,
        conditioner: Conditioner,
        networks: Networks,
        structure: SamplerParams,
        latents: SamplerParams,
        normalization: tuple[Tensor, Tensor],
        sigma_min: tuple[float, float] = (1e-5, 1e-5),
        device: str | torch.device = "auto",
        files: Mapping[str, Path] | None = None,
    ) -> None:
        released = networks.map_released_names()
        configs = {name: network.config for name, network in released.items()}
        check_parts(conditioner.channels, configs, len(normalization[0]))
        self.device = pick_device(device)
        self.conditioner: Any = conditioner.to(self.device).eval().requires_grad_(False)
        for network in released.values():
            network.to(self.device).eval().requires_grad_(False)
        self.networks = networks
        self.structure, self.latents = structure, latents
        self.mean, self.std = (values.float().to(self.device) for values in normalization)
        self.sigma_min = sigma_min
        self._files = dict(files or {})

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device = "auto",
        conditioner: str | Path | None = None,
        conditioner_revision: str | None = None,
        extra: Sequence[str] = (),
        compiled: bool = False,
    ) -> TrellisPipeline:
        """Read a generator in the released layout (``verdict3d.trellis.layout``), one network at a time.

        Args:
            model: Directory with ``pipeline.json`` and ``ckpts/``, or hub id such as
                ``microsoft/TRELLIS-image-large``; ``verdict3d.hub`` says how those are fetched.
            revision: Branch, tag or commit of a hub id.
            dtype: Computing type of the transformer and convolution blocks on a GPU, by default float16; a
                CPU computes in float32.
            device: "auto", "cpu", "cuda", ...
            conditioner: Transformers directory or hub id of the conditioner, when it is not in
                ``image_cond_model/``.
            conditioner_revision: The same for the conditioner.
            extra: Further networks to read, such as ``"slat_encoder"``.
            compiled: Compile the blocks of both flows at their first use (:meth:`Network.compile_blocks`).

        Raises:
            Verdict3DError: There is no such model, or a file is missing, foreign or damaged.
        """
        return cls(
            **read_generator(
                model,
                revision=revision,
                dtype=dtype,
                device=device,
                conditioner=conditioner,
                conditioner_revision=conditioner_revision,
                extra=extra,
                compiled=compiled,
            )
        )

    def parts(self) -> dict[str, Any]:
        """Return the arguments that make this pipeline again."""
        return {
            "conditioner": self.conditioner,
            "networks": self.networks,
            "structure": self.structure,
            "latents": self.latents,
            "normalization": (self.mean, self.std),
            "sigma_min": self.sigma_min,
            "device": self.device,
            "files": self._files,
        }

    def with_networks(self, conditioner: Any = None, **networks: Network) -> Self:
        """Return this pipeline with other networks; everything else is shared.

        Args:
            conditioner: Module in the conditioner's place; None keeps the present one.
            **networks: Networks by the names of :class:`Networks`.
        """
        made = copy.copy(self)
        if conditioner is not None:
            made.conditioner = conditioner
        made.networks = replace(self.networks, **networks)  # type: ignore[arg-type]
        return made

    def save_pretrained(self, directory: str | Path) -> None:
        """Write all networks, the conditioner and ``pipeline.json`` in the layout ``from_pretrained`` reads.

        Raises:
            Verdict3DError: The conditioner is wrapped by an adapter; adapters are saved on their own.
        """
        if not isinstance(self.conditioner, Conditioner):
            raise Verdict3DError("this pipeline carries an adapter; save the base, and the adapter beside it")
        samplers = (self.structure, self.sigma_min[0]), (self.latents, self.sigma_min[1])
        write_generator(Path(directory), self.conditioner, self.networks, samplers, (self.mean, self.std))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files that meshes are made with; encoders that training reads do not count.

        Raises:
            Verdict3DError: It was made in memory.
        """
        if not self._files:
            raise Verdict3DError("a generator made in memory has no digest; save it and load it")
        return digest_json([[name, digest_weights(path)] for name, path in sorted(self._files.items())])

    @property
    def image_size(self) -> int:
        """Side in px of the pictures the conditioner takes."""
        return int(self.conditioner.image_size)

    def preprocess(self, image: Image.Image) -> Image.Image:
        """Crop an RGBA photo to its object, on black, at ``image_size``.

        Raises:
            ItemFailure: ``no_alpha`` or ``no_foreground``.
        """
        return preprocess_image(image, self.image_size)

    def encode(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return condition tokens (B, L, C) float32 of RGB pictures, which are resized where needed."""
        side = (self.image_size, self.image_size)
        fitted = [
            picture.convert("RGB") if picture.size == side
            else picture.convert("RGB").resize(side, Image.Resampling.LANCZOS)
            for picture in pictures
        ]  # fmt: skip
        pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in fitted]))
        return self.encode_tensor(pixels.permute(0, 3, 1, 2).float() / 255)

    @torch.no_grad()
    def encode_tensor(self, pictures: Tensor) -> Tensor:
        """Return condition tokens (B, L, C) float32 of pictures (B, 3, S, S) in [0, 1]."""
        tokens: Tensor = self.conditioner(pictures.to(self.device))
        return tokens.float()

    def draw_structure_noise(self, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw the structure's noise (B, C, R, R, R), one CPU generator an item."""
        flow = self.networks.structure_flow
        shape = (flow.config["in_channels"], *(flow.config["resolution"],) * 3)
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        return noise.to(self.device)

    @torch.no_grad()
    def sample_structure_latents(
        self, tokens: Tensor, noise: Tensor, params: SamplerParams | None = None
    ) -> Tensor:
        """Sample the latent (B, C, R, R, R) of the structure from noise of that shape."""
        return sample_flow(
            self.networks.structure_flow,
            noise,
            tokens.to(self.device),
            params or self.structure,
            sigma_min=self.sigma_min[0],
        )

    @torch.no_grad()
    def decode_structure(self, latent: Tensor) -> list[Tensor | ItemFailure]:
        """Decode structure latents (B, C, R, R, R).

        Returns:
            Per item int32 (T, 3) voxels, x slowest, or a failure ``non_finite`` or ``empty_structure``.
        """
        logits = self.networks.structure_decoder(latent)
        finite = logits.flatten(1).isfinite().all(dim=1).tolist()
        voxels = find_occupied_voxels(logits)
        counts = torch.bincount(voxels[:, 0].long(), minlength=len(logits)).tolist()
        results: list[Tensor | ItemFailure] = []
        for coords, whole in zip(voxels[:, 1:].split(counts), finite, strict=True):
            if not whole:
                results.append(find_non_finite("the structure"))
            elif not len(coords):
                results.append(ItemFailure("empty_structure", "the structure has no occupied voxel"))
            else:
                results.append(coords)
        return results

    def sample_structure(
        self, tokens: Tensor, generators: Sequence[torch.Generator], params: SamplerParams | None = None
    ) -> list[Tensor | ItemFailure]:
        """Sample which voxels are occupied.

        Args:
            tokens: (B, L, C) condition tokens.
            generators: One CPU generator per item; the structure noise is drawn from it.
            params: Sampler parameters, by default the pipeline's.

        Returns:
            As :meth:`decode_structure`.
        """
        latent = self.sample_structure_latents(tokens, self.draw_structure_noise(generators), params)
        return self.decode_structure(latent)

    def draw_latents_noise(
        self, coords: Sequence[Tensor], generators: Sequence[torch.Generator]
    ) -> SparseTensor:
        """Draw the latents' noise on the voxels (T, 3) of each item, one CPU generator an item."""
        channels = self.networks.latent_flow.config["in_channels"]
        noise = [
            torch.randn(len(voxels), channels, generator=generator)
            for voxels, generator in zip(coords, generators, strict=True)
        ]
        return SparseTensor.stack(
            [part.to(self.device) for part in noise], [part.to(self.device) for part in coords]
        )

    @torch.no_grad()
    def sample_normalized_latents(
        self, tokens: Tensor, noise: SparseTensor, params: SamplerParams | None = None
    ) -> SparseTensor:
        """Sample structured latents from noise, in the flow's own scale."""
        return sample_flow(
            self.networks.latent_flow,
            noise,
            tokens.to(self.device),
            params or self.latents,
            sigma_min=self.sigma_min[1],
        )

    def sample_latents(
        self,
        tokens: Tensor,
        coords: Sequence[Tensor],
        generators: Sequence[torch.Generator],
        params: SamplerParams | None = None,
    ) -> SparseTensor:
        """Sample structured latents on given voxels.

        Args:
            tokens: (B, L, C) condition tokens.
            coords: Per item int (T, 3) voxels, at least one.
            generators: One CPU generator per item, after its structure noise was drawn.
            params: Sampler parameters, by default the pipeline's.

        Returns:
            The latents of the batch, in the decoder's scale.
        """
        sample = self.sample_normalized_latents(tokens, self.draw_latents_noise(coords, generators), params)
        return sample.replace(sample.feats * self.std + self.mean)

    @torch.no_grad()
    def decode_meshes(self, latents: SparseTensor) -> list[MeshOrFailure]:
        """Decode structured latents to meshes; failures are ``non_finite`` or ``no_faces``."""
        return decode_meshes(self.networks.mesh_decoder, latents)

    def generate_from_tokens(
        self,
        tokens: Tensor,
        seeds: Sequence[int],
        structure: SamplerParams | None = None,
        latents: SamplerParams | None = None,
        latents_tokens: Tensor | None = None,
    ) -> list[MeshOrFailure]:
        """Generate one mesh for each row of ``tokens`` (B, L, C) with that row's seed.

        Args:
            tokens: Condition of the structure, and of the latents unless they have their own.
            seeds: One seed for each item.
            structure: Sampler parameters, by default the pipeline's.
            latents: Sampler parameters of the latents, by default the pipeline's.
            latents_tokens: (B, L, C) condition of the latents.

        Raises:
            Verdict3DError: The numbers of items and seeds differ.
        """
        if len(seeds) != len(tokens):
            raise Verdict3DError(f"{len(tokens)} items and {len(seeds)} seeds; give one seed for each item")
        finite = tokens.flatten(1).isfinite().all(dim=1).tolist() if len(seeds) else []
        outcomes: list[MeshOrFailure] = [find_non_finite("the condition") for _ in seeds]
        items = [item for item, whole in enumerate(finite) if whole]
        if not items:
            return outcomes
        generators = [torch.Generator().manual_seed(seeds[item]) for item in items]
        structures = self.sample_structure(tokens[items], generators, structure)
        occupied: list[tuple[int, Tensor, torch.Generator]] = []
        for item, voxels, generator in zip(items, structures, generators, strict=True):
            if isinstance(voxels, ItemFailure):
                outcomes[item] = voxels
            else:
                occupied.append((item, voxels, generator))
        if occupied:
            kept, coords, sources = (list(column) for column in zip(*occupied, strict=True))
            own = tokens if latents_tokens is None else latents_tokens
            sampled = self.sample_latents(own[kept], coords, sources, latents)
            for item, outcome in zip(kept, self.decode_meshes(sampled), strict=True):
                outcomes[item] = outcome
        return outcomes

    def generate(
        self,
        images: Sequence[Image.Image],
        seeds: Sequence[int],
        structure: SamplerParams | None = None,
        latents: SamplerParams | None = None,
        *,
        latents_images: Sequence[Image.Image] | None = None,
    ) -> list[MeshOrFailure]:
        """Generate one mesh for each RGBA photo with its seed; the same seed and photo give the same mesh.

        Args:
            images: Photos.
            seeds: One seed for each photo.
            structure: Sampler parameters, by default the pipeline's.
            latents: Sampler parameters of the latents, by default the pipeline's.
            latents_images: Photos that the latents are conditioned on, by default the same ones.

        Returns:
            Per photo a mesh (z up, inside [-0.5, 0.5]^3, vertex colours) or an ``ItemFailure`` with reason
            ``no_alpha``, ``no_foreground``, ``empty_structure``, ``non_finite`` or ``no_faces``.

        Raises:
            Verdict3DError: The numbers of photos and seeds differ.
        """
        if len(seeds) != len(images):
            raise Verdict3DError(f"{len(images)} photos and {len(seeds)} seeds; give one seed for each photo")
        outcomes: list[MeshOrFailure] = []
        pictures, others, places = [], [], []
        for place, image in enumerate(images):
            try:
                picture = self.preprocess(image)
                others.append(picture if latents_images is None else self.preprocess(latents_images[place]))
                pictures.append(picture)
                places.append(place)
                outcomes.append(find_non_finite("the condition"))
            except ItemFailure as failure:
                outcomes.append(failure)
        if places:
            made = self.generate_from_tokens(
                self.encode(pictures),
                [seeds[place] for place in places],
                structure,
                latents,
                None if latents_images is None else self.encode(others),
            )
            for place, outcome in zip(places, made, strict=True):
                outcomes[place] = outcome
        return outcomes
