# Beam search by flow. Part of solve.pyx.

cdef inline bint allowed(Read* r, int flow, int length) noexcept nogil:
    # Whether what is known of a flow, if anything, lets a run of this length (or none, 0) be there.
    cdef int pinned = r.pinned[flow]
    return pinned == FREE or pinned == length or (pinned < FREE and length >= -1 - pinned)


cdef int nearest_length(Read* r, int flow, float bases) noexcept nogil:
    # Length, 1 or more, whose signal is nearest to a measured number of bases.
    cdef const float* sizes = sizes_of(r, flow)
    cdef int known = r.pinned[flow], length = <int>(max(<float>0.0, min(bases, <float>100.0)) + <float>0.5)
    length = max(1, min(length, MAX_RUN))
    while length < MAX_RUN and 2 * bases > sizes[length] + sizes[length + 1]:
        length += 1
    while length > 1 and 2 * bases < sizes[length] + sizes[length - 1]:
        length -= 1
    if known == FREE:
        return length
    return known if known > 0 else max(length, -1 - known)


cdef inline int add_node(Read* r, int parent, int flow, int length) noexcept nogil:
    # Note a run that a path took; the number of the note.
    r.node_parent[r.n_nodes], r.node_flow[r.n_nodes], r.node_length[r.n_nodes] = parent, flow, length
    r.n_nodes += 1
    return r.n_nodes - 1


cdef inline float expected_run(Read* r, Path* path, int flow) noexcept nogil:
    # Signal of a run of 1 in `flow`, before the work of simulating it: as many strands are in phase as in the last run.
    return unit(r, flow, 1) * (path.state.at[path.flow] if path.flow >= 0 else <float>1.0)


cdef int walk(Read* r, Settings* set, float drop, Path* path, int flow, int limit) noexcept nogil:
    # Go on with the only path as long as each flow alone decides about its run; returns the flow that leaves a doubt.
    cdef Row* taken = &r.trial[0]
    cdef const float* sizes
    cdef int length, other, begin
    cdef float base, inphase, expected, without, most
    cdef bint must
    while flow < limit and r.width[flow] == 0:
        if r.former[flow] >= path.flow or r.pinned[flow] == 0:
            flow += 1
            continue
        base, expected, must = path.signal[flow], expected_run(r, path, flow), not allowed(r, flow, 0)
        without = flow_score(&r.noise, r.x, flow, base)
        if not must and r.x[flow] < base + expected and (
            flow_score(&r.noise, r.x, flow, base + expected) > without + drop + 1
        ):
            flow += 1
            continue
        advance(r, &path.state, flow, set.cutoff, taken)
        inphase = taken.at[flow]
        if inphase < <float>0.01:
            flow += 1
            continue
        sizes = sizes_of(r, flow)
        length = nearest_length(r, flow, (r.x[flow] - base) / inphase)
        most = flow_score(&r.noise, r.x, flow, base + sizes[length] * inphase) + set.prior * length + drop + 1
        if not must and without < most:
            return flow
        for other in range(max(1, length - 1), min(length + 2, MAX_RUN + 1)):
            if other != length and allowed(r, flow, other) and most > set.prior * other + (
                flow_score(&r.noise, r.x, flow, base + sizes[other] * inphase)
            ):
                return flow
        begin = path.state.begin
        swap_rows(&path.state, taken)
        add_row(path.signal, path.state.at, sizes[length], path.state.begin, path.state.end)
        clear_row(path.signal, begin, path.state.begin)
        path.flow, path.node = flow, add_node(r, path.node, flow, length)
        flow += 1
    return flow


cdef int take_run(Read* r, Settings* set, float drop, Path* path, int flow, float* best,
                  int* slots, int n_slots) noexcept nogil:
    # Paths that take a run in `flow`, one for each length worth it, into free slots; returns how many slots are used.
    cdef Path* child
    cdef Row* taken = &r.trial[0]
    cdef int begin, length, tried, nearest, step, n_used = 0
    cdef float base, e, p, settled, score, size
    advance(r, &path.state, flow, set.cutoff, taken)
    if taken.at[flow] < <float>0.01:
        return 0
    base = path.signal[flow]
    begin = taken.begin
    nearest = nearest_length(r, flow, (r.x[flow] - base) / taken.at[flow])
    for tried in range(MAX_LENGTHS):
        step = (tried + 1) // 2
        length = nearest - step if tried % 2 else nearest + step
        if length < 1 or length > MAX_RUN or not allowed(r, flow, length):
            continue
        size = unit(r, flow, length)
        p = base + size * taken.at[flow]
        e = (r.x[flow] - p) / flow_sd(&r.noise, flow, p)
        if tried > 0 and e * e > <float>20.25:
            continue
        settled = path.settled + set.prior * length
        if begin > path.state.begin:
            settled += window_score(&r.noise, r.x, path.signal, taken.at, size, path.state.begin, begin)
        score = settled + flow_score(&r.noise, r.x, flow, p)
        # Leading strands will take more in these flows, whatever comes next.
        score += window_score(&r.noise, r.x, path.signal, taken.at, size + set.look_ahead, begin, flow)
        if score > best[0] + drop or n_used == n_slots:
            continue
        best[0] = min(best[0], score)
        child = &r.paths[slots[n_slots - 1 - n_used]]
        n_used += 1
        clear_row(child.state.at, child.state.begin, child.state.end)
        clear_row(child.signal, child.state.begin, child.state.end)
        copy_row(child.state.at, taken.at, begin, taken.end)
        sum_rows(child.signal, path.signal, taken.at, size, begin, taken.end)
        child.state.begin, child.state.end, child.flow = begin, taken.end, flow
        child.coming_from = -LANES
        child.settled, child.score = settled, score
        child.node = add_node(r, path.node, flow, length)
    return n_used


cdef inline float score_without(Read* r, Path* path, int flow) noexcept nogil:
    # Score of a flow in which the path takes no run; computed for several flows at once.
    if flow >= path.coming_from + LANES:
        path.coming_from = flow - flow % LANES
        flow_scores(&r.noise, r.x, path.signal, path.coming_from, path.coming)
    return path.coming[flow - path.coming_from]


cdef bint alike(Path* a, Path* b, int flow) noexcept nogil:
    # Two paths with the same in-phase flow whose future is the same.
    cdef int begin = min(a.state.begin, b.state.begin), end = max(a.state.end, b.state.end)
    return not (rows_differ(a.state.at, b.state.at, <float>0.01, begin, end)
                or rows_differ(a.signal, b.signal, <float>0.01, flow + 1, end))


cdef void start_path(Read* r) noexcept nogil:
    cdef Path* path = &r.paths[0]
    clear_row(path.state.at, path.state.begin, path.state.end)
    clear_row(path.signal, path.state.begin, path.state.end)
    path.state.at[0] = 1.0
    path.state.begin, path.state.end, path.flow, path.node, path.coming_from = 0, LANES, -1, -1, -LANES
    path.settled, path.score = 0.0, 0.0


cdef int keep_best(Read* r, int* live, int n_live, int beam, float limit, int flow,
                   int* slots, int* n_slots) noexcept nogil:
    # Sort paths by score, drop those behind, of those with the same future all but the best.
    cdef int i, j, k, n_kept = 0
    cdef Path* path
    cdef bint drop
    # The order of equal ones is that of their making.
    for i in range(1, n_live):
        k = live[i]
        j = i - 1
        while j >= 0 and r.paths[live[j]].score > r.paths[k].score:
            live[j + 1] = live[j]
            j -= 1
        live[j + 1] = k
    for i in range(n_live):
        path = &r.paths[live[i]]
        drop = n_kept == beam or path.score > limit
        if not drop and path.flow == flow:
            for j in range(n_kept):
                if r.paths[live[j]].flow == flow and alike(&r.paths[live[j]], path, flow):
                    drop = True
                    break
        if drop:
            slots[n_slots[0]] = live[i]
            n_slots[0] += 1
        else:
            live[n_kept] = live[i]
            n_kept += 1
    return n_kept


cdef void search(Read* r, Settings* set, int beam, float narrow, int limit) noexcept nogil:
    # Best runs for the flows before `limit`, into run_flow and run_length.
    cdef int live[MAX_PATHS]
    cdef int slots[MAX_PATHS]
    cdef int n_live = 1, n_slots = 0, flow = 0, i, width
    cdef float drop
    cdef Path* path
    for i in range(MAX_PATHS - 1, 0, -1):
        slots[n_slots] = i
        n_slots += 1
    live[0] = 0
    start_path(r)
    r.n_nodes = 0
    while flow < limit:
        width, drop = beam, narrow
        if r.work > r.most_work:
            # Signals that fit nothing leave all paths alike: mixed wells would take a hundred times as long.
            width, drop = 1, <float>4.0
        elif r.width[flow] > 0:
            width, drop = r.width[flow], <float>30.0
        elif n_live == 1:
            # What lies behind is the same for all paths to come: only flows in their window will differ.
            path = &r.paths[live[0]]
            flow = walk(r, set, drop, path, flow, limit)
            path.coming_from, path.settled = -LANES, 0.0
            path.score = window_score(&r.noise, r.x, path.signal, r.zero, 0.0, path.state.begin, flow)
            if flow == limit:
                break
        n_live = step(r, set, width, drop, flow, live, n_live, slots, &n_slots)
        flow += 1
    read_back(r, best_at_end(r, live, n_live, limit))


cdef int step(Read* r, Settings* set, int width, float drop, int flow, int* live, int n_live,
              int* slots, int* n_slots) noexcept nogil:
    # One flow of all live paths; returns how many live on.
    cdef int i, n_used, n_old = n_live, _
    cdef float best = INFINITY, taken, without
    cdef Path* path
    cdef bint must = not allowed(r, flow, 0)
    for i in range(n_old):
        path = &r.paths[live[i]]
        path.score += score_without(r, path, flow)
        if not must:
            best = min(best, path.score)
    for i in range(n_old):
        path = &r.paths[live[i]]
        if r.former[flow] >= path.flow or r.pinned[flow] == 0:
            continue
        # What the flow alone says, before the work of simulating the run.
        taken = path.signal[flow] + expected_run(r, path, flow)
        without = score_without(r, path, flow)
        if not must and r.x[flow] < taken and (
            path.score - without + flow_score(&r.noise, r.x, flow, taken) > best + drop + 1
        ):
            continue
        n_used = take_run(r, set, drop, path, flow, &best, slots, n_slots[0])
        for _ in range(n_used):
            n_slots[0] -= 1
            live[n_live] = slots[n_slots[0]]
            n_live += 1
    if must and n_live > n_old:
        # Paths without the run that is known to be here are given up.
        for i in range(n_old):
            r.paths[live[i]].score = INFINITY
    return keep_best(r, live, n_live, width, best + drop, flow, slots, n_slots)


cdef int best_at_end(Read* r, const int* live, int n_live, int limit) noexcept nogil:
    # Node of the best path. Nothing comes after the last flow: compare without the look-ahead.
    cdef int i, node = -1
    cdef float best = INFINITY, score
    cdef Path* path
    for i in range(n_live):
        path = &r.paths[live[i]]
        score = path.settled
        if path.state.begin < limit:
            score += window_score(&r.noise, r.x, path.signal, r.zero, 0.0, path.state.begin, limit)
        if score < best:
            best = score
            node = path.node
    return node


cdef void read_back(Read* r, int node) noexcept nogil:
    # The runs that led to a node.
    cdef int i = node
    r.n_runs = 0
    while i >= 0:
        r.n_runs += 1
        i = r.node_parent[i]
    i = r.n_runs
    while node >= 0:
        i -= 1
        r.run_flow[i] = r.node_flow[node]
        r.run_length[i] = r.node_length[node]
        node = r.node_parent[node]
