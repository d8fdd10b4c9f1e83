#!/usr/bin/env python3
"""Ten thousand targets, of which 5 % are dead at any moment: is every death and every return seen, and what does it cost?

    Benchmarks/failing.py --poise .build/release/poise [--groups 200] [--targets 50] [--seconds 60]

Each target is an address of 127.0.0.0/8 behind the one wildcard listener of a `poise target`; a dead one is an address that
the network namespace has no way to. How often each target changes its state is counted by Poise itself and compared with
what was done to it. CPU time is that of the whole process while probes, deaths and returns go on; how long a worker stands
still is seen from inside and from outside as in apply.py.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

from apply import Pings, configuration, longest_turn, started, turns
from lab import enter_namespace, run_time, undisturbed
from programs import many_addresses

# What `poise check` prints for the check below, where a dead target refuses: 5 s + 2 × 1 s, and a second for the schedule.
FOUND_OUT, BACK = 8.0, 8.0


def schedule(addresses, seconds, share, generator):
    """[(moment, address, dies)] and {address: deaths}; each is dead, and then alive, for long enough to be seen."""
    events, deaths = [], {}
    # A mean outage of 12 s; between two of them as long as makes the share.
    for address in addresses:
        at = generator.uniform(0, 12.0 / share)
        while at + FOUND_OUT + BACK < seconds:
            back = min(at + generator.uniform(FOUND_OUT, 16.0), seconds - BACK)
            events += [(at, address, True), (back, address, False)]
            deaths[address] = deaths.get(address, 0) + 1
            at = back + BACK + generator.uniform(0, 12.0 / share)
    return sorted(events), deaths


def route(changes):
    """Takes away or gives back the way to addresses, all in one call."""
    lines = "".join(f"route {'add' if dies else 'del'} unreachable {address}/32 table local\n" for address, dies in changes)
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)


def measure(poise, groups=200, targets=50, seconds=60, share=0.05, seed=1):
    """{figure: value}; raises where the machine does not allow it."""
    generator = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="poise-failing-"))
    environment = os.environ | {"POISE_ADMIN": str(folder / "admin.sock")}
    target, port = started([poise, "target", "--listen", "0.0.0.0:0"], environment)
    (folder / "all.yaml").write_text(configuration(groups, targets, port, "5s"))
    process, front = started([poise, "run", str(folder / "all.yaml")], environment)
    addresses = [address for group in many_addresses(groups, targets) for address in group]
    try:
        # Seldom, so that the figure is that of the checks.
        pings = Pings(front, pause=0.05)
        # The first probes of all come at once, and the next ones spread over an interval.
        time.sleep(11)
        begin, used, seen = time.monotonic(), run_time(process.pid), turns(folder)
        events, deaths = schedule(addresses, seconds, share, generator)
        dead = most = 0
        while events:
            now = time.monotonic() - begin
            due = [event for event in events if event[0] <= now]
            if due:
                events = events[len(due):]
                route([(address, dies) for _, address, dies in due])
                dead += sum(1 if dies else -1 for _, _, dies in due)
                most = max(most, dead)
            time.sleep(0.1)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        end = time.monotonic()
        cpu = (run_time(process.pid) - used) / 1e9 / (end - begin)
        stall, wait = longest_turn(seen, turns(folder)), pings.longest(begin, end)
        pings.end()
        status = json.loads(subprocess.run(
            [poise, "status", "--output", "json"], env=environment, capture_output=True, text=True, check=True).stdout)
        wrong = []
        for group in status["target_groups"]:
            for one in group["targets"]:
                # Once at the start, then out and back again for each death.
                expected = 1 + 2 * deaths.get(one["address"].rpartition(":")[0], 0)
                if (one["state"], one["health_transitions"]) != ("healthy", expected):
                    wrong.append((one["address"], one["state"], one["health_transitions"], expected))
        return {"targets": len(addresses), "groups": groups, "deaths": sum(deaths.values()), "dead_at_once_max": most,
                "transitions_missed_or_too_many": len(wrong), "examples": wrong[:5], "cpu_share": round(cpu, 4),
                "longest_wakeup_ms": stall, "longest_wait_ms": round(wait, 1)}
    finally:
        for each in (process, target):
            each.terminate()
            each.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poise", required=True)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--targets", type=int, default=50, help="per group")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("error: a network namespace is needed\nhelp: run this as root")
    enter_namespace()
    undisturbed()
    found = measure(os.path.abspath(options.poise), options.groups, options.targets, options.seconds, seed=options.seed)
    print(json.dumps(found, indent=2))
    raise SystemExit(1 if found["transitions_missed_or_too_many"] else 0)


if __name__ == "__main__":
    main()
