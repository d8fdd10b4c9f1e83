"""What docs/algorithms.md is made of: the simulation, its tables and plots, the comparison, the bounds of costs."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks"))
import algorithm_tables  # noqa: E402
import algorithms  # noqa: E402


def built(name):
    """A program that lies beside Poise's own: `make test-e2e` builds it."""
    binary = pathlib.Path(os.environ.get("POISE_BIN", ROOT / ".build" / "release" / "poise")).with_name(name)
    if not binary.exists():
        pytest.skip(f"{binary} is not built")
    return binary


@pytest.fixture
def docs(tmp_path):
    for file in ROOT.glob("docs/algorithms*"):
        shutil.copy(file, tmp_path)
    return tmp_path


def simulated(*arguments):
    return subprocess.run([built("balancing-simulation"), *arguments], check=True, capture_output=True, timeout=120).stdout


def write_tables(figures, docs):
    subprocess.run([sys.executable, ROOT / "Benchmarks" / "algorithm_tables.py", docs], input=figures, check=True)


def test_the_documents_figures_are_those_of_the_simulation(docs):
    write_tables(simulated(), docs)
    for name in ("algorithms.md", "algorithms-times.svg", "algorithms-shares.svg"):
        assert (docs / name).read_bytes() == (ROOT / "docs" / name).read_bytes(), f"{name}: run make simulation"


def test_a_seed_decides_everything():
    assert simulated("7", "1") == simulated("7", "1")


FIGURES = b"""scenario,title,odd,algorithm,mean_ms,p50_ms,p99_ms,max_ms,errors_percent,share_percent,requests
"slow","one is slow","the slow one","round_robin",60.0,50.0,2000.0,2000.0,9.9,10.0,24100
"slow","one is slow","the slow one","nq",40.0,36.4,330.6,900.0,0.0,1.6,24200
"slow","one is slow","the slow one","sed",40.0,36.4,330.6,900.0,0.0,1.6,24200
"a<b","<&>","x","round_robin",1.0,1.0,2.0,3.0,100.0,100.0,23600
"a<b","<&>","x","nq",1.0,1.0,2.0,3.0,0.0,0.0,24000
"a<b","<&>","x","sed",1.0,1.0,2.0,3.0,0.0,0.0,24000
"""


def test_tables_and_plots_tell_what_they_are_given(docs):
    write_tables(FIGURES, docs)
    text = (docs / "algorithms.md").read_text()
    assert "| `round_robin` | 50 / 2000 | 1 / 2 |\n| `nq`, `sed` | 36 / 331 | 1 / 2 |" in text
    assert "| `round_robin` | 10 (9.9) | 100 (100) |\n| `nq`, `sed` | 1.6 | 0 |" in text
    assert "24,000 requests or more" in text and "`p2c` | 40" not in text
    assert text.startswith("# Algorithms\n") and "## What a choice costs" in text, "the rest stays"
    for name in ("times", "shares"):
        plot = xml.etree.ElementTree.parse(docs / f"algorithms-{name}.svg").getroot()
        words = [element.text for element in plot.iter("{http://www.w3.org/2000/svg}text")]
        assert "slow" in words and "a<b" in words and words.count("nq") >= 1 and "sed" not in words
    before = text
    write_tables(FIGURES, docs)
    assert (docs / "algorithms.md").read_text() == before


@pytest.mark.parametrize("text", ["none", "<!-- simulation -->\n", "<!-- simulation -->\n<!-- /simulation -->\n" * 2])
def test_a_document_without_its_place_is_left_alone(tmp_path, text):
    file = tmp_path / "a.md"
    file.write_text(text)
    with pytest.raises(SystemExit):
        algorithm_tables.replace_block(file, "simulation", "x")
    assert file.read_text() == text


def test_figures_of_the_comparison():
    answers = [(0.04, 200)] * 97 + [(0.001, 503), (2.01, 504), (0.3, 200)]
    found = algorithms.figures(answers, [20, 40, 40])
    assert found == {"p50_ms": 40.0, "p99_ms": 300.0, "errors_percent": 2.0, "share_percent": 20.0, "requests": 100}
    assert algorithms.shown(found) == "40 / 300, 20 % (2)"
    assert algorithms.shown(found | {"errors_percent": 0.0}) == "40 / 300, 20 %"
    assert algorithms.shown(None) == "–"


def test_arrivals_are_the_same_for_all_and_of_the_rate():
    one = list(algorithms.arrivals(240, 60, 1))
    assert one == list(algorithms.arrivals(240, 60, 1)) != list(algorithms.arrivals(240, 60, 2))
    assert len(one) == pytest.approx(240 * 60, rel=0.04) and one == sorted(one)
    assert sum(key < algorithms.BUSY_CLIENTS for _, key in one) / len(one) == pytest.approx(0.505, abs=0.02)


@pytest.mark.parametrize("program", ["poise", "haproxy", "nginx"])
def test_the_comparison_measures_what_it_says(program, docs):
    """One target of ten fails 10 % of its requests: everybody answers, and 1 % of all are errors."""
    if program != "poise" and not pathlib.Path("/usr/sbin", program).exists():
        pytest.skip(f"{program} is not installed")
    results = docs / "results.json"
    done = subprocess.run(
        [sys.executable, ROOT / "Benchmarks" / "algorithms.py", "--poise", built("poise"), "--programs", program, "--scenarios",
         "errors", "--algorithms", "turns,by key", "--seconds", "1.5", "--warm-up", "0.2", "--results", results, "--write",
         docs / "algorithms.md"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = json.loads(results.read_text())["errors"]
    turns = rows["turns"][program]
    assert turns["requests"] > 200 and turns["p50_ms"] > 20 and turns["errors_percent"] < 6
    assert turns["share_percent"] == pytest.approx(10, abs=1.5), "turns"
    assert rows["by key"][program]["requests"] > 200 and "answer time" not in [a for a in rows if rows[a]]
    assert algorithms.shown(turns) in (docs / "algorithms.md").read_text()


COUNTER = r"""
#include <stdio.h>
#include <stdlib.h>
extern void *__libc_malloc(size_t);
static long count;
void *malloc(size_t size) { count++; return __libc_malloc(size); }
__attribute__((destructor)) static void report(void) { fprintf(stderr, "mallocs %ld\n", count); }
"""


def test_costs_are_within_their_bounds_and_no_choice_allocates(tmp_path):
    """Under 1 µs per choice and 10 µs per change at 10,000 targets, a Maglev table of 65,537 under 10 ms."""
    bench = built("balancing-bench")
    (tmp_path / "counter.c").write_text(COUNTER)
    counter = tmp_path / "counter.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", counter, tmp_path / "counter.c"], check=True)

    def mallocs(picks):
        done = subprocess.run([bench, "check", str(picks)], capture_output=True, text=True, timeout=120,
                              env=os.environ | {"LD_PRELOAD": str(counter)})
        assert "hash maglev, bounded" in done.stdout and "least_time" in done.stdout
        return int(done.stderr.split("mallocs ")[1]), done

    few, _ = mallocs(1_000)
    many, done = mallocs(21_000)
    assert done.returncode == 0, done.stdout
    assert few > 10_000, "schedulers are not built without memory: the counter is not in place"
    # 18 rows of five runs of 20,000 more choices: figures of another length are all that may differ.
    assert abs(many - few) < 1_000, (few, many)
