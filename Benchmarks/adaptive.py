#!/usr/bin/env python3
"""What `adaptive` gains over the algorithm below it: the table of docs/algorithms.md.

A simulation, not a measurement: targets of four threads and a queue, answers of exponential length, arrivals at random; the first
target is slower than the others. The rule is the one of Sources/Health/GroupTraffic+Adaptive.swift, by answers.
"""
import heapq
import random

TARGETS, THREADS, SERVICE, SECONDS = 10, 4, 0.010, 60


def choose(algorithm, rng, flows, share):
    if algorithm == "weighted random":
        return rng.choices(range(TARGETS), share)[0]
    if algorithm == "p2c":
        first = rng.choices(range(TARGETS), share)[0]
        second = first
        for _ in range(9):
            second = rng.choices(range(TARGETS), share)[0]
            if second != first:
                break
        return second if flows[second] * share[first] < flows[first] * share[second] else first
    least = min(flows[i] / share[i] for i in range(TARGETS))
    equal = [i for i in range(TARGETS) if flows[i] / share[i] <= least + 1e-12]
    return rng.choices(equal, [share[i] for i in equal])[0]


def adapt(share, window):
    """One second of the rule; `window` has (answers, seconds) of each target."""
    times = sorted(t / n for n, t in window if n >= 10)
    if len(times) < 2:
        return
    median = times[(len(times) - 1) // 2]
    allowed = max(1.5 * median, median + 0.001)
    for i, (n, t) in enumerate(window):
        if n < 10:
            share[i] = min(1, share[i] + 0.02)
            continue
        goal = max(0.1, min(1, allowed / (t / n)))
        share[i] = share[i] + (goal - share[i]) * 0.3 if goal < share[i] else min(goal, share[i] + 0.05)


def simulate(algorithm, slower, busy, adapts, seed=1):
    """(p50, p99 in milliseconds, percent of an equal part that the slow target gets), of the second half."""
    rng = random.Random(seed)
    mean = [SERVICE * slower] + [SERVICE] * (TARGETS - 1)
    rate = busy * sum(THREADS / m for m in mean)
    waiting, working, flows = [[] for _ in mean], [0] * TARGETS, [0] * TARGETS
    share, window, new = [1.0] * TARGETS, [(0, 0)] * TARGETS, [(0, 0)] * TARGETS
    took, got, number = [], [0] * TARGETS, 2
    events = [(rng.expovariate(rate), 0, "arrival", 0, 0.0), (1.0, 1, "second", 0, 0.0)]

    def later(delay, kind, target=0, begun=0.0):
        nonlocal number
        heapq.heappush(events, (now + delay, number, kind, target, begun))
        number += 1

    while events[0][0] <= SECONDS:
        now, _, kind, target, begun = heapq.heappop(events)
        if kind == "arrival":
            later(rng.expovariate(rate), "arrival")
            target = choose(algorithm, rng, flows, share)
            flows[target] += 1
            got[target] += now > SECONDS / 2
            if working[target] < THREADS:
                working[target] += 1
                later(rng.expovariate(1 / mean[target]), "answer", target, now)
            else:
                waiting[target].append(now)
        elif kind == "answer":
            flows[target] -= 1
            new[target] = (new[target][0] + 1, new[target][1] + now - begun)
            if now > SECONDS / 2:
                took.append(now - begun)
            if waiting[target]:
                later(rng.expovariate(1 / mean[target]), "answer", target, waiting[target].pop(0))
            else:
                working[target] -= 1
        else:
            later(1, "second")
            window = [(n * 0.8 + a, t * 0.8 + b) for (n, t), (a, b) in zip(window, new)]
            new = [(0, 0)] * TARGETS
            if adapts:
                adapt(share, window)
    took.sort()
    return took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3, got[0] * TARGETS * 100 / sum(got)


def main():
    print("| slower | busy | | p50 | p99 | share | adaptive p50 | p99 | share |\n|---|---|---|---|---|---|---|---|---|")
    for slower, busy in ((2, 0.7), (10, 0.3), (10, 0.9)):
        for algorithm in ("weighted random", "p2c", "least connections"):
            cells = [f"{a:.1f} | {b:,.0f} | {c:.0f} %" for a, b, c in
                     (simulate(algorithm, slower, busy, adapts) for adapts in (False, True))]
            first = f"{slower} times | {busy:.0%}" if algorithm == "weighted random" else " | "
            print(f"| {first} | {algorithm} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
