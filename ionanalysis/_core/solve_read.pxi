# One read and the scratch of its solver; noise, score of a flow, state of a run. Part of solve.pyx.


cdef enum:
    MAX_RUN = 23          # longest homopolymer that is called
    PER_UNIT = 32         # steps of the noise table per base of signal
    N_NOISE = 26 * 32
    MAX_BEAM = 32
    MAX_PATHS = 8 * 32 + 4
    MAX_LENGTHS = 5       # lengths of one run that are tried together
    MAX_WINDOW = 400      # flows of a state, on average over a read


cdef enum:
    FREE = -1             # of a flow: nothing is known


cdef double SMALL = 0.01  # fraction of strands that changes a flow's score in proportion


cdef struct Settings:
    int beam, n_first
    double drop, look_ahead, prior, cutoff, huber, noise, noise_per_base, gain_sd, offset_sd, kernel


cdef struct Path:
    double* state         # fraction of strands that took the last run in each flow, valid in [begin, end)
    double* signal        # predicted signal, valid in [begin, end); 0 from end on
    int begin, end, flow, node
    double settled        # score of the flows before begin, and the prior
    double score          # score of all flows consumed, with the look-ahead


cdef struct Read:
    # One read and all scratch of the solver.
    int n_flows, n_nodes, n_runs, room
    const signed char* nuc
    int* former           # former flow with the same nucleotide, or -2
    int* pinned           # what is known of each flow: FREE, bases >= 0, or -1 - the least bases
    double* extend        # (4, n_flows)
    double* stay          # (4, n_flows)
    double* raw
    double* x             # signal, normalised
    double* trial         # (2, n_flows) states of runs that are tried
    double* signal        # prediction of the answer
    double* change        # (n_flows,) of the prediction, by a move that is tried
    double* now           # (n_flows,) score of each flow
    double* slope         # (n_flows,) its derivative in the prediction
    double* loss_less     # (n_flows,) per run: score lost with one base less
    double* loss_more     # (n_flows,) per run: score lost with one base more
    double* loss_insert   # (n_flows + 1,) per run: score lost with one more run just before it
    double* sums          # (5, n_flows)
    double* states        # (room,)
    int* node_parent
    int* node_flow
    int* node_length
    int* run_flow
    int* run_length
    int* run_begin
    int* run_end
    int* run_at           # where the run's state lies in `states`, less run_begin
    Path paths[8 * 32 + 4]
    double weight[26 * 32]     # 1 / variance by predicted signal
    double log_sd[26 * 32]


cdef inline int noise_index(double signal) noexcept nogil:
    cdef double place = signal * PER_UNIT
    if place < 0.0:
        return 0
    return N_NOISE - 1 if place >= N_NOISE else <int>place


cdef inline double flow_score(Read* r, double huber, int flow, double signal) noexcept nogil:
    # Negative log-likelihood of one flow: Gauss with Huber's linear flanks.
    cdef int index = noise_index(signal)
    cdef double e = r.x[flow] - signal
    cdef double z2 = e * e * r.weight[index]
    if z2 > huber * huber:
        z2 = 2.0 * huber * sqrt(z2) - huber * huber
    return 0.5 * z2 + r.log_sd[index]


cdef inline void weigh_flow(Read* r, double huber, int flow) noexcept nogil:
    # Score of a flow, and how it rises with the prediction, for the answer as it is.
    cdef int index = noise_index(r.signal[flow])
    cdef double e = r.x[flow] - r.signal[flow]
    cdef double z2 = e * e * r.weight[index]
    r.slope[flow] = -e * r.weight[index]
    if z2 > huber * huber:
        r.slope[flow] *= huber / sqrt(z2)
        z2 = 2.0 * huber * sqrt(z2) - huber * huber
    r.now[flow] = 0.5 * z2 + r.log_sd[index]


cdef void fill_noise(Read* r, double noise, double per_base) noexcept nogil:
    # Growth ends at 8 bases: beyond, the prior would outvote any signal.
    cdef int k
    cdef double sd
    for k in range(N_NOISE):
        sd = noise + per_base * min((k + 0.5) / PER_UNIT, 8.0)
        r.weight[k] = 1.0 / (sd * sd)
        r.log_sd[k] = log(sd)


cdef void fill_tables(Read* r, double cf, double ie, double dr) noexcept nogil:
    cdef int flow, nuc
    cdef double available
    for nuc in range(4):
        available = 0.0
        for flow in range(r.n_flows):
            available = 1.0 if r.nuc[flow] == nuc else cf * available
            r.extend[nuc * r.n_flows + flow] = available * (1.0 - dr) * (1.0 - ie)
            r.stay[nuc * r.n_flows + flow] = (1.0 - available) + available * (1.0 - dr) * ie


cdef void advance(Read* r, const double* state, int begin, int end, int flow, double cutoff,
                  double* taken, int* new_begin, int* new_end) noexcept nogil:
    # State after one more run with in-phase flow `flow` (basecaller.md 4.2).
    cdef const double* extend = r.extend + r.nuc[flow] * r.n_flows
    cdef const double* stay = r.stay + r.nuc[flow] * r.n_flows
    cdef double w = 0.0, s
    cdef int j = begin, first = begin
    while j < end:
        w += state[j]
        s = w * extend[j]
        w = w * stay[j]
        taken[j] = s
        if j == first and s < cutoff and first < flow:
            first += 1
        j += 1
    while j < r.n_flows and (w > cutoff or j <= flow):
        taken[j] = w * extend[j]
        w = w * stay[j]
        j += 1
    new_begin[0] = first
    new_end[0] = j
