"""In which flow each base of many reads was incorporated."""

import numpy as np

from ionanalysis.flows import encode_bases


def base_flows(sequences, first_flow, flow_order):
    """In-phase flow of each base (basecaller.md 0).

    Parameters
    ----------
    sequences : list of str
        Reads in the order of sequencing. A letter other than A, C, G, T takes the flow of the base before.
    first_flow : ndarray of shape (n_reads,), int64
        Flow from which on the first base is looked for: tag ZF.
    flow_order : FlowOrder

    Returns
    -------
    flows : ndarray of shape (n_reads, longest), int64
        `n_flows` for bases behind the last flow, and behind the end of a read.

    Examples
    --------
    >>> from ionanalysis.flows import FlowOrder
    >>> base_flows(["TCAGG", "CA"], np.array([0, 1]), FlowOrder("TACG", 8))
    array([[0, 2, 5, 7, 7],
           [2, 5, 8, 8, 8]])
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    longest = int(lengths.max(initial=0))
    codes = np.full((len(sequences), longest), -1, np.int8)
    codes[np.arange(longest) < lengths[:, None]] = encode_bases("".join(sequences))
    return np.ascontiguousarray(flows_of_codes(codes.T, lengths, first_flow, flow_order).T, np.int64)


def flows_of_codes(codes, lengths, first_flow, flow_order):
    """As `base_flows`, of columns of base codes.

    Parameters
    ----------
    codes : int8 (longest, n_reads)
        0 .. 3 for A, C, G, T, else -1.
    lengths : int64 (n_reads,)
        Bases of each read; what stands behind them in its column does not count.
    first_flow : int64 (n_reads,)
    flow_order : FlowOrder

    Returns
    -------
    flows : int32 (longest, n_reads)
    """
    n_flows = len(flow_order)
    # The last column is for letters that are no base.
    next_flow = np.full((n_flows + 1, 5), n_flows, np.int32)
    next_flow[:, 4] = np.arange(n_flows + 1)
    for flow in range(n_flows - 1, -1, -1):
        next_flow[flow, :4] = next_flow[flow + 1, :4]
        next_flow[flow, flow_order.bases[flow]] = flow
    steps = next_flow.ravel()
    flows = np.empty(codes.shape, np.int32)
    now = np.minimum(first_flow, n_flows).astype(np.int32)
    for place, code in enumerate(np.where(codes < 0, np.int8(4), codes)):
        now = steps[5 * now + code]
        flows[place] = now
    flows[np.arange(len(flows))[:, None] >= lengths] = n_flows
    return flows
