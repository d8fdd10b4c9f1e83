"""External commands: programs that say how a target is."""
import os
import pathlib
import time

import pytest

from admin import verb
from client import get
from deadline import PATIENCE, eventually
from settings import configuration, group, listener
from test_agents import becomes, targets
from test_health_and_apply import reload

CHECK = {"protocol": "EXEC", "interval": "200ms", "edge_interval": "50ms", "timeout": "200ms", "healthy": 1, "unhealthy": 1}


def script(start, text, name="check", shell="/bin/sh"):
    file = start.folder / name
    file.write_text(f"#!{shell}\n{text}\n")
    file.chmod(0o755)
    return str(file)


def alive(marker):
    """Processes whose command line has this word."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def test_down_and_back_with_status_and_first_line(start):
    origin, state = start.origin(), start.folder / "state"
    state.write_text("0 all is well")
    program = script(start, f'read code words < {state}; echo "$words"; echo more; exit "$code"')
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [program]}, group_fail_open="never")
    assert becomes(poise, origin, "healthy").startswith("exit status 0: all is well after ")
    state.write_text("3 replication \x1b[31mlags\n")
    evidence = becomes(poise, origin, "unhealthy", "command_failed")
    assert evidence.startswith("exit status 3: replication [31mlags after "), evidence
    poise.wait_line(lambda line: "reason=command_failed" in line and "exit status 3" in line, "the line")
    assert get(poise.port).status == 503
    state.write_text("0 all is well")
    becomes(poise, origin, "healthy")
    assert get(poise.port).status == 200


def test_the_environment_is_what_the_documentation_says(start):
    origin, seen = start.origin(), start.folder / "environment"
    program = script(start, f'env > {seen}.new; echo "$#:$1:$2" >> {seen}.new; mv {seen}.new {seen}')
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [program, "a b", "$HOME"], "port": 9})
    becomes(poise, origin, "healthy")
    lines = seen.read_text().splitlines()
    assert lines.pop() == "2:a b:$HOME", "no shell has touched the arguments"
    found = dict(line.split("=", 1) for line in lines)
    for name in "PWD", "SHLVL", "_", "OLDPWD":  # the shell's own
        found.pop(name, None)
    assert found == {
        "POISE_TARGET_ADDRESS": "127.0.0.1", "POISE_TARGET_PORT": str(origin.port), "POISE_TARGET": origin.address,
        "POISE_GROUP": "pool", "POISE_CHECK_ADDRESS": "127.0.0.1", "POISE_CHECK_PORT": "9",
        "POISE_CHECK_TIMEOUT_MS": "200", "HAPROXY_SERVER_ADDR": "127.0.0.1",
        "HAPROXY_SERVER_PORT": str(origin.port), "HAPROXY_SERVER_NAME": origin.address, "HAPROXY_PROXY_NAME": "pool",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_one_that_hangs_is_ended_with_all_it_began(start):
    origin = start.origin()
    marker = f"31415{os.getpid()}"
    program = script(start, f"trap '' TERM; sleep {marker} & sleep {marker}")
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [program]})
    becomes(poise, origin, "unhealthy", "timeout")
    poise.wait_line(lambda line: "to=unhealthy" in line and 'evidence="no end within 200ms after ' in line, "the line")
    eventually("the next one waits for it", lambda: targets(poise)[origin.address]["last_probe"]
               == "the program before has not ended yet")
    eventually("it hangs again", lambda: alive(marker))
    # One run at a time, the shell and its two children: the next one waits until the last one is gone.
    for _ in range(30):
        assert len(alive(marker)) <= 3
        time.sleep(0.1)
    poise.stop()
    eventually("nothing is left of it", lambda: not alive(marker))


def test_one_that_dies_by_a_signal(start):
    origin = start.origin()
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [script(start, "kill -9 $$")]})
    assert becomes(poise, origin, "unhealthy", "command_failed").startswith("ended by signal 9 after ")


def test_megabytes_are_read_and_not_kept(start):
    origin = start.origin()
    program = script(start, "head -c 3000000 /dev/zero | tr '\\0' x; exit 0")
    check = CHECK | {"command": [program], "interval": "3s", "timeout": "3s"}
    poise = start.proxy(origin, group_health_check=check)
    before = poise.memory()
    evidence = becomes(poise, origin, "healthy")
    assert evidence.startswith("exit status 0: " + "x" * 200 + " after"), evidence
    assert poise.memory() < before + (8 << 20)


def test_children_that_stay_end_with_it(start):
    origin = start.origin()
    marker = f"27182{os.getpid()}"
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [script(start, f"sleep {marker} & exit 0")]})
    assert becomes(poise, origin, "healthy").startswith("exit status 0 after ")
    time.sleep(0.6)
    assert len(alive(marker)) <= 2, "what a program leaves running ends with it"


@pytest.mark.timeout(90)
def test_fifty_checks_and_four_places(start):
    """All get their turn, and never more than four run at once."""
    count, folder = 50, start.folder / "running"
    folder.mkdir()
    program = script(start, f"touch {folder}/$$; ls {folder} | wc -l >> {start.folder}/seen; sleep 0.1; rm {folder}/$$")
    origins = [f"127.0.{n // 200}.{n % 200 + 1}:9" for n in range(count)]
    check = CHECK | {"command": [program], "interval": "1s", "timeout": "1s"}
    poise = start.proxy(*origins, group_health_check=check, process_commands=4)
    eventually("all fifty have a result", lambda: all(t["last_probe"] for t in targets(poise).values()), PATIENCE * 6)
    assert {t["state"] for t in targets(poise).values()} == {"healthy"}
    most = [int(n) for n in (start.folder / "seen").read_text().split()]
    assert len(most) >= count and 2 <= max(most) <= 4, max(most)


def test_a_program_that_cannot_run_is_told_with_its_place(start):
    plain = start.folder / "plain"
    plain.write_text("no program")
    plain.chmod(0o644)
    for command, problem in [("/nowhere/check", "No such file or directory"), (str(plain), "it is not executable"),
                             (str(start.folder), "it is no file"), ("check", "no absolute path")]:
        file = start.folder / "poise.yaml"
        file.write_text("listeners: [{ address: '127.0.0.1:0', forward: g }]\n"
                        "target_groups:\n  - name: g\n    targets: ['127.0.0.1:9']\n"
                        f"    health_check: {{ protocol: EXEC, command: ['{command}'] }}\n")
        checked = verb("check", file)
        assert checked.returncode != 0
        assert "poise.yaml:5:" in checked.stderr and problem in checked.stderr, checked.stderr


def test_a_hooks_program_that_cannot_run_is_warned_of(start):
    """Traffic does not wait for whoever is told of it."""
    file = start.folder / "poise.yaml"
    file.write_text("listeners: [{ address: '127.0.0.1:0', forward: ['127.0.0.1:9'] }]\n"
                    "notify: [{ on: target_down, command: [/nowhere/page] }, { on: target_up, command: [/bin/true] }]\n")
    checked = verb("check", file)
    assert checked.returncode == 0 and checked.stderr.count("warning:") == 1, checked.stderr
    assert "poise.yaml:2:39: warning: the hook's program cannot be run, so nobody would be told: No such file" in checked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_programs_that_a_lesser_user_cannot_run_are_said_at_the_start(start):
    """Root, who reads the configuration, may run them all."""
    start.folder.chmod(0o755)
    (check, page), fine = (script(start, "exit 0", name) for name in ("check", "page")), "/bin/true"
    for program in check, page:
        os.chmod(program, 0o700)
    origin, other = start.origin(), start.origin()
    proxy = start.poise(configuration(
        [listener(forward={"groups": {"a": 1, "b": 1}})],
        [group("a", [origin.address], health_check=CHECK | {"command": [check]}),
         group("b", [other.address], health_check=CHECK | {"command": [fine]})],
        user="nobody", notify=[{"on": ["target_down"], "command": [page]}, {"on": ["target_up"], "command": [fine]}]))
    said = proxy.wait_line(lambda line: "a check's program cannot be run" in line and check in line, "a warning")
    assert "warning" in said and "process.user may not run it" in said and "nobody" in said and "further" not in said
    proxy.wait_line(lambda line: "a hook's program cannot be run" in line and page in line, "the hook's")
    becomes(proxy, origin, "unhealthy", "command_failed")
    becomes(proxy, other, "healthy")
    assert not any("cannot be run" in line and fine in line for line in proxy.text().splitlines())


def test_one_that_vanishes_while_poise_runs(start):
    origin, program = start.origin(), script(start, "exit 0")
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [program]})
    becomes(poise, origin, "healthy")
    pathlib.Path(program).rename(program + ".away")
    evidence = becomes(poise, origin, "unhealthy", "command_failed")
    assert evidence.startswith("cannot start: No such file or directory after "), evidence
    pathlib.Path(program + ".away").rename(program)
    becomes(poise, origin, "healthy")


def test_commands_come_from_the_file_alone(start):
    """`poise apply` brings none that the file has not, word for word; unless the file allows it."""
    origin, known, other = start.origin(), script(start, "exit 0"), script(start, "exit 0", "other")
    poise = start.proxy(origin, group_health_check=CHECK | {"command": [known]})
    becomes(poise, origin, "healthy")
    sent = start.folder / "sent.yaml"
    text = poise.file.read_text()

    def apply(text):
        sent.write_text(text)
        return verb("apply", sent, poise=poise)
    assert apply(text.replace("interval: 200ms", "interval: 300ms")).returncode == 0
    for change in text.replace(known, other), text.replace(f"- {known}", f"- {known}\n    - --more"):
        refused = apply(change)
        assert refused.returncode != 0 and f"{sent}:" in refused.stderr, refused.stderr
        assert "no such command [not-allowed]" in refused.stderr
    allowed = apply(text.replace(known, other).replace("process:\n", "process:\n  admin:\n    allow_commands: true\n"))
    assert allowed.returncode != 0 and "allow_commands" in allowed.stderr
    reload(poise, text.replace("process:\n", "process:\n  admin:\n    allow_commands: true\n"))
    assert apply(poise.file.read_text().replace(known, other)).returncode == 0
