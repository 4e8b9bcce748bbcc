# One read and the scratch of its solver; state of a run. Part of solve.pyx.

cdef extern from "lanes.h":
    enum:
        LANES             # flows of a block; rows need a block to spare
    ctypedef struct Noise:
        const float* floor
        float scale, per_base, huber
    float flow_sd(const Noise*, int flow, float signal) noexcept nogil
    float flow_score(const Noise*, const float* x, int flow, float signal) noexcept nogil
    void flow_scores(const Noise*, const float* x, const float* signal, int begin, float* scores) noexcept nogil
    float window_score(const Noise*, const float* x, const float* signal, const float* state, float amount,
                       int begin, int end) noexcept nogil
    float window_change(const Noise*, const float* x, const float* signal, const float* state, float amount,
                        const float* now, int begin, int end) noexcept nogil
    void flow_curves(const Noise*, const float* x, const float* signal, int begin, float* scores, float* slope,
                     float* curve) noexcept nogil
    void parabola(const float* slope, const float* curve, const float* state, int begin, int end,
                  float* linear, float* square) noexcept nogil
    void add_row(float* to, const float* values, float amount, int begin, int end) noexcept nogil
    void sum_rows(float* to, const float* values, const float* state, float amount, int begin, int end) noexcept nogil
    void copy_row(float* to, const float* values, int begin, int end) noexcept nogil
    void clear_row(float* row, int begin, int end) noexcept nogil
    bint rows_differ(const float* a, const float* b, float limit, int begin, int end) noexcept nogil
    void add_gap(float* change, const float* made, const float* old, float amount, int begin, int end) noexcept nogil
    ctypedef struct Transitions:
        const float* extend
        const float* one
        const float* two
        const float* four
        const float* since
        const float* block
    int advance_row(const Transitions*, const float* state, float cutoff, int flow, int begin, int end, int n_flows,
                    float* taken) noexcept nogil
    void fill_transitions(float* extend, float* one, float* two, float* four, float* since, float* block,
                          float taken, float lost, int n_flows, int stride) noexcept nogil
    bint block_below(const float* row, float limit) noexcept nogil
    void scale_row(float* to, const float* values, float factor, int end) noexcept nogil
    void gain_terms(const Noise*, const float* x, const float* signal, float gain, int end,
                    float* top, float* bottom) noexcept nogil
    void noise_terms(const Noise*, const float* x, const float* signal, float most, int end, float* sums) noexcept nogil
    void fit_drift(const Noise*, float* x, const float* signal, int n_flows, float keep, float tight_gain,
                   float tight_offset, float* sums, int stride) noexcept nogil


cdef enum:
    MAX_RUN = 23          # longest homopolymer that is called
    MAX_BEAM = 32
    MAX_PATHS = 6 * 32    # a beam, and what its paths give birth to in a flow
    WORK_PER_FLOW = 8     # states that may be simulated for each flow of a read; a clear one takes 1.4
    MAX_LENGTHS = 5       # lengths of one run that are tried together


cdef enum:
    FREE = -1             # of a flow: nothing is known


cdef struct Settings:
    int beam, n_first, n_rounds
    float drop, look_ahead, prior, cutoff, huber, noise, noise_per_base, noise_out_of_phase
    float gain_sd, offset_sd, kernel


cdef struct Row:
    # Fraction of strands that took a run in each flow; 0 outside of the blocks [begin, end).
    float* at
    int begin, end


cdef struct Path:
    Row state             # of the last run
    float* signal         # prediction in the window of `state`; 0 outside
    float coming[8]       # scores of the flows from `coming_from` on, should no run be taken in them
    int coming_from, flow, node
    float settled         # score of the flows before the window, and the prior
    float score           # score of all flows consumed, with the look-ahead


cdef struct Read:
    # One read and all scratch of the solver.
    int n_flows, n_nodes, n_runs
    int work, most_work   # states simulated, and how many may be before the search narrows
    int stride            # elements of a row: whole blocks and one to spare
    Noise noise
    const signed char* nuc
    const float* response  # (n_tables, MAX_RUN + 2) signal of a run by length
    const short* table    # (n_flows,) table of the response that holds for each flow
    int* former           # former flow with the same nucleotide, or -2
    int* width            # paths to keep in each flow if more than usual
    int* pinned           # what is known of each flow: FREE, bases >= 0, or -1 - the least bases
    float* tables         # (4, 6, stride) what `by` points to
    Transitions by[4]     # by nucleotide
    float* raw
    float* x              # signal, normalised
    float* zero           # always 0
    float* floor          # expected noise of a flow without signal
    float* signal         # prediction of the answer
    float* change         # (n_flows,) of the prediction, by a move that is tried
    float* now            # (n_flows,) score of each flow
    float* slope          # (n_flows,) how it falls with the prediction, noise held fixed
    float* curve          # (n_flows,) how fast that falls
    float* loss_less      # (n_flows,) per run: score lost with one base less
    float* loss_more      # (n_flows,) per run: score lost with one base more
    float* loss_insert    # (n_flows + 1,) per run: score lost with one more run just before it
    float* sums           # (5, n_flows)
    Row before            # what the first run starts from: all strands, in flow 0
    Row trial[2]          # states of runs that are tried
    Row* states           # (n_flows + 1,) states of the answer's runs
    int* node_parent
    int* node_flow
    int* node_length
    int* run_flow
    int* run_length
    Path paths[MAX_PATHS]


cdef inline const float* sizes_of(Read* r, int flow) noexcept nogil:
    # Signal of a run in `flow` by its number of bases, all strands taking it.
    return r.response + r.table[flow] * (MAX_RUN + 2)


cdef inline float unit(Read* r, int flow, int length) noexcept nogil:
    return sizes_of(r, flow)[length]


cdef void fill_tables(Read* r, float cf, float ie, float dr) noexcept nogil:
    # Transitions of all nucleotides; 0 in the flows that fill up the last block.
    cdef int flow, nuc, n = r.stride
    cdef float available[4]
    cdef float* at
    for nuc in range(4):
        available[nuc] = 0.0
    for flow in range(n):
        for nuc in range(4):
            available[nuc] = cf * available[nuc] if flow < r.n_flows else <float>0.0
        if flow < r.n_flows:
            available[<int>r.nuc[flow]] = 1.0
        for nuc in range(4):
            r.tables[nuc * 6 * n + flow] = available[nuc]
    for nuc in range(4):
        at = r.tables + nuc * 6 * n
        fill_transitions(at, at + n, at + 2 * n, at + 3 * n, at + 4 * n, at + 5 * n,
                         (1 - dr) * (1 - ie), 1 - (1 - dr) * ie, r.n_flows, n)


cdef void fill_floor(Read* r, Settings* set, float slip) noexcept nogil:
    # Expected noise of a flow without incorporation, growing with the strands that are out of phase by then, if they
    # slip with probability `slip` in each run and some 0.4 runs are taken in a flow.
    cdef int flow
    cdef float in_phase = 1.0, kept = expf(<float>-0.4 * slip)
    for flow in range(r.stride):
        r.floor[flow] = set.noise + set.noise_out_of_phase * (1 - in_phase)
        in_phase *= kept


cdef void advance(Read* r, const Row* state, int flow, float cutoff, Row* after) noexcept nogil:
    # State after one more run with in-phase flow `flow`; blocks on its left with less than `cutoff` are left out.
    cdef int begin = state.begin
    r.work += 1
    clear_row(after.at, after.begin, after.end)
    after.end = advance_row(&r.by[<int>r.nuc[flow]], state.at, cutoff, flow, begin, state.end, r.n_flows, after.at)
    while begin + LANES <= flow and block_below(after.at + begin, cutoff):
        clear_row(after.at, begin, begin + LANES)
        begin += LANES
    after.begin = begin


cdef inline void swap_rows(Row* a, Row* b) noexcept nogil:
    a.at, b.at = b.at, a.at
    a.begin, b.begin = b.begin, a.begin
    a.end, b.end = b.end, a.end
