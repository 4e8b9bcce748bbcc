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
    n_flows, longest = len(flow_order), int(lengths.max(initial=0))
    codes = np.full((len(sequences), longest), -1, np.int8)
    codes[np.arange(longest) < lengths[:, None]] = encode_bases("".join(sequences))
    next_flow = np.full((n_flows + 1, 4), n_flows, np.int64)
    for flow in range(n_flows - 1, -1, -1):
        next_flow[flow] = next_flow[flow + 1]
        next_flow[flow, flow_order.bases[flow]] = flow
    flows = np.full(codes.shape, n_flows, np.int64)
    now = np.minimum(first_flow, n_flows)
    for place in range(longest):
        code = codes[:, place]
        now = np.where(code >= 0, next_flow[now, code], now)
        flows[:, place] = now
    flows[np.arange(longest) >= lengths[:, None]] = n_flows
    return flows
