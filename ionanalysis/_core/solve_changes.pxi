# Single changes of the answer: a base more or less, a run put in or taken out. Part of solve.pyx.

cdef void lay_runs(Read* r, Settings* set) noexcept nogil:
    # States of all runs and the signal they add up to. Runs for which there is no room are cut off.
    cdef int run, j, used = 0, begin = 0, end = 1
    cdef double start = 1.0
    cdef const double* state = &start
    for j in range(r.n_flows):
        r.signal[j] = 0.0
    for run in range(r.n_runs):
        if used + r.n_flows - begin > r.room:
            r.n_runs = run
            return
        r.run_at[run] = used - begin
        advance(r, state, begin, end, r.run_flow[run], set.cutoff, r.states + r.run_at[run], &begin, &end)
        state = r.states + r.run_at[run]
        r.run_begin[run], r.run_end[run] = begin, end
        # A state starts at its window's start; what lies before is never read.
        used = r.run_at[run] + end
        for j in range(begin, end):
            r.signal[j] += r.run_length[run] * state[j]


cdef void weigh_flows(Read* r, Settings* set, int begin, int end) noexcept nogil:
    cdef int j
    for j in range(begin, end):
        weigh_flow(r, set.huber, j)


cdef void length_losses(Read* r, Settings* set, int run) noexcept nogil:
    # Score lost with one base less and one more. Where hardly a strand is, the score is taken as straight.
    cdef const double* state = r.states + r.run_at[run]
    cdef double less = -set.prior, more = set.prior, straight = 0.0
    cdef int j
    for j in range(r.run_begin[run], r.run_end[run]):
        if state[j] < SMALL:
            straight += state[j] * r.slope[j]
        else:
            less += flow_score(r, set.huber, j, r.signal[j] - state[j]) - r.now[j]
            more += flow_score(r, set.huber, j, r.signal[j] + state[j]) - r.now[j]
    r.loss_less[run] = less - straight
    r.loss_more[run] = more + straight if r.run_length[run] < MAX_RUN else INFINITY
    if not allowed(r, r.run_flow[run], r.run_length[run] - 1):
        r.loss_less[run] = INFINITY
    if not allowed(r, r.run_flow[run], r.run_length[run] + 1):
        r.loss_more[run] = INFINITY


cdef double structure_loss(Read* r, Settings* set, int run, int flow) noexcept nogil:
    # Score lost by a new run of 1 in `flow` before `run` (flow >= 0), or by taking out `run`, of length 1 (flow < 0).
    cdef double start = 1.0
    cdef const double* state = &start
    cdef const double* old
    cdef double* made = r.trial
    cdef double loss, gap, most
    cdef int begin = 0, end = 1, first, last, j, k, old_begin, old_end
    if run > 0:
        state = r.states + r.run_at[run - 1]
        begin, end = r.run_begin[run - 1], r.run_end[run - 1]
    first = begin if run > 0 else 0
    for j in range(first, r.n_flows):
        r.change[j] = 0.0
    last = first
    if flow >= 0:
        advance(r, state, begin, end, flow, set.cutoff, made, &begin, &end)
        state = made
        for j in range(begin, end):
            r.change[j] += made[j]
        last = max(last, end)
        made = r.trial + r.n_flows
    else:
        old = r.states + r.run_at[run]
        for j in range(r.run_begin[run], r.run_end[run]):
            r.change[j] -= old[j]
        last = max(last, r.run_end[run])
    for k in range(run if flow >= 0 else run + 1, r.n_runs):
        old = r.states + r.run_at[k]
        old_begin, old_end = r.run_begin[k], r.run_end[k]
        advance(r, state, begin, end, r.run_flow[k], set.cutoff, made, &begin, &end)
        most = 0.0
        for j in range(min(begin, old_begin), max(end, old_end)):
            gap = (made[j] if begin <= j < end else 0.0) - (old[j] if old_begin <= j < old_end else 0.0)
            r.change[j] += r.run_length[k] * gap
            most = max(most, fabs(gap))
        last = max(last, max(end, old_end))
        state = made
        made = r.trial + r.n_flows if made == r.trial else r.trial
        # From here on the strands are where they would have been: a small lasting shift of phase is left out.
        if most < 0.003 or k > run + 16:
            break
    loss = set.prior if flow >= 0 else -set.prior
    for j in range(first, last):
        if r.change[j] != 0.0:
            loss += flow_score(r, set.huber, j, r.signal[j] + r.change[j]) - r.now[j]
    return loss


cdef void insert_run(Read* r, int run, int flow) noexcept nogil:
    cdef int k
    for k in range(r.n_runs, run, -1):
        r.run_flow[k] = r.run_flow[k - 1]
        r.run_length[k] = r.run_length[k - 1]
    r.run_flow[run], r.run_length[run] = flow, 1
    r.n_runs += 1


cdef void remove_run(Read* r, int run) noexcept nogil:
    cdef int k
    r.n_runs -= 1
    for k in range(run, r.n_runs):
        r.run_flow[k] = r.run_flow[k + 1]
        r.run_length[k] = r.run_length[k + 1]


cdef bint improve_lengths(Read* r, Settings* set) noexcept nogil:
    # One base more or less wherever it helps, from left to right; fills loss_less and loss_more.
    cdef int run, j, step
    cdef bint changed = False
    cdef const double* state
    for run in range(r.n_runs):
        length_losses(r, set, run)
        step = 0
        if r.loss_more[run] < -0.01:
            step = 1
        elif r.loss_less[run] < -0.01 and r.run_length[run] > 1:
            step = -1
        if step != 0:
            changed = True
            r.run_length[run] += step
            state = r.states + r.run_at[run]
            for j in range(r.run_begin[run], r.run_end[run]):
                r.signal[j] += step * state[j]
            weigh_flows(r, set, r.run_begin[run], r.run_end[run])
            length_losses(r, set, run)
    return changed


cdef bint improve_structure(Read* r, Settings* set, int limit) noexcept nogil:
    # Take out or put in runs of one base; fills loss_insert and completes loss_less.
    cdef int run, flow, before, after, best_flow
    cdef double loss, expected
    cdef bint changed = False
    run = 0
    while run < r.n_runs:
        before = r.run_flow[run - 1] if run > 0 else -1
        after = r.run_flow[run + 1] if run + 1 < r.n_runs else -1
        if (r.run_length[run] == 1 and r.loss_less[run] < 12.0
                and (after < 0 or r.former[after] < before)):
            loss = structure_loss(r, set, run, -1)
            r.loss_less[run] = loss
            if loss < -0.1:
                remove_run(r, run)
                lay_runs(r, set)
                weigh_flows(r, set, 0, limit)
                changed = True
                continue
        run += 1
    run = 0
    while run <= r.n_runs:
        before = r.run_flow[run - 1] if run > 0 else -1
        after = r.run_flow[run] if run < r.n_runs else limit
        expected = r.states[r.run_at[run - 1] + before] if run > 0 else 1.0
        r.loss_insert[run] = INFINITY
        best_flow = -1
        for flow in range(before + 1, after):
            if r.former[flow] >= before or r.pinned[flow] != FREE or r.x[flow] - r.signal[flow] < 0.25 * expected:
                continue
            loss = structure_loss(r, set, run, flow)
            if loss < r.loss_insert[run]:
                r.loss_insert[run] = loss
                best_flow = flow
        if r.loss_insert[run] < -0.1 and r.n_runs < r.n_flows:
            insert_run(r, run, best_flow)
            lay_runs(r, set)
            weigh_flows(r, set, 0, limit)
            changed = True
        run += 1
    return changed


cdef void refine(Read* r, Settings* set, int limit) noexcept nogil:
    cdef int _turn
    cdef bint changed
    for _turn in range(4):
        weigh_flows(r, set, 0, limit)
        changed = improve_lengths(r, set)
        changed = improve_structure(r, set, limit) or changed
        if not changed:
            return
