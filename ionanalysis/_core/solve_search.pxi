# Beam search by flow. Part of solve.pyx.

cdef inline bint allowed(Read* r, int flow, int length) noexcept nogil:
    # Whether what is known of a flow, if anything, lets a run of this length (or none, 0) be there.
    cdef int pinned = r.pinned[flow]
    return pinned == FREE or pinned == length or (pinned < FREE and length >= -1 - pinned)


cdef double child_score(Read* r, Settings* set, Path* path, const double* taken, int begin, int end,
                        int flow, int length, double* settled) noexcept nogil:
    cdef double total = path.settled + set.prior * length, p
    cdef int j
    for j in range(path.begin, begin):
        p = length * taken[j] + (path.signal[j] if j < path.end else 0.0)
        total += flow_score(r, set.huber, j, p)
    settled[0] = total
    for j in range(begin, flow + 1):
        p = length * taken[j] + (path.signal[j] if j < path.end else 0.0)
        if j < flow:
            p += set.look_ahead * taken[j]
        total += flow_score(r, set.huber, j, p)
    return total


cdef int take_run(Read* r, Settings* set, double drop, Path* path, int flow, double* best,
                  int* slots, int n_slots) noexcept nogil:
    # Paths that take a run in `flow`, one for each length worth it, into free slots; returns how many slots are used.
    cdef Path* child
    cdef double* taken = r.trial
    cdef int begin, end, j, length, tried, nearest, step, n_used = 0
    cdef double base, e, p, settled, score
    advance(r, path.state, path.begin, path.end, flow, set.cutoff, taken, &begin, &end)
    if taken[flow] < 0.01:
        return 0
    base = path.signal[flow] if flow < path.end else 0.0
    nearest = <int>floor(max(0.0, min((r.x[flow] - base) / taken[flow], 100.0)) + 0.5)
    nearest = max(1, min(nearest, MAX_RUN))
    if r.pinned[flow] > 0:
        nearest = r.pinned[flow]
    elif r.pinned[flow] < FREE:
        nearest = max(nearest, -1 - r.pinned[flow])
    for tried in range(MAX_LENGTHS):
        step = (tried + 1) // 2
        length = nearest - step if tried % 2 else nearest + step
        if length < 1 or length > MAX_RUN or not allowed(r, flow, length):
            continue
        p = base + length * taken[flow]
        e = r.x[flow] - p
        if tried > 0 and e * e * r.weight[noise_index(p)] > 20.25:
            continue
        score = child_score(r, set, path, taken, begin, end, flow, length, &settled)
        if score > best[0] + drop or n_used == n_slots:
            continue
        best[0] = min(best[0], score)
        child = &r.paths[slots[n_slots - 1 - n_used]]
        n_used += 1
        for j in range(begin, min(end, path.end)):
            child.state[j] = taken[j]
            child.signal[j] = path.signal[j] + length * taken[j]
        for j in range(max(begin, min(end, path.end)), end):
            child.state[j] = taken[j]
            child.signal[j] = length * taken[j]
        child.begin, child.end, child.flow = begin, end, flow
        child.settled, child.score = settled, score
        child.node = r.n_nodes
        r.node_parent[r.n_nodes] = path.node
        r.node_flow[r.n_nodes] = flow
        r.node_length[r.n_nodes] = length
        r.n_nodes += 1
    return n_used


cdef bint alike(Path* a, Path* b, int flow) noexcept nogil:
    # Two paths with the same in-phase flow whose future is the same.
    cdef int j
    if a.flow != b.flow:
        return False
    for j in range(min(a.begin, b.begin), max(a.end, b.end)):
        if fabs((a.state[j] if a.begin <= j < a.end else 0.0) - (b.state[j] if b.begin <= j < b.end else 0.0)) > 0.01:
            return False
        if j > flow and fabs((a.signal[j] if j < a.end else 0.0) - (b.signal[j] if j < b.end else 0.0)) > 0.01:
            return False
    return True


cdef double search(Read* r, Settings* set, int beam, double drop, int limit) noexcept nogil:
    # Best runs for the flows before `limit`, into run_flow and run_length; returns their score.
    cdef int live[8 * 32 + 4]
    cdef int slots[8 * 32 + 4]
    cdef int n_paths = 8 * set.beam + 4, n_live = 1, n_slots = 0, n_kept, n_old
    cdef int flow, i, j, k, node, n_used, _
    cdef double best, signal, expected
    cdef Path* path
    cdef bint merged, must
    for i in range(n_paths - 1, 0, -1):
        slots[n_slots] = i
        n_slots += 1
    live[0] = 0
    path = &r.paths[0]
    path.state[0] = 1.0
    path.signal[0] = 0.0
    path.begin, path.end, path.flow, path.node, path.settled, path.score = 0, 1, -1, -1, 0.0, 0.0
    r.n_nodes = 0
    for flow in range(limit):
        best = INFINITY
        must = not allowed(r, flow, 0)
        n_old = n_live
        for i in range(n_old):
            path = &r.paths[live[i]]
            signal = path.signal[flow] if flow < path.end else 0.0
            path.score += flow_score(r, set.huber, flow, signal)
            if not must:
                best = min(best, path.score)
        for i in range(n_old):
            path = &r.paths[live[i]]
            if r.former[flow] >= path.flow or r.pinned[flow] == 0:
                continue
            # What the flow alone says, before the work of simulating the run.
            signal = path.signal[flow] if flow < path.end else 0.0
            expected = 1.0 if path.flow < 0 else path.state[path.flow]
            if not must and r.x[flow] < signal + expected and (
                path.score - flow_score(r, set.huber, flow, signal)
                + flow_score(r, set.huber, flow, signal + expected) > best + drop + 6.0
            ):
                continue
            n_used = take_run(r, set, drop, path, flow, &best, slots, n_slots)
            for _ in range(n_used):
                n_slots -= 1
                live[n_live] = slots[n_slots]
                n_live += 1
        if must and n_live > n_old:
            # Paths without the run that is known to be here are given up.
            for i in range(n_old):
                r.paths[live[i]].score = INFINITY
        # Insertion sort by score; the order of equal ones is that of their making.
        for i in range(1, n_live):
            k = live[i]
            j = i - 1
            while j >= 0 and r.paths[live[j]].score > r.paths[k].score:
                live[j + 1] = live[j]
                j -= 1
            live[j + 1] = k
        n_kept = 0
        for i in range(n_live):
            path = &r.paths[live[i]]
            merged = n_kept == beam or path.score > best + drop
            if not merged and path.flow == flow:
                for j in range(n_kept):
                    if r.paths[live[j]].flow == flow and alike(&r.paths[live[j]], path, flow):
                        merged = True
                        break
            if merged:
                slots[n_slots] = live[i]
                n_slots += 1
            else:
                live[n_kept] = live[i]
                n_kept += 1
        n_live = n_kept
    # Nothing comes after the last flow: compare without the look-ahead.
    best = INFINITY
    node = -1
    for i in range(n_live):
        path = &r.paths[live[i]]
        signal = path.settled
        for j in range(path.begin, limit):
            signal += flow_score(r, set.huber, j, path.signal[j] if j < path.end else 0.0)
        if signal < best:
            best = signal
            node = path.node
    r.n_runs = 0
    i = node
    while i >= 0:
        r.n_runs += 1
        i = r.node_parent[i]
    i = r.n_runs
    while node >= 0:
        i -= 1
        r.run_flow[i] = r.node_flow[node]
        r.run_length[i] = r.node_length[node]
        node = r.node_parent[node]
    return best
