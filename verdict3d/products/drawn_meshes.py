"""Montages of mesh files and pictures of photos as a judge sees them, kept by what they depend on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from verdict3d.config_inputs import PhotosParams
from verdict3d.errors import ItemFailure
from verdict3d.judge.modes import TEXTURE_MODE, TEXTURE_VIEWS
from verdict3d.mesh.axes import Up
from verdict3d.mesh.files import read_mesh
from verdict3d.mesh.mesh import Mesh, mesh_digest
from verdict3d.provenance import code_of, digest_file, digest_json
from verdict3d.records.assets import Note
from verdict3d.records.files import replacing
from verdict3d.render.montage_files import write_montages
from verdict3d.render.renderer import Renderer
from verdict3d.render.rig import Rig

KEPT = Path(".verdict3d/compare")
"""Below the project: ``montages`` and ``photos``. All of it can be made again."""


@dataclass(frozen=True)
class Drawn:
    """A mesh file as a judge can see it.

    Attributes:
        mesh_digest: Of the mesh; None where it failed.
        montage: File of its montages; None where it failed.
        failure: Why it cannot be judged, as a short code; None where it can.
        message: The same for people.
        notes: What was changed or guessed while it was read.
        coloured: Whether it has vertex colours or a texture.
    """

    mesh_digest: str | None
    montage: Path | None
    failure: str | None = None
    message: str = ""
    notes: tuple[Note, ...] = ()
    coloured: bool = False


MISSING = Drawn(None, None, "missing_mesh", "the folder has no mesh of this photo")


class DrawnMeshes:
    """Reads mesh files and draws what is not drawn yet.

    Args:
        rig: Where a judge looks from.
        views: How many of its view sets are drawn.
        mode: What the montages show.
        up: Axis of the files that points up.
        project: Where the pictures are kept below.

    Attributes:
        in_colour: Whether meshes that have a surface are drawn in colour, too, when they are looked at.
    """

    def __init__(self, rig: Rig, views: int, mode: str, up: Up, project: Path) -> None:
        self._renderer = Renderer(rig)
        self._mode, self._sets = mode, {TEXTURE_MODE: TEXTURE_VIEWS, mode: views}
        self._up: Up = up
        self._kept = project / KEPT / "montages"
        self._names = {one: digest_json(rig.set_digests[:sets])[:16] for one, sets in self._sets.items()}
        for one in self._sets:
            (self._kept / self._names[one] / one).mkdir(parents=True, exist_ok=True)
        self.in_colour = False
        self._found: dict[Path, Drawn] = {}
        self.drawn, self.seconds = 0, 0.0

    def look(self, path: Path | None) -> Drawn:
        """Return a mesh file as a judge sees it; None stands for a file that is not there."""
        if path is None:
            return MISSING
        if path not in self._found:
            try:
                mesh = self.read(path)
                coloured = mesh.colors is not None or mesh.texture is not None
                self._found[path] = Drawn(*self.draw(mesh), notes=mesh.notes, coloured=coloured)
                if coloured and self.in_colour:
                    self.draw(mesh, TEXTURE_MODE)
            except ItemFailure as failure:
                self._found[path] = Drawn(None, None, failure.reason, str(failure))
        return self._found[path]

    def has_seen(self, path: Path | None) -> bool:
        """Return whether a file was looked at, or is not there."""
        return path is None or path in self._found

    def read(self, path: Path) -> Mesh:
        """Read a mesh file.

        Raises:
            ItemFailure: It cannot be read.
        """
        started = monotonic()
        try:
            return read_mesh(path, up_axis=self._up)
        finally:
            self.seconds += monotonic() - started

    def montage(self, digest: str, mode: str | None = None) -> Path:
        """Return the file of the montages of a drawn mesh, in the judge's mode or another one."""
        mode = mode or self._mode
        return self._kept / self._names[mode] / mode / f"{digest}.png"

    def draw(self, mesh: Mesh, mode: str | None = None) -> tuple[str, Path]:
        """Return a mesh's digest and the file of its montages, in the judge's mode or in colour.

        Raises:
            ItemFailure: It cannot be drawn.
        """
        digest = mesh_digest(mesh)
        mode = mode or self._mode
        path = self.montage(digest, mode)
        if not path.is_file():
            started = monotonic()
            montages = self._renderer.montages(mesh, mode, self._sets[mode])
            with replacing(path) as temporary:
                write_montages(temporary, montages)
            self.seconds += monotonic() - started
            self.drawn += 1
        return digest, path


class PreparedPhotos:
    """Pictures of photos' objects, as ``generate`` sees them: transparent, the background removed if asked.

    Args:
        params: The section ``photos``.
        project: Where the pictures are kept below.

    Raises:
        Verdict3DError: The background remover cannot be made.
    """

    def __init__(self, params: PhotosParams, project: Path) -> None:
        from verdict3d.trellis.background import identify_background
        from verdict3d.trellis.photos import PhotoReader

        self._reader = PhotoReader(params)
        self._again = PhotoReader(params.model_copy(update={"background": None}))
        self._way = [
            *identify_background(params.background),
            params.objects,
            code_of("verdict3d.trellis.photos"),
        ]
        self._folder = project / KEPT / "photos"

    def prepare(self, photo: Path) -> tuple[Path, str]:
        """Return the file with the picture, and what speaks against the photo; empty where nothing does.

        Raises:
            ItemFailure: The photo cannot be used.
        """
        if not photo.is_file():
            raise ItemFailure("missing_file", f"{photo}: there is no such file")
        target = self._folder / f"{digest_json([digest_file(photo), *self._way])}.png"
        if target.is_file():
            return target, self._again.read(target).warning
        read = self._reader.read(photo)
        with replacing(target) as temporary:
            read.image.save(temporary, compress_level=1)
        return target, read.warning
