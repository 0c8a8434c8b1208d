"""One run of the recipe and the folder it works in: networks, trainings, pools."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from verdict3d.config import Params
from verdict3d.errors import Verdict3DError
from verdict3d.pretrain.architectures import CONDITIONER, NETWORKS
from verdict3d.pretrain.pool import DevicePool, Pool
from verdict3d.pretrain.recipe import Recipe
from verdict3d.pretrain.training import Schedule, Training, initial_weights
from verdict3d.records.files import read_json, replacing, write_json
from verdict3d.trellis.checkpoint import MODEL_CLASSES
from verdict3d.trellis.conditioner import Conditioner, make_dinov2_config


@dataclass(frozen=True)
class Workshop:
    """One run of the recipe.

    Attributes:
        recipe: Rows, steps and seeds.
        params: Samplers of the generator, and degradation regimes that judges see.
        work: Folder of weights and losses; a run goes on from what is there.
        pools: Folder of the training rows.
        checkpoints: Folder that the finished networks are published in.
        device: Where networks are trained.
    """

    recipe: Recipe
    params: Params
    work: Path
    pools: Path
    checkpoints: Path
    device: torch.device

    def open(self) -> None:
        """Make the work folder, or check that what is there was made by the same recipe.

        Raises:
            Verdict3DError: It was made by another one.
        """
        path, own = self.work / "recipe.json", asdict(self.recipe)
        del own["checkpoint_every"]
        if not path.exists():
            write_json(path, own)
        elif read_json(path) != json.loads(json.dumps(own)):
            raise Verdict3DError(
                f"{self.work} was begun with another recipe or another --scale; choose an empty folder"
            )

    def load_training(self, name: str) -> Training:
        """Return one of the generator's trainings, to go on from where an interrupted run left it."""
        return self._load_training(name, self.recipe.trainings[name], self.recipe.seed)

    def judge_training(self, family: str) -> Training:
        """Return the training of a judge, to go on from where an interrupted run left it."""
        judge = self.recipe.judges[family]
        return self._load_training(family, judge.schedule, judge.seed)

    def _load_training(self, name: str, schedule: Schedule, seed: int) -> Training:
        path = self.work / f"{name}.training.safetensors"
        return Training(name, schedule, seed, path, self.recipe.checkpoint_every)

    def make_untrained(self, name: str) -> Any:
        """Return a network of the generator with the initial weights of the recipe's seed, in float32."""
        with initial_weights(self.recipe.seed, "initial_weights", name):
            return build(name).to(self.device)

    def save(self, name: str, network: nn.Module) -> None:
        """Write a network's weights in half precision: what ships is what later phases train on."""
        state = {key: value.detach().half().cpu().contiguous() for key, value in network.state_dict().items()}
        with replacing(self.work / f"{name}.safetensors") as temporary:
            save_file(state, temporary)

    def load(self, name: str, device: torch.device | None = None) -> Any:
        """Return a trained network, frozen, in float32."""
        network, state = build(name), load_file(self.work / f"{name}.safetensors")
        network.load_state_dict({key: value.float() for key, value in state.items()})
        return network.to(device or self.device).eval().requires_grad_(False)

    def log(self, training: Training) -> None:
        """Write the losses of a finished training, and where it ran."""
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        story = {"device": kind, "steps": training.schedule.steps, "losses": training.losses}
        write_json(self.work / f"{training.name}.json", story)

    def pool(self, name: str) -> Pool:
        """Return a pool."""
        return Pool(self.pools / name)

    def load_device_pool(self, name: str, *arrays: str) -> DevicePool:
        """Return some arrays of a pool on the training device."""
        return DevicePool(self.pool(name), arrays, self.device)

    @property
    def generator(self) -> Path:
        """Folder of the assembled generator, in the released layout."""
        return self.work / "generator"


def build(name: str) -> Any:
    """Return a network of the embedded generator by its pipeline name, or ``conditioner``, in float32."""
    if name == "conditioner":
        return Conditioner(make_dinov2_config(**CONDITIONER))
    kind, arguments = NETWORKS[name]
    network = MODEL_CLASSES[kind](**arguments)
    network.set_torso_dtype(torch.float32)
    return network
