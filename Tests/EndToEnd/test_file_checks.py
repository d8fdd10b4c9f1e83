"""Flag files: a target is out while its file is there, or while it is not."""
from admin import verb
from client import get
from deadline import eventually
from test_agents import becomes, targets

CHECK = {"protocol": "FILE", "interval": "100ms", "timeout": "80ms"}


def test_a_maintenance_flag_for_one_target(start):
    """One look decides, in both directions, and nothing is counted."""
    flags = start.folder / "maintenance"
    flags.mkdir()
    one, two = start.origin(), start.origin()
    poise = start.proxy(one, two, group_health_check=CHECK | {"file": f"{flags}/{{group}}-{{address}}-{{port}}"})
    for origin in one, two:
        becomes(poise, origin, "healthy")
    for _ in range(3):
        flag = flags / f"pool-127.0.0.1-{one.port}"
        flag.touch()
        evidence = becomes(poise, one, "unhealthy", "maintenance_file")
        assert evidence.startswith(f"{flag} exists after "), evidence
        poise.wait_line(lambda line: f"target={one.address}" in line and "reason=maintenance_file" in line, "the line")
        before = len(one.requests)
        assert [get(poise.port).status for _ in range(6)] == [200] * 6
        assert len(one.requests) == before
        flag.unlink()
        assert becomes(poise, one, "healthy").startswith(f"{flag} does not exist after ")
    assert targets(poise)[two.address]["health_transitions"] == 1
    # Nothing of all that happened without a reason: initial, then out and back three times.
    assert targets(poise)[one.address]["health_transitions"] == 7


def test_a_sign_of_life(start):
    sign = start.folder / "alive"
    origin = start.origin()
    poise = start.proxy(origin, group_health_check=CHECK | {"file": str(sign), "down_when": "missing"})
    becomes(poise, origin, "unhealthy", "maintenance_file")
    sign.touch()
    becomes(poise, origin, "healthy")
    assert "FILE " in verb("status", poise=poise).stdout
    sign.unlink()
    evidence = becomes(poise, origin, "unhealthy", "maintenance_file")
    assert evidence.startswith(f"{sign} does not exist after "), evidence


def test_where_all_targets_have_their_flag_none_of_them_gets_a_request(start):
    """As where all are drained; a sign of life that is missing is a failure, and failures fail open."""
    flags = start.folder / "maintenance"
    flags.mkdir()
    one, two = start.origin(), start.origin()
    checks = [CHECK | {"file": f"{flags}/{{port}}"}, CHECK | {"protocol": "TCP"}]
    poise = start.proxy(one, two, group_health_check=None, group_health_checks={"checks": checks})
    for origin in one, two:
        becomes(poise, origin, "healthy")
    for origin in one, two:
        (flags / str(origin.port)).touch()
        becomes(poise, origin, "unhealthy", "maintenance_file")
    assert [get(poise.port).status for _ in range(6)] == [503] * 6
    assert not one.requests and not two.requests
    (flags / str(one.port)).unlink()
    becomes(poise, one, "healthy")
    assert get(poise.port).status == 200 and not two.requests
    sign = start.proxy(one, group_health_check=CHECK | {"file": str(start.folder / "alive"), "down_when": "missing"})
    becomes(sign, one, "unhealthy", "maintenance_file")
    assert get(sign.port).status == 200


def test_a_path_that_leads_nowhere_is_no_flag(start):
    """A loop of links: nobody can tell whether there is a flag."""
    loop = start.folder / "loop"
    loop.symlink_to(loop)
    one, two = start.origin(), start.origin()
    poise = start.proxy(one, group_health_check=CHECK | {"file": str(loop)})
    becomes(poise, one, "healthy")
    assert targets(poise)[one.address]["last_probe"].startswith(f"{loop} cannot be looked at: ")
    # A maintenance switch that does nothing is not found out about when it is needed.
    poise.wait_line(lambda line: "warning: nobody can tell whether a flag file is there" in line
                    and f"path={loop}" in line and "error=" in line, "a warning")
    loop.unlink()
    poise.wait_line(lambda line: "a flag file can be looked at again" in line and f"path={loop}" in line, "its end")
    assert len([line for line in poise.output("err") if "a flag file" in line]) == 2
    loop.symlink_to(loop)
    poise = start.proxy(two, group_health_check=CHECK | {"file": str(loop), "down_when": "missing"})
    becomes(poise, two, "unhealthy", "maintenance_file")


def test_beside_a_page_and_an_agent(start):
    from agent import Agent
    agent, origin, flag = Agent(), start.origin(), start.folder / "flag"
    checks = [{"protocol": "HTTP", "path": "/", "interval": "200ms", "edge_interval": "50ms", "timeout": "150ms"},
              CHECK | {"file": str(flag)},
              {"protocol": "AGENT", "port": agent.port, "interval": "200ms", "timeout": "150ms"}]
    poise = start.proxy(origin, group_health_check=None, group_health_checks={"checks": checks})
    try:
        becomes(poise, origin, "healthy")
        flag.touch()
        evidence = becomes(poise, origin, "unhealthy", "maintenance_file")
        assert evidence.startswith(f"no FILE {flag}: {flag} exists")
        agent.line = "drain\n"
        becomes(poise, origin, "draining", "agent_drain")
        flag.unlink()
        agent.line = "ready\n"
        becomes(poise, origin, "healthy")
        assert get(poise.port).status == 200
    finally:
        agent.end()
