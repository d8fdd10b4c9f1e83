"""The benchmark's report: a target that is missed is marked, one that is met is not, and none is left out."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "Benchmarks"))
import bench  # noqa: E402
import programs  # noqa: E402
import report  # noqa: E402


def rounds(**cpu):
    """Three rounds; each program's CPU time per request."""
    return [{name: {"cpu_us": us * noise, "rate": 1.0, "p50": 100, "p99": 200 * us, "errors": 0, "foreign": 0.0}
             for name, us in cpu.items()} for noise in (1.0, 1.2, 0.9)]


RESULTS = {
    "h1_1k": ({"kind": "traffic", "rounds": rounds(poise=9, haproxy=11, nginx=10)},
              {"kind": "traffic", "rounds": rounds(poise=9.6, haproxy=11, nginx=10)}),
    "lat8k": ({"kind": "traffic", "rounds": rounds(poise=10, haproxy=11, nginx=10)},
              {"kind": "traffic", "rounds": rounds(poise=13, haproxy=11, nginx=10)}),
    "instructions": ({"kind": "instructions", "rows": {"poise": 9_999}}, {"kind": "instructions", "rows": {"poise": 10_001}}),
    "calls": ({"kind": "calls", "rows": {"poise": {"recvfrom": 2.0, "sendto": 2.0}}},
              {"kind": "calls", "rows": {"poise": {"recvfrom": 2.3, "sendto": 2.0}}}),
    "memory": ({"kind": "memory", "rows": {"poise": {"idle": 13e6, "held": 15e6, "connections": 9000}}},
               {"kind": "memory", "rows": {"poise": {"idle": 13e6, "held": 17e6, "connections": 9000}}}),
    "start": ({"kind": "start", "rows": {"poise": [9, 10, 30]}}, {"kind": "start", "rows": {"poise": [19, 21, 22]}}),
    "reload": ({"kind": "reload", "rows": {"poise": [{"ms": 5, "errors": 0, "requests": 10}]}},
               {"kind": "reload", "rows": {"poise": [{"ms": 5, "errors": 1, "requests": 10}]}}),
    "groups": ({"kind": "groups", "rounds": rounds(**{"poise 1,000 groups": 10, "haproxy 1,000 groups": 11, "poise 1 group": 9.5})},
               {"kind": "groups", "rounds": rounds(**{"poise 1,000 groups": 10, "haproxy 1,000 groups": 9, "poise 1 group": 9.5})}),
    "probing": ({"kind": "probing", "rows": {"poise": 0.14}}, {"kind": "probing", "rows": {"poise": 0.16}}),
    "apply": ({"kind": "apply", "rows": {"poise": {"no change": [(0.0, 1.0, 30.0)] * 3, "a": [(0.9, 16.8, 19.0)] * 2 + [(1.2, 33.6, 40.0)],
                                                   "b": [(0.5, 16.8, 19.0)] * 3}}},
              {"kind": "apply", "rows": {"poise": {"no change": [(0.0, 1.0, 2.0)] * 3, "a": [(0.9, 16.8, 19.0)] * 2 + [(0.9, 33.6, 19.0)],
                                                   "b": [(0.5, 33.6, 19.0)] + [(0.5, 16.8, 19.0)] * 2}}}),
    "log": ({"kind": "log", "rounds": rounds(on=10.5, off=10)}, {"kind": "log", "rounds": rounds(on=11.5, off=10)}),
}
CASES = {case.name: case for case in bench.CASES}
MACHINE = dict.fromkeys(["processor", "cores", "kernel", "tcp", "namespace", "date", "haproxy", "nginx", "wrk", "swift"], "x")


@pytest.mark.parametrize("name", RESULTS)
def test_met_and_missed(name):
    met, missed = RESULTS[name]
    assert report.summary(CASES[name], met)[-1] == "met"
    assert report.summary(CASES[name], missed)[-1] == "**missed**"
    text = report.document([(CASES[name], met), (CASES[name], missed)], MACHINE, 3, 1)
    assert text.count("**missed**") == 1 and text.count(f"## {name}: ") == 2


def test_the_ratio_is_against_the_better_peer_of_the_same_round():
    row = rounds(poise=9, haproxy=10, nginx=12) + rounds(poise=9, haproxy=12, nginx=10)
    assert report.ratios(row, "cpu_us") == pytest.approx([0.9] * 6)


@pytest.mark.parametrize("differences", [(0.2, 1.9, 0.8), (-5, -4, -6), (-9, 0.4, 3)])
def test_noise_does_not_pass_for_a_met_target(differences):
    rows = [{"on": {"cpu_us": 20 + d}, "off": {"cpu_us": 20}} for d in differences]
    assert report.summary(CASES["log"], {"kind": "log", "rounds": rows})[-1] == "not resolved"


@pytest.mark.parametrize("name, result, shown", [
    ("h1_0", {"kind": "traffic", "rounds": rounds(poise=9.24, haproxy=11, nginx=10)}, "0.924 "),
    ("h1_0", {"kind": "traffic", "rounds": rounds(poise=9.2004, haproxy=11, nginx=10)}, "0.92004 "),
    ("calls", {"kind": "calls", "rows": {"poise": {"recvfrom": 4.203}}}, "4.203"),
    ("instructions", {"kind": "instructions", "rows": {"poise": 10_000.4}}, "10,000.4"),
    ("probing", {"kind": "probing", "rows": {"poise": 0.15004}}, "15.004 %"),
    ("start", {"kind": "start", "rows": {"poise": [20.02]}}, "20.02 ms"),
    ("memory", {"kind": "memory", "rows": {"poise": {"idle": 13e6, "held": 16.02e6, "connections": 9}}}, "16.02 MB"),
])
def test_a_missed_figure_does_not_look_like_its_target(name, result, shown):
    _, reached, verdict = report.summary(CASES[name], result)
    assert verdict == "**missed**" and shown in reached + " ", reached


def test_a_met_figure_is_as_short_as_ever():
    for cpu, shown in [(9.2, "0.92 ("), (9.196, "0.92 ("), (9.3, "0.93 (")]:
        assert report.summary(CASES["h1_0"], {"kind": "traffic", "rounds": rounds(poise=cpu, haproxy=11, nginx=10)})[1].startswith(shown)


def test_cases_that_were_not_run_are_said():
    text = report.document([(CASES["start"], RESULTS["start"][0])], MACHINE, 3, 1, bench.CASES)
    assert text.count("| not run |") == len(bench.CASES) - 1
    assert f"| failing | {CASES['failing'].what} |  | not run |  |" in text
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.split("## Targets")[1].split("\n## ")[0].splitlines() if line.startswith("| ")]
    assert rows[1:] == [case.name for case in bench.CASES]
    assert "not run |" not in report.document([(CASES["start"], RESULTS["start"][0])], MACHINE, 3, 1, [CASES["start"]])


def test_a_failed_case_stays_in_the_report():
    text = report.document([(CASES["start"], {"kind": "failed", "why": "it broke"})], MACHINE, 3, 1)
    assert "**failed**" in text and "it broke" in text


def test_every_case_with_poise_is_judged():
    kinds = {result[0]["kind"] for result in RESULTS.values()}
    assert {"traffic", "memory", "start", "reload", "calls", "instructions", "groups", "probing", "apply", "log"} == kinds
    assert all(case.target for case in bench.CASES)


def test_addresses_are_many_and_in_loopback():
    found = [a for group in programs.many_addresses(1000, 10) for a in group]
    assert len(set(found)) == 10_000
    assert all(1 <= int(a.split(".")[1]) < 255 and a.startswith("127.") and 1 <= int(a.split(".")[3]) <= 250 for a in found)
