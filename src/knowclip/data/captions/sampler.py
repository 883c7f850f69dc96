"""Which examples make up each batch: the same global batches for any number of processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np


class GlobalBatchSampler:
    """Yields the indices of this process's slice of each global batch; for ``DataLoader(batch_sampler=...)``.

    Every process shuffles alike, by ``(seed, epoch)``, and takes its contiguous slice, so that joining the
    slices in rank order gives the batch that one process alone would have seen.

    With ``groups``, a share of each batch is filled with whole groups, the rest at random. Members of a group
    are each other's hard in-batch negatives (scenes of the same objects in other roles), as NegCLIP
    (Yuksekgonul et al., ICLR 2023) mines hard images.

    With ``shards``, an epoch goes through the shards in an order of its own, and shuffles the items of
    ``window`` shards at a time: so many shards are read from, and no item is left out or seen twice.

    Args:
        size: Number of items.
        batch_size: Of the global batch, over all processes.
        rank: Of this process.
        world_size: Number of processes.
        seed: Of the order.
        shuffle: False keeps the order of the items, for evaluation.
        drop_last: Leave out the last, smaller batch. If kept, it is dropped all the same (and ``dropped``
            counts its items) when it has fewer items than there are processes, since each needs one.
        groups: A group number for each item.
        group_share: Share of each batch to fill with groups, in [0, 1]. Less is filled where too few items
            have a group of two, or where the next group is too large for what is left of the share.
        shards: A shard number for each item.
        window: Shards whose items are shuffled together.

    Raises:
        ValueError: Sizes, ranks or groups that do not fit together, or no batch at all.
    """

    def __init__(
        self,
        size: int,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        groups: Sequence[int] | None = None,
        group_share: float = 0.5,
        shards: Sequence[int] | None = None,
        window: int = 1,
    ) -> None:
        if not 0 <= rank < world_size <= batch_size:
            raise ValueError(
                f"needs 0 <= rank < world_size <= batch_size, got {rank=}, {world_size=}, {batch_size=}"
            )
        if groups is not None and (len(groups) != size or not 0 <= group_share <= 1 or not shuffle):
            raise ValueError(
                f"groups need one number for each of the {size} items (got {len(groups)}), a group_share in "
                f"[0, 1] (got {group_share}), and shuffle=True"
            )
        if shards is not None and (len(shards) != size or window < 1 or groups is not None or not shuffle):
            raise ValueError(
                f"shards need one number for each of the {size} items (got {len(shards)}), a window of 1 or "
                f"more (got {window}), shuffle=True, and no groups, whose members may be in any shard"
            )
        full, rest = divmod(size, batch_size)
        keep_rest = not drop_last and rest >= world_size
        self.dropped = 0 if keep_rest else rest
        if full + keep_rest == 0:
            raise ValueError(
                f"{size} items make no batch of {batch_size} over {world_size} processes with "
                f"{drop_last=}: choose a smaller batch_size"
            )
        self.batch_size = batch_size
        self._size, self._full, self._batches = size, full, full + keep_rest
        self._rank, self._world_size = rank, world_size
        self._seed, self._shuffle = seed, shuffle
        self._members = _members(groups)
        self._shards = None if shards is None else np.unique(np.asarray(shards), return_inverse=True)[1]
        self._window = window
        self._group_slots = self._slots(group_share)
        self._epoch = self._skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from its first batch on."""
        self._epoch, self._skip = epoch, 0

    def skip(self, batches: int) -> None:
        """Start this epoch after ``batches`` batches, to resume.

        Raises:
            ValueError: An epoch has fewer.
        """
        if not 0 <= batches <= self._batches:
            raise ValueError(
                f"cannot go on after batch {batches} of an epoch of {self._batches} batches ({self._size:,} "
                f"items, batch_size {self.batch_size}): these are not the data of the run that was saved"
            )
        self._skip = batches

    def __len__(self) -> int:
        """Batches in an epoch, skipped ones included."""
        return self._batches

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order()
        for batch in range(self._skip, self._batches):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            # contiguous, and so that sizes differ by one at most: gathering pads to the largest
            start, stop = (len(indices) * r // self._world_size for r in (self._rank, self._rank + 1))
            yield indices[start:stop].tolist()

    def _slots(self, share: float) -> int:
        """Places in each batch for groups, evenly over the epoch's batches where there are few."""
        grouped = sum(map(len, self._members))
        return min(round(share * self.batch_size), grouped // max(self._full, 1))

    def _order(self) -> np.ndarray:
        if not self._shuffle:
            return np.arange(self._size)
        rng = np.random.default_rng([self._seed, self._epoch])
        if self._shards is not None:
            return self._windowed(self._shards, rng)
        order = rng.permutation(self._size)
        return order if self._group_slots < 2 else self._grouped(order, rng)

    def _windowed(self, shards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Sort items by the window that their shard comes in, and at random within it."""
        window_of = rng.permutation(shards.max() + 1) // self._window
        return np.lexsort((rng.random(self._size), window_of[shards]))

    def _grouped(self, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Arrange a permutation so that each full batch begins as groups; then shuffle within batches."""
        parts = deque(self._parts(rng))
        heads = [_take(parts, self._group_slots) for _ in range(self._full)]
        # those made last are short of groups: without this the epoch would end in easy batches
        rng.shuffle(heads)
        used = np.zeros(self._size, dtype=bool)
        used[[i for head in heads for i in head]] = True
        others = order[~used[order]]
        batches, start = [], 0
        for head in heads:
            stop = start + self.batch_size - len(head)
            batches.append(
                rng.permutation(np.concatenate([np.array(head, dtype=np.int64), others[start:stop]]))
            )
            start = stop
        return np.concatenate([*batches, others[start:]])

    def _parts(self, rng: np.random.Generator) -> list[list[int]]:
        """Groups in random order, those larger than a batch's share cut into parts of two and more."""
        parts = []
        for group in self._members:
            members = rng.permutation(group)
            pieces = np.array_split(members, -(-len(members) // self._group_slots))
            parts += [piece.tolist() for piece in pieces if len(piece) > 1]
        return [parts[i] for i in rng.permutation(len(parts))]


def _members(groups: Sequence[int] | None) -> list[np.ndarray]:
    """The items of each group of two and more."""
    if groups is None or len(groups) == 0:
        return []
    ids = np.asarray(groups)
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order])) + 1
    return [members for members in np.split(order, starts) if len(members) > 1]


def _take(parts: deque[list[int]], slots: int) -> list[int]:
    """Take whole groups from the front as long as they fit."""
    taken: list[int] = []
    while parts and len(taken) + len(parts[0]) <= slots:
        taken += parts.popleft()
    return taken
