"""Figures to a document: every target beside what was reached, the missed ones marked."""
from statistics import median, quantiles

PEERS = ("haproxy", "nginx")
NOT_RUN = {"kind": "not run"}


def telling(value, most, digits):
    """How many decimals it takes until a figure beyond its target does not look like the target."""
    while value > most >= round(value, digits) and digits < 6:
        digits += 1
    return digits


def figure(value, most, digits=0):
    return f"{value:,.{telling(value, most, digits)}f}"


def spread(values, digits=2, unit="", most=None):
    """Median and range; with a target, so that a median beyond it looks so."""
    if most is not None:
        digits = telling(median(values), most, digits)
    middle = f"{median(values):,.{digits}f}{unit}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratios(rounds, key, ours="poise", against=PEERS):
    """Ours over the better of the others, round by round."""
    return [row[ours][key] / min(row[p][key] for p in against if p in row)
            for row in rounds if ours in row and any(p in row for p in against)]


def judged(value, most):
    return "met" if value <= most else "**missed**"


def judged_difference(values, most):
    """Of two figures that are each much larger than what tells them apart: their noise must not pass for an answer."""
    if len(values) < 3:
        return "not resolved"
    lower, _, upper = quantiles(values, n=4)
    if lower <= most < upper or upper < 0:
        return "not resolved"
    return judged(median(values), most)


def summary(case, result):
    """(target, reached, verdict) for the first table; None where Poise was not measured."""
    kind, target = result["kind"], case.target
    if kind == "not run":
        return "", "not run", ""
    if kind == "failed":
        return "", "could not be measured", "**failed**"
    if kind == "traffic":
        found = ratios(result["rounds"], "cpu_us")
        if not found:
            return None
        parts, fine = [f"CPU ≤ {target['ratio']:.2f}"], median(found) <= target["ratio"]
        reached = spread(found, most=target["ratio"])
        if "p99" in target:
            late = ratios(result["rounds"], "p99")
            parts.append(f"p99 ≤ {target['p99']:.2f}")
            reached += f"; p99 {spread(late, most=target['p99'])}"
            fine = fine and median(late) <= target["p99"]
        return ", ".join(parts), reached, "met" if fine else "**missed**"
    if kind == "groups":
        one = ratios(result["rounds"], "cpu_us", "poise 1,000 groups", ("poise 1 group",))
        other = ratios(result["rounds"], "cpu_us", "poise 1,000 groups", ("haproxy 1,000 groups",))
        if not one:
            return None
        fine = median(one) <= target["ratio"] and (not other or median(other) <= 1)
        return ("CPU ≤ 1.10 × one group, ≤ HAProxy", f"{spread(one, most=target['ratio'])} × one group; {spread(other, most=1) if other else '?'} × HAProxy",
                "met" if fine else "**missed**")
    if kind == "log":
        more = [row["on"]["cpu_us"] - row["off"]["cpu_us"] for row in result["rounds"]]
        return "≤ 1 µs more", spread(more, 2, " µs", target["more"]), judged_difference(more, target["more"])
    if kind == "abuse":
        ours = {name: row["poise"] for name, row in result["rows"].items() if "poise" in row}
        if not ours:
            return None
        slowest, largest = (max(ours, key=lambda name: ours[name][key]) for key in ("p99", "growth"))
        fine = all(row["p99"] < target["p99"] and row["growth"] < target["growth"] and not row["failed"] for row in ours.values())
        return ("p99 < 30 ms, growth < 50 MB", f"{ours[slowest]['p99']:,.1f} ms ({slowest}); "
                f"{ours[largest]['growth'] / 1e6:,.1f} MB ({largest})", "met" if fine else "**missed**")
    ours = result["rows"].get("poise")
    if ours is None:
        return None
    if kind == "memory":
        fine = ours["idle"] <= target["idle"] and ours["held"] <= target["held"]
        return ("≤ 14 MB / ≤ 16 MB", f"{figure(ours['idle'] / 1e6, target['idle'] / 1e6, 1)} MB / {figure(ours['held'] / 1e6, target['held'] / 1e6, 1)} MB "
                f"({ours['connections']:,} connections)", "met" if fine else "**missed**")
    if kind == "secure memory":
        each = (ours["held"] - ours["idle"]) / ours["connections"]
        return f"≤ {target['most']:,} bytes", f"{figure(each, target['most'])} bytes", judged(each, target["most"])
    if kind == "start":
        return "≤ 20 ms", spread(ours, 1, " ms", target["most"]), judged(median(ours), target["most"])
    if kind == "reload":
        errors = sum(row["errors"] for row in ours)
        return "0 errors", f"{errors} of {sum(r['requests'] for r in ours):,}", judged(errors, target["errors"])
    if kind == "calls":
        return "≤ 4.2", figure(sum(ours.values()), target["most"], 2), judged(sum(ours.values()), target["most"])
    if kind == "instructions":
        return "≤ 10,000", figure(ours, target["most"]), judged(ours, target["most"])
    if kind == "apply":
        # Of each round its worst change.
        changed = zip(*(figures for name, figures in ours.items() if name != "no change"))
        took, turn, wait = zip(*([max(column) for column in zip(*round)] for round in changed))
        fine = median(took) < target["seconds"] and median(turn) < target["stall"] and median(wait) < target["stall"]
        return ("< 1 s, < 20 ms of stall", f"{spread(took)} s; wake-up ≤ {spread(turn, 1)} ms, wait {spread(wait, 1)} ms",
                "met" if fine else "**missed**")
    if kind == "failing":
        fine = (ours["cpu_share"] <= target["most"] and ours["longest_wakeup_ms"] <= target["stall"]
                and not ours["transitions_missed_or_too_many"])
        return ("none missed, ≤ 15 % of one core, ≤ 20 ms of stall",
                f"{ours['deaths']:,} deaths and returns, {ours['transitions_missed_or_too_many']} missed; "
                f"{figure(100 * ours['cpu_share'], 100 * target['most'], 1)} %; wake-up ≤ {ours['longest_wakeup_ms']:.1f} ms", "met" if fine else "**missed**")
    if kind == "probing":
        return "≤ 15 % of one core", f"{figure(100 * ours, 100 * target['most'], 1)} %", judged(ours, target["most"])
    raise ValueError(kind)


def details(result):
    """The figures of every program, as table rows."""
    kind = result["kind"]
    if kind == "failed":
        return [result["why"]]
    if "rounds" in result:
        names = list(result["rounds"][0])
        lines = ["| program | CPU µs per request | requests/s | p50 µs | p99 µs | errors | others on the core |",
                 "|---|---|---|---|---|---|---|"]
        for name in names:
            rows = [row[name] for row in result["rounds"]]
            lines.append(f"| {name} | {spread([r['cpu_us'] for r in rows])} | {spread([r['rate'] for r in rows], 0)} "
                         f"| {spread([r['p50'] for r in rows], 0)} | {spread([r['p99'] for r in rows], 0)} "
                         f"| {sum(r['errors'] for r in rows)} | {100 * median(r['foreign'] for r in rows):.0f} % |")
        return lines
    rows = result["rows"]
    if kind in ("memory", "secure memory"):
        return ["| program | idle | with idle connections | bytes per connection |", "|---|---|---|---|"] + [
            f"| {n} | {r['idle'] / 1e6:.1f} MB | {r['held'] / 1e6:.1f} MB ({r['connections']:,}) "
            f"| {(r['held'] - r['idle']) / r['connections']:,.0f} |" for n, r in rows.items()]
    if kind == "abuse":
        lines = ["A fresh connection (TLS handshake, one request, its answer) every 50 ms; p99 and the growth of PSS, with what the "
                 "attackers got rid of and how often they had to connect.", "",
                 "| attack | program | p50, ms | p99, ms | unanswered | growth | sent by attackers | connections |", "|---|---|---|---|---|---|---|---|"]
        for name, row in rows.items():
            for program, r in row.items():
                lines.append(f"| {name} | {program} | {r['p50']:,.1f} | {r['p99']:,.1f} | {r['failed']} | {r['growth'] / 1e6:.1f} MB "
                             f"| {r['sent'] / 1e6:,.0f} MB | {r['connections']:,} |")
        return lines
    if kind == "failing":
        r = rows["poise"]
        return [f"- {r['targets']:,} targets in {r['groups']} groups, at most {r['dead_at_once_max']} dead at once; longest wait of a "
                f"request meanwhile {r['longest_wait_ms']} ms"]
    if kind == "start":
        return [f"- {n}: {spread(r, 1, ' ms')}" for n, r in rows.items()]
    if kind == "apply":
        lines = ["Above: of each round its worst change. Longest wake-up: by the workers' own count (upper bound). Longest wait: of a request from outside, client and "
                 "target beside it on the same cores.", "",
                 "| change | `poise apply`, s | longest wake-up, ms | longest wait, ms |", "|---|---|---|---|"]
        for name, figures in rows["poise"].items():
            took, turn, wait = zip(*figures)
            lines.append(f"| {name} | {spread(took) if any(took) else '–'} | {spread(turn, 1)} | {spread(wait, 1)} |")
        return lines
    if kind == "reload":
        return [f"- {n}: {spread([x['ms'] for x in r], 0, ' ms')} until the new configuration answers; "
                f"{sum(x['errors'] for x in r)} errors in {sum(x['requests'] for x in r):,} requests" for n, r in rows.items()]
    if kind == "calls":
        return [f"- {n}: {sum(r.values()):.2f} (" + ", ".join(
            f"{c} {v:.2f}" for c, v in sorted(r.items(), key=lambda x: -x[1]) if v >= 0.005) + ")" for n, r in rows.items()]
    if kind == "instructions":
        return [f"- {n}: {r:,.0f}" for n, r in rows.items()]
    return [f"- {n}: {100 * r:.1f} % of one core" for n, r in rows.items()]


def document(results, machine, rounds, seconds, cases=()):
    """`cases`: the whole list, of which some may have been left out."""
    lines = [
        "# Benchmarks", "",
        "Written by `make bench`; do not edit. Every case of the list is here, the lost ones too, and those that were not run.", "",
        "## Method", "",
        f"One worker each, on a core of its own; load and target (nginx, static answers) share another. {rounds} rounds of "
        f"{seconds} s after a warm-up of 1 s, in turn. The figure is CPU time per request: run time of all threads of the "
        "program by the scheduler's own count, divided by answered requests. A ratio compares with the better of HAProxy and "
        "nginx **in the same round**; median and range over the rounds. Differences below 5 % are noise. Rates are bounded by "
        "the load's core and say little.", "",
        "Same work for all: keep-alive to the target, X-Forwarded-For, no access log, over loopback; plain HTTP/1.1 where "
        "nothing else is said. With TLS: the same ECDSA P-256 certificate, and clients that offer TLS 1.3 with "
        "TLS_AES_128_GCM_SHA256 and X25519 only; tickets as each program makes them without being told.", "",
        f"Machine: {machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}, TCP {machine['tcp']}"
        f"{', a network namespace of its own' if machine['namespace'] else ', the network of the host'}; {machine['date']}. "
        f"HAProxy {machine['haproxy']}, nginx {machine['nginx']}, wrk {machine['wrk']}, Swift {machine['swift']}.", "",
        "## Targets", "", "| case | what | target | reached | |", "|---|---|---|---|---|",
    ]
    run = {case.name for case, _ in results}
    # As the list has them: some say "the same".
    order = {case.name: index for index, case in enumerate(cases)}
    listed = [*results, *((case, NOT_RUN) for case in cases if case.name not in run)]
    for case, result in sorted(listed, key=lambda entry: order.get(entry[0].name, 0)):
        row = summary(case, result) if result else None
        lines.append(f"| {case.name} | {case.what} | " + (" | ".join(row) if row else "| Poise was not measured | ") + " |")
    for case, result in results:
        if result:
            lines += ["", f"## {case.name}: {case.what}", "", *details(result)]
    return "\n".join(lines) + "\n"
