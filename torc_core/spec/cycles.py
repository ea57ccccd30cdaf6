"""Orders jobs in levels, or names the cycles that prevent it; groups are nodes too, so the work is rows, not pairs."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence

Group = Sequence[int]

MOST_CYCLES = 10
MOST_STEPS = 500_000
"""Work spent on finding a shorter cycle, over all components."""


def levels(waits: Callable[[int], Sequence[int]], jobs: int, groups: Sequence[Group]) -> int | None:
    """The number of jobs on the longest chain; None if there is a cycle.

    Parameters
    ----------
    waits
        Positions of the groups that a job waits for.
    """
    # Depth of a node, 0: not seen, -1: on the way down. Groups are counted after the jobs.
    depth = array("i", bytes(4 * (jobs + len(groups))))
    deepest = 0
    for root in range(jobs):
        if depth[root]:
            continue
        stack = [(root, iter(waits(root)))]
        depth[root] = -1
        while stack:
            node, rest = stack[-1]
            is_job = node < jobs
            for after in rest:
                child = after + jobs if is_job else after
                if depth[child] == 0:
                    depth[child] = -1
                    stack.append((child, iter(waits(child) if child < jobs else groups[child - jobs])))
                    break
                if depth[child] < 0:
                    return None
            else:
                stack.pop()
                if is_job:
                    depth[node] = 1 + max((depth[group + jobs] for group in waits(node)), default=0)
                    deepest = max(deepest, depth[node])
                else:
                    depth[node] = max((depth[member] for member in groups[node - jobs]), default=0)
    return deepest


def cycles(waits: Callable[[int], Sequence[int]], jobs: int, groups: Sequence[Group]) -> list[list[int]]:
    """One shortest cycle for each set of jobs that wait for each other, at most ten.

    Each is a list of jobs in which every job waits for the one before it, and the first for the last.
    """
    found = []
    steps = MOST_STEPS
    for component in _components(waits, jobs, groups):
        members = sorted(node for node in component if node < jobs)
        if len(members) < 2:
            continue
        cycle, steps = _shortest(waits, jobs, groups, component, members, steps)
        found.append(cycle)
        if len(found) == MOST_CYCLES:
            break
    return sorted(found)


def _components(
    waits: Callable[[int], Sequence[int]], jobs: int, groups: Sequence[Group]
) -> Iterator[frozenset[int]]:
    """Strongly connected components of more than one node (Tarjan 1972, with a stack of our own)."""
    number = [0] * (jobs + len(groups))
    low = [0] * (jobs + len(groups))
    held = bytearray(jobs + len(groups))
    count, path = 0, list[int]()

    def after(node: int) -> Iterator[int]:
        return (group + jobs for group in waits(node)) if node < jobs else iter(groups[node - jobs])

    for root in range(jobs):
        if number[root]:
            continue
        stack: list[tuple[int, Iterator[int]]] = [(root, after(root))]
        count += 1
        number[root] = low[root] = count
        held[root] = 1
        path.append(root)
        while stack:
            node, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == number[node]:
                    at = len(path) - 1
                    while path[at] != node:
                        at -= 1
                    component = path[at:]
                    del path[at:]
                    for member in component:
                        held[member] = 0
                    if len(component) > 1:
                        yield frozenset(component)
            elif not number[child]:
                count += 1
                number[child] = low[child] = count
                held[child] = 1
                path.append(child)
                stack.append((child, after(child)))
            elif held[child]:
                low[node] = min(low[node], number[child])


def _shortest(
    waits: Callable[[int], Sequence[int]],
    jobs: int,
    groups: Sequence[Group],
    component: frozenset[int],
    members: list[int],
    steps: int,
) -> tuple[list[int], int]:
    """A shortest cycle in a component, by breadth-first search from its jobs while `steps` are left."""
    best: list[int] = []
    for start in members:
        if best and (steps <= 0 or len(best) == 2):
            break
        before: dict[int, int] = {}
        queue = deque([start])
        closed = False
        while queue and not closed:
            node = queue.popleft()
            for child in [group + jobs for group in waits(node)] if node < jobs else groups[node - jobs]:
                steps -= 1
                if child == start and node != start:
                    if _through(before, node, start, jobs) > 1:
                        before[start] = node
                        closed = True
                        break
                elif child in component and child not in before and child != start:
                    before[child] = node
                    queue.append(child)
        if closed:
            cycle = [start]
            node = before[start]
            while node != start:
                if node < jobs:
                    cycle.append(node)
                node = before[node]
            # The walk goes from waiter to blocker; read backwards it already goes from blocker to waiter.
            if not best or len(cycle) < len(best):
                best = cycle
    at = best.index(min(best)) if best else 0
    return best[at:] + best[:at], steps


def _through(before: dict[int, int], node: int, start: int, jobs: int) -> int:
    """How many jobs the walk from `start` to `node` has passed, `start` included: 1 is a job in its own group."""
    passed = 1
    while node != start:
        passed += node < jobs
        node = before[node]
    return passed
