"""Photos are ranked by structure from vectors alone, and scores are told relative to the collection."""

from __future__ import annotations

import numpy as np
import pytest

from knowclip.search.rerank import Ranking, relative


def unit(*rows: list[float]) -> np.ndarray:
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


# axes: that both are there, who rides whom, something else
ASTRONAUT_RIDES = unit([1, 0.2, 0])[0]
HORSE_RIDES = unit([1, -0.2, 0])[0]
TRUE, SWAPPED, ELSE = unit([1, 0.1, 0], [1, -0.1, 0], [0.1, 0.02, 1])
COLLECTION = np.stack([TRUE, SWAPPED, *unit([0.1, 0, 1], [0, 0.1, 1], [0.2, 0, 1])])


def ranking(**given) -> Ranking:
    return Ranking(ASTRONAUT_RIDES[None], np.ones(1, np.float32), COLLECTION, **given)


def test_the_true_photo_stands_above_its_swapped_twin_by_its_margin() -> None:
    photos = np.stack([SWAPPED, TRUE])
    scores = ranking(text=ASTRONAUT_RIDES, negatives=HORSE_RIDES[None]).scores(photos)
    assert scores.margin is not None and scores.margin[1] > 0 > scores.margin[0]
    np.testing.assert_allclose(scores.margin, photos @ ASTRONAUT_RIDES - photos @ HORSE_RIDES, atol=1e-6)
    assert np.argsort(-scores.final).tolist() == [1, 0]


def test_a_photo_loses_by_what_the_negatives_fit_it_better_and_gains_by_nothing() -> None:
    """``similarity + log softmax(s * cosines)[text] / s``: a margin by chance lifts no photo."""
    negatives = np.stack([HORSE_RIDES, unit([0, 0, 1])[0]])
    photos = np.concatenate([COLLECTION, unit([0, 0.02, 1])])
    scores = ranking(text=ASTRONAUT_RIDES, negatives=negatives, logit_scale=50.0).scores(photos)
    cosines = 50.0 * photos @ np.stack([ASTRONAUT_RIDES, *negatives]).T
    doubt = np.log(np.exp(cosines).sum(axis=1)) - cosines[:, 0]
    np.testing.assert_allclose(scores.final, scores.similarity - doubt / 50.0, atol=1e-5)
    assert (scores.final <= scores.similarity).all()
    # a clear winner loses nothing, a clear loser what it lacks
    sharp = ranking(text=ASTRONAUT_RIDES, negatives=negatives, logit_scale=1e4).scores(photos)
    np.testing.assert_allclose(sharp.final, sharp.similarity + np.minimum(sharp.margin, 0), atol=1e-3)


def test_the_best_negative_is_the_rival() -> None:
    negatives = np.stack([unit([0, 0, 1])[0], HORSE_RIDES])
    scores = ranking(text=ASTRONAUT_RIDES, negatives=negatives).scores(np.stack([TRUE, ELSE]))
    assert scores.rival is not None and scores.rival.tolist() == [1, 0]


def test_without_negatives_similarity_ranks() -> None:
    for given in ({}, {"text": ASTRONAUT_RIDES, "negatives": np.zeros((0, 3), np.float32)}):
        scores = ranking(**given).scores(np.stack([ELSE, TRUE]))
        assert scores.margin is None and scores.final is scores.similarity
        np.testing.assert_allclose(scores.similarity, np.stack([ELSE, TRUE]) @ ASTRONAUT_RIDES, atol=1e-6)


def test_parts_count_by_how_far_they_spread_over_the_collection() -> None:
    """An image whose cosines spread ten times as wide as a text's does not outvote it."""
    random = np.random.default_rng(0)
    collection = unit(*random.normal(size=(200, 3)) * [1.0, 0.1, 1.0])
    text, image = unit([0, 1, 0], [1, 0, 0])
    both = Ranking(np.stack([text, image]), np.ones(2, np.float32), collection)
    text_spread, image_spread = (collection @ text).std(), (collection @ image).std()
    expected = collection @ text + text_spread / image_spread * (collection @ image)
    np.testing.assert_allclose(both.scores(collection).similarity, expected, atol=1e-5)
    np.testing.assert_allclose(collection @ both.vector, expected, atol=1e-5)


def test_what_is_to_be_avoided_counts_against_a_photo_with_and_without_negatives() -> None:
    parts, signs = np.stack([ASTRONAUT_RIDES, unit([0, 0, 1])[0]]), np.array([1, -1], np.float32)
    with_saddle, without = unit([1, 0.1, 0.5], [1, 0.1, 0])
    for given in ({}, {"text": ASTRONAUT_RIDES, "negatives": HORSE_RIDES[None]}):
        scores = Ranking(parts, signs, COLLECTION, **given).scores(np.stack([with_saddle, without]))
        assert scores.final[1] > scores.final[0]


@pytest.mark.parametrize("shift", [0.0, 5.0])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_relative_score_does_not_know_the_scale_of_a_model(shift: float, scale: float) -> None:
    scores, background = np.array([0.3, 0.2, 0.1, 0.0]), np.array([0.0, 0.1, 0.2, 0.1])
    told = relative(scores * scale + shift, background * scale + shift)
    np.testing.assert_allclose(told, [1, 0.5, 0, -0.5], atol=1e-4)


def test_a_collection_of_equal_photos_and_an_empty_one_have_scores_too() -> None:
    assert relative(np.array([0.2, 0.2]), np.array([0.2, 0.2])).tolist() == [1, 1]
    assert len(relative(np.zeros(0), np.zeros(0))) == 0
    empty = np.zeros((0, 3), np.float32)
    assert len(Ranking(ASTRONAUT_RIDES[None], np.ones(1, np.float32), empty).scores(empty).final) == 0
