"""Base calling's own filter of polyclonal reads (basecaller.md 6.3); off by default, as signal processing has one."""

import numpy as np

from ionanalysis.basecaller.keys import normalise_key
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.blocks import Block
from ionanalysis.clonality import (
    Clonality,
    ClonalModel,
    clonality_features,
    judge_clonality,
    shows_whole_key,
    train_clonal_model,
)
from ionanalysis.io.atomic import write_whole

_TILE = 50
_SEED = 1
_MAX_SIGNAL = 100.0
_MEANING = {Clonality.HIGH_PPF: Verdict.HIGH_PPF, Clonality.POLYCLONAL: Verdict.POLYCLONAL}


def train_on_wells(reads, options, *, normalisation="gain", dump=None):
    """The model of clonal and polyclonal wells that a chip's library wells give.

    Parameters
    ----------
    reads : ReadSource
        The usable library wells of the chip; those that do not show all of their key are left out.
    options : ClonalityOptions
        At most `clonal_filter_maxreads` wells are used, a random sample.
    normalisation : str
        How the key scales signals.
    dump : path, optional
        Text file to write with a line per well used: y, x, share of positive flows, squared distance, key gain.

    Returns
    -------
    ClonalModel
        The start values if no usable fit was found, as with very few wells.
    """
    chosen = np.flatnonzero(reads.usable)
    if len(chosen) > options.clonal_filter_maxreads:
        chosen = np.sort(np.random.default_rng(_SEED).choice(chosen, options.clonal_filter_maxreads, replace=False))
    wanted = np.zeros(reads.usable.shape, bool)
    wanted.flat[chosen] = True
    flowgram, n_flows = reads.flow_order.key_flowgram(reads.key), options.mixed_last_flow
    parts, lines = [np.zeros((0, 2))], []
    for tile in Block(0, 0, *reads.usable.shape).tiles(_TILE, _TILE):
        own = wanted[tile.slices]
        if not own.any():
            continue
        measured = reads.read(tile, slice(n_flows))[own]
        signals = normalise_key(measured, flowgram, normalisation)
        good = shows_whole_key(signals, flowgram) & (measured <= _MAX_SIGNAL).all(axis=1)
        features = clonality_features(signals[good], options)
        parts.append(features)
        if dump is not None:
            ones = np.flatnonzero(flowgram[:-1])
            # Wells that show their key have signal in these flows.
            gains = signals[good][:, ones].sum(axis=1) / measured[good][:, ones].sum(axis=1)
            rows, cols = np.nonzero(own)
            table = zip(rows[good] + tile.row, cols[good] + tile.col, features, gains, strict=True)
            lines += [f"{y} {x} {ppf:.5f} {ssq:.5f} {gain:.5f}" for y, x, (ppf, ssq), gain in table]
    if dump is not None:
        write_whole(dump, "\n".join(lines) + "\n")
    return train_clonal_model(np.concatenate(parts), options)


def model_of(reads, options, folder):
    """The model that the options ask for; None if polyclonal reads are not filtered."""
    filters = options.filters
    if filters.disable_all_filters or not (filters.clonal_filter_solve or filters.clonal_filter_tf):
        return None
    if options.clonality.filter_extreme_ppf_only:
        return ClonalModel.start()
    return train_on_wells(
        reads,
        options.clonality,
        normalisation=options.solver.key_normalisation,
        dump=folder / "basecaller_ppf_ssq.txt" if filters.clonal_filter_debug else None,
    )


def judge_reads(job, signals, tf, verdict):
    """Verdicts with those of reads with too many positive flows, or of more than one template.

    Parameters
    ----------
    job : CallJob
    signals : ndarray of shape (n, n_flows), float32
        Key-normalised.
    tf : ndarray of shape (n,), bool
    verdict : ndarray of shape (n,), int8
        So far.

    Returns
    -------
    ndarray of shape (n,), int8
    """
    if job.clonal_model is None:
        return verdict
    filters = job.plan.filters
    which = np.where(tf, filters.clonal_filter_tf, filters.clonal_filter_solve) & (verdict == Verdict.PASSED)
    verdict = verdict.copy()
    if which.any():
        features = clonality_features(signals[which], job.clonality)
        judged = judge_clonality(features, job.clonal_model, job.clonality)
        for kind, meaning in _MEANING.items():
            verdict[np.flatnonzero(which)[judged == kind]] = meaning
    return verdict
