"""Meshes of a user's photos: ``manifest.json`` of ``verdict3d generate``."""

from __future__ import annotations

from typing import Any, ClassVar

from verdict3d.records.record import Record, RecordPart


class PhotoMesh(RecordPart):
    """The mesh of one photo and seed.

    Attributes:
        photo: Path of the photo, as it was given.
        photo_digest: SHA-256 of the photo.
        seed: Seed of the noise.
        output: File name of the mesh.
        output_digest: SHA-256 of that file; None where there is none.
        way: Digest of everything else that decides the mesh; "" where the photo was refused before.
        failure: Reason why there is no mesh; None where there is one.
        message: The reason in words; "" where there is a mesh.
        mesh_digest: Digest of the mesh, whatever its file format; None where there is none.
        vertices: Number of its vertices.
        faces: Number of its faces.
        background: Model that removed the background; None where the photo was transparent.
        objects: Separate opaque regions in the photo; None where there is no mesh.
        warning: Why the photo may not be what it should be; "" where nothing speaks against it.
    """

    photo: str
    photo_digest: str
    seed: int
    output: str
    output_digest: str | None
    way: str
    failure: str | None
    message: str
    mesh_digest: str | None
    vertices: int | None
    faces: int | None
    background: str | None
    objects: int | None
    warning: str


class PhotoMeshes(Record):
    """All meshes of a folder.

    Attributes:
        generator: Parameters of the generator that was used last.
        arm: Arm on it; "" for none.
        photos: What was done to photos, the section ``photos`` of the parameters.
        meshes: By name of the output.
    """

    SCHEMA: ClassVar[str] = "verdict3d/photo-meshes/4"

    generator: dict[str, Any]
    arm: str | None
    photos: dict[str, Any]
    meshes: list[PhotoMesh]
