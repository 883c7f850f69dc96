"""Parameters, gradients and optimiser states shared out over processes: torch's FSDP2.

A method is one unit. Between steps each process holds its part of every parameter and of AdamW's moments; a
step gathers the parameters, and gives each process its part of the averaged gradients. Not layer by layer, as
language models do: towers read texts grouped by length, and images only where a process has some, so that a
layer is called another number of times on each process, and one would wait for the other for ever.

Left whole on every process are temperatures and biases of the logits, which have no axis to cut, and what is
locked, which has neither gradients nor moments.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from knowclip.methods.method import Method

Checkpoints = Literal["full", "sharded"]
"""One file of whole tensors, written by one process; or the parts, each process its own."""


class Shards:
    """The part of a method that this process holds, and of the optimiser that steps it.

    The method that is given stays whole, for what one process does alone: validation, saving. ``gather``
    brings its weights up to date. ``module`` is a copy of it whose parameters are cut.

    Args:
        method: As it is on the main process, every process begins.
        optimizer: Over its parameters; steps the parts from now on.
        device: Of this process.
        checkpoints: How ``last`` keeps what is cut.
    """

    def __init__(
        self, method: Method, optimizer: Optimizer, *, device: torch.device, checkpoints: Checkpoints
    ) -> None:
        for tensor in method.state_dict().values():  # as DistributedDataParallel does
            dist.broadcast(value := tensor.contiguous(), src=0)
            tensor.copy_(value)
        self.whole = method
        self.optimizer = optimizer
        self.device = device
        self.checkpoints = checkpoints
        self.module = copy.deepcopy(method)
        left_whole = {p for p in self.module.parameters() if p.ndim == 0 or not p.requires_grad}
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))
        fully_shard(self.module, mesh=mesh, ignored_params=left_whole)
        # once, so that torch allocates the parts for good: the optimiser is to write into them
        self.module.unshard()
        self.module.reshard()
        self._parts = self._step_parts()

    def _step_parts(self) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
        """Give the optimiser this process's parts; by name the parameter and what is stepped of it.

        Plain tensors, which fused AdamW takes together with those that are not cut.
        """
        names = {id(parameter): name for name, parameter in self.whole.named_parameters()}
        ours, parts = dict(self.module.named_parameters()), {}
        for group in self.optimizer.param_groups:
            for place, parameter in enumerate(group["params"]):
                name = names[id(parameter)]
                found = ours[name]
                part = nn.Parameter(found.to_local().detach()) if isinstance(found, DTensor) else found
                group["params"][place] = part
                parts[name] = (found, part)
        return parts

    def reduce_gradients(self) -> None:
        """Average the gradients of what is not cut, and hand all to the optimiser's parts."""
        whole = [found.grad for found, part in self._parts.values() if found is part]
        if whole:
            together = torch.stack(whole)
            dist.all_reduce(together)
            for gradient, mean in zip(whole, together / dist.get_world_size(), strict=True):
                gradient.copy_(mean)
        for found, part in self._parts.values():
            if found is not part:
                part.grad, found.grad = found.grad.to_local(), None

    def gradient_norm(self) -> Tensor:
        """The global norm of the gradient, the same on every process."""
        cut = [part.grad for found, part in self._parts.values() if found is not part]
        whole = [part.grad for found, part in self._parts.values() if found is part]
        squared, beside = (nn.utils.get_total_norm(of).to(self.device).square() for of in (cut, whole))
        dist.all_reduce(squared)
        return (squared + beside).sqrt()

    def gather(self) -> None:
        """Bring the weights of the whole method up to date; every process takes part."""
        cut = self.module.state_dict()
        for name, tensor in self.whole.state_dict().items():
            tensor.copy_(_full(cut[name]))

    def scatter(self) -> None:
        """Take the weights of the whole method, the same on every process."""
        cut = self.module.state_dict()
        for name, tensor in self.whole.state_dict().items():
            cut[name].copy_(_part(tensor, cut[name]))

    def gradients(self) -> dict[str, Tensor]:
        """Whole gradients by name; every process takes part."""
        return {name: _full(_like(part.grad, found)).clone() for name, (found, part) in self._parts.items()}

    def optimizer_state(self) -> dict[str, Any]:
        """The optimiser's state as without shards; None in place of what ``write`` keeps apart."""

        def full(tensor: Tensor, found: nn.Parameter) -> Tensor | None:
            if self.checkpoints == "sharded":
                return None
            whole = _full(_like(tensor, found))
            return whole.cpu() if dist.get_rank() == 0 else None  # which alone writes it

        return self._mapped(self.optimizer.state_dict(), full)

    def load_optimizer(self, state: dict[str, Any]) -> None:
        """Take this process's part of an optimiser's state."""

        def part(tensor: Tensor | None, found: nn.Parameter) -> Tensor:
            return torch.zeros_like(found.to_local()) if tensor is None else _part(tensor, found).to_local()

        self.optimizer.load_state_dict(self._mapped(state, part))

    def write(self, folder: Path) -> None:
        """Write what is cut, each process its part (torch.distributed.checkpoint)."""
        dcp.save(dict(self._tensors()), checkpoint_id=folder)

    def read(self, folder: Path, state: dict[str, Any]) -> None:
        """Take up what ``write`` wrote, beside the ``optimizer_state`` of that time.

        Raises:
            RuntimeError: It cannot be read.
        """
        self.load_optimizer(state)
        try:
            dcp.load(dict(self._tensors()), checkpoint_id=folder)
        except dcp.CheckpointException as error:  # a BaseException
            raise RuntimeError(str(error)) from error

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Weights and moments by name, as torch.distributed.checkpoint writes and fills them."""
        for name, tensor in self.module.state_dict().items():
            yield f"method.{name}", tensor
        for name, (found, part) in self._parts.items():
            for key, value in self.optimizer.state.get(part, {}).items():
                if value.shape == part.shape and found is not part:
                    yield f"optimizer.{name}.{key}", _like(value, found)

    def _mapped(self, state: dict[str, Any], change: Callable[[Any, nn.Parameter], Any]) -> dict[str, Any]:
        """An optimiser's state_dict with what it keeps of cut parameters, element by element, changed."""
        numbers = [number for group in state["param_groups"] for number in group["params"]]
        order = [part for group in self.optimizer.param_groups for part in group["params"]]
        cut = {id(part): found for found, part in self._parts.values() if found is not part}
        changed = {}
        for number, part in zip(numbers, order, strict=True):
            found, kept = cut.get(id(part)), state["state"].get(number)
            if kept is not None:
                changed[number] = {
                    key: value if found is None or _is_count(value) else change(value, found)
                    for key, value in kept.items()
                }
        return {**state, "state": changed}


def _is_count(value: Tensor | None) -> bool:
    """A number of steps, not a moment of each element."""
    return value is not None and value.ndim == 0


def _like(part: Tensor, found: Tensor) -> Tensor:
    """The parts that all processes hold as one tensor, cut as a parameter is."""
    if not isinstance(found, DTensor):
        return part
    cut = {"device_mesh": found.device_mesh, "placements": found.placements, "run_check": False}
    return DTensor.from_local(part, **cut, shape=found.shape, stride=found.stride())


def _full(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _part(tensor: Tensor, found: Tensor) -> Tensor:
    """A whole tensor, the same on every process, cut as a parameter is."""
    if not isinstance(found, DTensor):
        return tensor
    return distribute_tensor(tensor.to(found.device), found.device_mesh, found.placements, src_data_rank=None)
