"""Clonal and polyclonal wells: the specification's numbers, and fits of known mixtures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ionanalysis.clonality import (
    Clonality,
    ClonalModel,
    clonality_features,
    judge_clonality,
    shows_whole_key,
    stringency_threshold,
    train_clonal_model,
)
from ionanalysis.errors import InputError
from ionanalysis.options.clonality import ClonalityOptions

OPTIONS = ClonalityOptions()


@pytest.mark.parametrize(
    ("features", "share"),
    [
        ((0.50, 1.8), 0.998293),
        ((0.60, 3.0), 0.476369),
        ((0.70, 4.0), 0.003309),
        ((0.50, 1.7), 0.998884),
        ((0.55, 2.6), 0.907698),
        ((0.62, 3.2), 0.228420),
    ],
)
def test_shares_of_the_start_values_are_those_of_proper_densities(features, share):
    assert_allclose(ClonalModel.start().clonal_share(np.array([features])), share, atol=1e-6)


def test_densities_integrate_over_the_normaliser_outside_the_exponent():
    assert_allclose(ClonalModel.start().densities([[0.5, 1.7]]), [[3.95345, 0.00441512]], rtol=1e-5)


@pytest.mark.parametrize(
    ("stringency", "threshold"), [(0, 0), (0.25, 0.129819), (0.5, 0.5), (0.75, 0.870181), (0.9, 0.956907), (1, 1)]
)
def test_stringency_map(stringency, threshold):
    assert stringency_threshold(stringency) == pytest.approx(threshold, abs=1e-6)


def test_features_count_positive_flows_and_distances():
    signals = np.zeros((2, 80), np.float32)
    signals[0, 12:42], signals[1, 12:72] = 1.0, 1.5
    signals[:, 72:] = 7.4
    assert_allclose(clonality_features(signals, OPTIONS), [[0.5, 0], [1.0, 15.0]])


def test_short_runs_cannot_be_judged():
    with pytest.raises(InputError, match="flows 12 to 72; there are 40"):
        clonality_features(np.zeros((1, 40), np.float32), OPTIONS)


def test_the_whole_key_counts_in_training():
    signals = np.float32([[1, 0, 1, 0, 0, 1, 0, 1], [1, 0, 1, 0, 0, 1, 0, 2]])
    assert shows_whole_key(signals, [1, 0, 1, 0, 0, 1, 0, 1]).tolist() == [True, False]


def mixture(n_clonal, n_mixed, seed=3):
    rng = np.random.default_rng(seed)
    clonal = rng.multivariate_normal((0.46, 1.2), ((0.002, 0.008), (0.008, 0.15)), n_clonal)
    mixed = rng.multivariate_normal((0.68, 4.0), ((0.002, 0.008), (0.008, 0.15)), n_mixed)
    return np.concatenate([clonal, mixed])


@pytest.mark.parametrize("kind", [0, 7, 8, 9])
def test_fits_find_the_two_clusters(kind):
    model = train_clonal_model(mixture(3000, 800), ClonalityOptions(mixed_model_option=kind))
    assert_allclose(model.means, [(0.46, 1.2), (0.68, 4.0)], atol=0.03)
    assert_allclose(model.covariances[0], [(0.002, 0.008), (0.008, 0.15)], rtol=0.15)
    # Same size: equal determinants; same size and shape: equal axes too.
    sizes = np.linalg.det(model.covariances)
    if kind != 9:
        assert sizes[0] == pytest.approx(sizes[1])
    if kind in (0, 7):
        assert_allclose(*np.linalg.eigvalsh(model.covariances))


def test_wells_are_judged_as_they_are():
    features = mixture(3000, 800)
    verdicts = judge_clonality(features, train_clonal_model(features, OPTIONS), OPTIONS)
    assert (verdicts[:3000] == Clonality.CLONAL).mean() > 0.99
    assert (verdicts[3000:] == Clonality.CLONAL).mean() < 0.01


@pytest.mark.parametrize(("only_extreme", "expected"), [(False, [1, 2, 0]), (True, [1, 0, 0])])
def test_extreme_wells_have_a_verdict_of_their_own(only_extreme, expected):
    features = np.array([[0.9, 6.0], [0.7, 4.4], [0.45, 1.0]])
    options = ClonalityOptions(filter_extreme_ppf_only=only_extreme)
    assert judge_clonality(features, ClonalModel.start(), options).tolist() == expected


def test_greater_stringency_rejects_more():
    features = np.array([[0.60, 3.0]] * 2)
    judged = [
        judge_clonality(features, ClonalModel.start(), ClonalityOptions(mixed_stringency=value))[0]
        for value in (0.4, 0.5)
    ]
    assert judged == [Clonality.CLONAL, Clonality.POLYCLONAL]


def test_fits_that_do_not_settle_keep_their_last_values_or_the_start():
    features = mixture(300, 80)
    last, start = (
        train_clonal_model(features, ClonalityOptions(max_iterations=1, clonal_filter_use_last_iter_params=use))
        for use in (True, False)
    )
    assert last.n_turns == 1
    assert not last.converged
    assert_allclose(start.means, ClonalModel.start().means)


def test_no_wells_give_a_usable_model():
    assert train_clonal_model(np.zeros((0, 2)), OPTIONS).usable


def test_wells_that_are_not_finite_are_left_out_and_rejected():
    features = mixture(300, 80)
    spoiled = np.concatenate([features, [[np.nan, 1.0], [0.95, 9.0]]])
    model = train_clonal_model(spoiled, OPTIONS)
    assert_allclose(model.means, train_clonal_model(features, OPTIONS).means)
    assert judge_clonality(spoiled[-2:], model, OPTIONS).tolist() == [Clonality.HIGH_PPF] * 2
