from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowclip.data.captions.sampler import GlobalBatchSampler

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 17), st.integers(1, 5)).filter(lambda s: s[2] <= s[1])


def test_batches_of_one_process_cover_each_item_once():
    sampler = GlobalBatchSampler(10, batch_size=4, drop_last=False)
    batches = list(sampler)
    assert list(map(len, batches)) == [4, 4, 2] and len(sampler) == 3 and sampler.dropped == 0
    assert sorted(list(chain.from_iterable(batches))) == list(range(10))
    assert all(type(i) is int for i in batches[0])


def test_drop_last_counts_what_it_drops():
    sampler = GlobalBatchSampler(10, batch_size=4)
    assert list(map(len, sampler)) == [4, 4] and len(sampler) == 2 and sampler.dropped == 2


def test_without_shuffling_the_order_is_kept():
    sampler = GlobalBatchSampler(5, batch_size=2, shuffle=False, drop_last=False)
    assert list(sampler) == [[0, 1], [2, 3], [4]]


@settings(max_examples=60, deadline=None)
@given(SIZES, st.booleans(), st.booleans())
def test_slices_join_to_the_batch_of_one_process(sizes, drop_last, grouped):
    size, batch_size, world = sizes
    options = {"batch_size": batch_size, "drop_last": drop_last, "seed": 3}
    if grouped:
        options |= {"groups": [i % 7 for i in range(size)], "group_share": 0.6}
    try:
        ranks = [GlobalBatchSampler(size, rank=r, world_size=world, **options) for r in range(world)]
    except ValueError as error:
        assert "make no batch" in str(error)
        return
    slices = [list(sampler) for sampler in ranks]
    assert {len(s) for s in slices} == {len(ranks[0])}
    assert all(slices[r][b] for r in range(world) for b in range(len(slices[r])))  # nobody is left without
    joined = [list(chain.from_iterable(parts)) for parts in zip(*slices, strict=True)]
    alone = [batch for batch in GlobalBatchSampler(size, **options) if len(batch) >= world]
    assert joined == alone
    flat = list(chain.from_iterable(joined))
    assert len(set(flat)) == len(flat) == size - ranks[0].dropped


def test_last_batch_smaller_than_the_world_is_dropped_and_counted():
    samplers = [GlobalBatchSampler(9, batch_size=4, rank=r, world_size=2, drop_last=False) for r in range(2)]
    assert [s.dropped for s in samplers] == [1, 1] and [len(list(s)) for s in samplers] == [2, 2]
    uneven = [GlobalBatchSampler(11, batch_size=4, rank=r, world_size=2, drop_last=False) for r in range(2)]
    assert [list(map(len, s)) for s in uneven] == [[2, 2, 1], [2, 2, 2]]


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed: int, epoch: int) -> list:
        sampler = GlobalBatchSampler(40, batch_size=8, seed=seed)
        list(sampler)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 3) == order(0, 3)
    assert len({str(order(s, e)) for s in range(3) for e in range(3)}) == 9


def test_skip_resumes_and_the_next_epoch_is_whole():
    sampler = GlobalBatchSampler(40, batch_size=8)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.set_epoch(2)
    sampler.skip(3)
    assert list(sampler) == whole[3:] and len(sampler) == 5
    sampler.set_epoch(3)
    assert len(list(sampler)) == 5


def shares(sampler: GlobalBatchSampler, groups: list[int]) -> list[float]:
    """Share of each batch whose group is there with two members or more."""
    result = []
    for batch in sampler:
        counts = Counter(groups[i] for i in batch)
        result.append(sum(counts[groups[i]] > 1 for i in batch) / len(batch))
    return result


def test_groups_fill_their_share_of_every_batch():
    groups = [i // 4 for i in range(4000)]
    random = shares(GlobalBatchSampler(4000, batch_size=64), groups)
    mined = shares(GlobalBatchSampler(4000, batch_size=64, groups=groups, group_share=0.5), groups)
    assert max(random) < 0.25
    assert min(mined) >= 0.5 and np.mean(mined) < 0.7


def test_groups_stay_whole():
    groups = [i // 4 for i in range(400)]
    sampler = GlobalBatchSampler(400, batch_size=40, groups=groups, group_share=1.0)
    assert all(set(Counter(groups[i] for i in batch).values()) == {4} for batch in sampler)
    assert len(set(list(chain.from_iterable(sampler)))) == 400


def test_few_groups_are_spread_over_the_epoch():
    groups = [0, 0, 1, 1, *range(2, 78), 78, 78, 79, 79]
    sampler = GlobalBatchSampler(len(groups), batch_size=21, groups=groups, group_share=0.9)
    assert [round(s * 21) for s in shares(sampler, groups)] == [2, 2, 2, 2]


def test_group_larger_than_its_share_is_cut():
    sampler = GlobalBatchSampler(100, batch_size=10, groups=[0] * 100, group_share=0.5)
    assert sorted(list(chain.from_iterable(sampler))) == list(range(100))


def test_groups_change_with_the_epoch():
    groups = [i // 4 for i in range(400)]
    sampler = GlobalBatchSampler(400, batch_size=40, groups=groups, group_share=0.5)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 11}, "10 items make no batch of 11 over 1 processes"),
        ({"batch_size": 4, "rank": 2, "world_size": 2}, "rank=2, world_size=2"),
        ({"batch_size": 1, "world_size": 2}, "batch_size=1"),
        ({"batch_size": 4, "groups": [1, 2]}, r"one number for each of the 10 items \(got 2\)"),
        ({"batch_size": 4, "groups": [1] * 10, "group_share": 1.5}, r"group_share in \[0, 1\] \(got 1.5\)"),
        ({"batch_size": 4, "groups": [1] * 10, "shuffle": False}, "and shuffle=True"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GlobalBatchSampler(10, **options)


def test_skipping_more_batches_than_there_are_is_told():
    sampler = GlobalBatchSampler(40, batch_size=8, seed=0)
    sampler.skip(5)
    assert list(sampler) == []
    with pytest.raises(ValueError, match=r"after batch 8 of an epoch of 5 batches .*not the data of the run"):
        sampler.skip(8)


def test_a_window_of_shards_is_shuffled_at_a_time():
    """Each epoch takes the shards in another order; two at a time hold all that comes until both are done."""
    shards = [10 * (i % 7) for i in range(70)]
    options = {"batch_size": 5, "seed": 1, "shards": shards, "window": 2}
    sampler = GlobalBatchSampler(70, **options)
    orders = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        order = list(chain.from_iterable(sampler))
        assert sorted(order) == list(range(70)) and order == list(chain.from_iterable(sampler))
        windows = [[shards[i] for i in order[start : start + 20]] for start in range(0, 70, 20)]
        assert [len(set(window)) for window in windows] == [2, 2, 2, 1]
        assert windows[0] != sorted(windows[0], key=windows[0].index)  # the two are mixed
        orders.append(order)
    assert set(orders[0][:20]) != set(orders[1][:20])
    sampler.skip(3)
    assert list(chain.from_iterable(sampler)) == orders[1][15:]
    ranks = [GlobalBatchSampler(70, rank=rank, world_size=2, **options) for rank in (0, 1)]
    assert next(a + b for a, b in zip(*ranks, strict=True)) == orders[0][:5]


@pytest.mark.parametrize(
    "change", [{"shards": [0] * 9}, {"window": 0}, {"groups": [0] * 10}, {"shuffle": False}]
)
def test_windows_that_do_not_fit_are_refused(change):
    with pytest.raises(ValueError, match="shards need one number for each of the 10 items"):
        GlobalBatchSampler(10, **{"batch_size": 2, "shards": [0] * 10, "window": 2} | change)
