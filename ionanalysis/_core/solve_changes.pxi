# Single changes of the answer: a base more or less, a run put in or taken out. Part of solve.pyx.

cdef float LITTLE_DOUBT = 8.0    # nats by the parabola, beyond which no change will be made
cdef float NO_DOUBT = 20.0       # beyond which qualities do not care; some 15 with Huber's flanks


cdef void lay_runs(Read* r, Settings* set, int since) noexcept nogil:
    # States of the runs from `since` on, and the signal that all add up to.
    cdef int run
    clear_row(r.signal, 0, r.n_flows)
    for run in range(r.n_runs):
        if run >= since:
            advance(r, &r.states[run - 1] if run > 0 else &r.before, r.run_flow[run], set.cutoff, &r.states[run])
        add_row(r.signal, r.states[run].at, unit(r, r.run_flow[run], r.run_length[run]),
                r.states[run].begin, r.states[run].end)


cdef void score_flows(Read* r, int begin, int end) noexcept nogil:
    # Scores of the blocks of flows for the answer as it is.
    cdef int j = begin
    while j < end:
        flow_curves(&r.noise, r.x, r.signal, j, r.now + j, r.slope + j, r.curve + j)
        j += LANES


cdef void length_losses(Read* r, Settings* set, int run, float doubt) noexcept nogil:
    # Score lost with one base less and one more; exact unless the parabola puts it beyond `doubt`.
    cdef Row* state = &r.states[run]
    cdef int flow = r.run_flow[run], length = r.run_length[run]
    cdef float size = unit(r, flow, length), linear, square
    parabola(r.slope, r.curve, state.at, state.begin, state.end, &linear, &square)
    r.loss_less[run], r.loss_more[run] = INFINITY, INFINITY
    if allowed(r, flow, length - 1):
        r.loss_less[run] = change_loss(r, state, unit(r, flow, length - 1) - size, linear, square, doubt) - set.prior
    if length < MAX_RUN and allowed(r, flow, length + 1):
        r.loss_more[run] = change_loss(r, state, unit(r, flow, length + 1) - size, linear, square, doubt) + set.prior


cdef inline float change_loss(Read* r, const Row* state, float step, float linear, float square,
                              float doubt) noexcept nogil:
    cdef float loss = step * (<float>0.5 * step * square - linear)
    if loss > doubt:
        return loss
    return window_change(&r.noise, r.x, r.signal, state.at, step, r.now, state.begin, state.end)


cdef float structure_loss(Read* r, Settings* set, int run, int flow) noexcept nogil:
    # Score lost by a new run of 1 in `flow` before `run` (flow >= 0), or by taking out `run`, of length 1 (flow < 0).
    cdef const Row* state = &r.states[run - 1] if run > 0 else &r.before
    cdef const Row* old
    cdef Row* made
    cdef int k, begin, end, first = state.begin, last = state.begin, turn = 0
    if flow >= 0:
        made = &r.trial[0]
        turn = 1
        advance(r, state, flow, set.cutoff, made)
        add_row(r.change, made.at, unit(r, flow, 1), made.begin, made.end)
        last = max(last, made.end)
        state = made
    else:
        old = &r.states[run]
        add_row(r.change, old.at, -unit(r, r.run_flow[run], r.run_length[run]), old.begin, old.end)
        last = max(last, old.end)
    for k in range(run if flow >= 0 else run + 1, r.n_runs):
        old, made = &r.states[k], &r.trial[turn]
        turn = 1 - turn
        advance(r, state, r.run_flow[k], set.cutoff, made)
        begin, end = min(made.begin, old.begin), max(made.end, old.end)
        add_gap(r.change, made.at, old.at, unit(r, r.run_flow[k], r.run_length[k]), begin, end)
        last = max(last, end)
        state = made
        # From here on the strands are where they would have been: a small lasting shift of phase is left out.
        if k > run + 16 or not rows_differ(made.at, old.at, <float>0.003, begin, end):
            break
    cdef float loss = window_change(&r.noise, r.x, r.signal, r.change, 1.0, r.now, first, last)
    clear_row(r.change, first, last)
    return loss + set.prior if flow >= 0 else loss - set.prior


cdef void insert_run(Read* r, int run, int flow) noexcept nogil:
    cdef int k
    for k in range(r.n_runs, run, -1):
        r.run_flow[k] = r.run_flow[k - 1]
        r.run_length[k] = r.run_length[k - 1]
        swap_rows(&r.states[k], &r.states[k - 1])
    r.run_flow[run], r.run_length[run] = flow, 1
    r.n_runs += 1


cdef void remove_run(Read* r, int run) noexcept nogil:
    cdef int k
    r.n_runs -= 1
    for k in range(run, r.n_runs):
        r.run_flow[k] = r.run_flow[k + 1]
        r.run_length[k] = r.run_length[k + 1]
        swap_rows(&r.states[k], &r.states[k + 1])


cdef bint improve_lengths(Read* r, Settings* set, float doubt) noexcept nogil:
    # One base more or less wherever it helps, from left to right; fills loss_less and loss_more.
    cdef int run, flow, length, step
    cdef bint changed = False
    for run in range(r.n_runs):
        length_losses(r, set, run, doubt)
        step = 0
        if r.loss_more[run] < <float>-0.01:
            step = 1
        elif r.loss_less[run] < <float>-0.01 and r.run_length[run] > 1:
            step = -1
        if step != 0:
            changed = True
            flow, length = r.run_flow[run], r.run_length[run]
            r.run_length[run] = length + step
            add_row(r.signal, r.states[run].at, unit(r, flow, length + step) - unit(r, flow, length),
                    r.states[run].begin, r.states[run].end)
            score_flows(r, r.states[run].begin, r.states[run].end)
            length_losses(r, set, run, doubt)
    return changed


cdef bint take_out_runs(Read* r, Settings* set) noexcept nogil:
    # Take out runs of one base wherever it helps; completes loss_less.
    cdef int run = 0, before, after
    cdef bint changed = False
    while run < r.n_runs:
        before = r.run_flow[run - 1] if run > 0 else -1
        after = r.run_flow[run + 1] if run + 1 < r.n_runs else -1
        if (r.run_length[run] == 1 and r.loss_less[run] < <float>12.0
                and (after < 0 or r.former[after] < before)):
            r.loss_less[run] = structure_loss(r, set, run, -1)
            if r.loss_less[run] < <float>-0.1:
                remove_run(r, run)
                lay_runs(r, set, run)
                score_flows(r, 0, r.n_flows)
                changed = True
                continue
        run += 1
    return changed


cdef bint put_in_runs(Read* r, Settings* set, int limit) noexcept nogil:
    # Put in runs of one base wherever it helps; fills loss_insert.
    cdef int run = 0, flow, before, after, best_flow
    cdef float loss, expected
    cdef bint changed = False
    while run <= r.n_runs:
        before = r.run_flow[run - 1] if run > 0 else -1
        after = r.run_flow[run] if run < r.n_runs else limit
        expected = r.states[run - 1].at[before] if run > 0 else <float>1.0
        r.loss_insert[run] = INFINITY
        best_flow = -1
        for flow in range(before + 1, after):
            if (r.former[flow] >= before or r.pinned[flow] != FREE
                    or r.x[flow] - r.signal[flow] < <float>0.25 * expected):
                continue
            loss = structure_loss(r, set, run, flow)
            if loss < r.loss_insert[run]:
                r.loss_insert[run] = loss
                best_flow = flow
        if r.loss_insert[run] < <float>-0.1 and r.n_runs < r.n_flows:
            insert_run(r, run, best_flow)
            lay_runs(r, set, run)
            score_flows(r, 0, r.n_flows)
            changed = True
        run += 1
    return changed


cdef void refine(Read* r, Settings* set, int limit) noexcept nogil:
    # Single changes until none helps; what each would lose is left in the losses.
    cdef int _turn, run
    cdef bint changed
    for _turn in range(4):
        score_flows(r, 0, limit)
        changed = improve_lengths(r, set, NO_DOUBT)
        if r.work > r.most_work and not changed:
            for run in range(r.n_runs + 1):
                r.loss_insert[run] = INFINITY
            return
        changed = take_out_runs(r, set) or changed
        changed = put_in_runs(r, set, limit) or changed
        if not changed:
            return
